"""`pocketdet train`: a run from a TOML file."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pocketdet.cli.arguments import require_training
from pocketdet.errors import PocketdetError

if TYPE_CHECKING:
    from pocketdet.training.augment import AugmentPipeline
    from pocketdet.training.config import TrainConfig
    from pocketdet.training.distributed import DistributedContext
    from pocketdet.training.evaluation import Evaluator
    from pocketdet.training.loop import StepReport
    from pocketdet.training.run_logger import RunLogger
    from pocketdet.training.state import RunState

SMOOTHING = 0.97  # of the losses on screen; the log has each step's own


def train(
    config: Annotated[Path, typer.Argument(help="A TOML file; training/recipes has examples.")],
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out images and boxes that are wrong.")
    ] = False,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of PyTorch.")] = 1,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    autocast: Annotated[
        bool | None,
        typer.Option("--autocast/--no-autocast", help="bfloat16 in the network; yes where a GPU has it."),
    ] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes that make images ahead.")] = 0,
) -> None:
    """Train a detector; checkpoints, weights and logs go to the folder that the file names.

    With a table [evaluation] in the file (annotations, images or split, every, limit), AP is measured every
    so many steps and after the last one: evaluations.csv, an image of what is found, and best.safetensors
    lie beside the weights. TensorBoard reads the folder tensorboard.

    Ctrl-C writes a checkpoint after the step in progress. Example: pocketdet train fod_a.toml --resume

    Several GPUs, or CPUs with --device cpu, share each batch if torchrun starts them, one process for each:
    torchrun --nproc-per-node 4 --no-python pocketdet train fod_a.toml --workers 4
    """
    require_training()
    import torch

    from pocketdet.training.device import keep_freed_memory, use_autocast
    from pocketdet.training.distributed import init_distributed
    from pocketdet.training.loop import train

    torch.set_num_threads(threads)
    keep_freed_memory()
    with init_distributed(device) as context, _rank0_errors(context):
        console = Console(highlight=False, quiet=not context.first)
        half = use_autocast(context.device, autocast)
        setup, pipeline, state, evaluator = _prepare(
            console, config, context, resume=resume, skip_bad=skip_bad
        )
        if context.size > 1 or half or context.device.type != "cpu":
            console.print(f"{context.size} x {context.device.type}, {'bfloat16' if half else 'float32'}")
        steps = partial(train, setup, pipeline, state, context=context, workers=workers, autocast=half)
        if context.first:
            _run(console, setup, state, evaluator, steps)
        else:
            _follow(steps)


def _prepare(
    console: Console, config: Path, context: "DistributedContext", *, resume: bool, skip_bad: bool
) -> "tuple[TrainConfig, AugmentPipeline, RunState, Evaluator | None]":
    """Everything that can be wrong before the first step, in each process; the first has the evaluator."""
    from pocketdet.training.config_file import read_config
    from pocketdet.training.data import make_augment_pipeline, read_data
    from pocketdet.training.distributed import sync_errors
    from pocketdet.training.evaluation import Evaluator
    from pocketdet.training.loop import start_run

    with sync_errors(context), _bar(console) as bar:
        setup = read_config(config)
        advancing = _advancing(bar)
        data = read_data(setup, skip_bad=skip_bad, progress=advancing)
        detector = setup.detector(data.class_names)
        state = start_run(setup, detector, resume=resume, context=context, log=console.print)
        pipeline = make_augment_pipeline(setup, data.training, advancing)
    evaluator = None
    if setup.evaluation is not None and data.evaluation is not None and context.first:
        evaluator = Evaluator(detector, data.evaluation, setup.evaluation.limit)
    images = sum(len(dataset.images) for dataset in data.training)
    objects = sum(dataset.objects for dataset in data.training)
    console.print(f"{images} images, {objects} objects, {len(data.class_names)} classes")
    return setup, pipeline, state, evaluator


def _run(
    console: Console,
    setup: "TrainConfig",
    state: "RunState",
    evaluator: "Evaluator | None",
    steps: "Callable[..., Iterator[StepReport]]",
) -> None:
    from pocketdet.training.loop import WEIGHTS_FILE
    from pocketdet.training.run_logger import BEST_FILE, RunLogger

    shown: dict[str, float] = {}
    total = setup.schedule.steps
    with (
        RunLogger(setup, state, evaluator) as logger,
        _bar(console) as bar,
        _deferred_interrupt() as interrupted,
    ):
        if not logger.tensorboard.installed:
            console.print("no TensorBoard files: tensorboard is not installed; the CSV files have it all")
        task = bar.add_task("training", total=total, completed=state.step)
        _evaluate(bar, logger, interrupted)  # where the last run was stopped before it could
        for report in steps(stop=interrupted, log=logger.step):
            bar.advance(task)
            _evaluate(bar, logger, interrupted)
            bar.update(task, description=_line(report, shown, logger.last_ap))
    if state.step < total:
        console.print(f"stopped after {state.step} of {total} steps; go on with --resume")
    elif logger.due:
        console.print("the last evaluation was interrupted; --resume does it again")
    if evaluator is not None and logger.best is not None:
        ap, step = logger.best
        best = f"best AP {ap:.3f} on {evaluator.extent}, at step {step}: {setup.out / BEST_FILE}"
        console.print(best, markup=False, soft_wrap=True)
    weights = setup.out / WEIGHTS_FILE
    console.print(f"wrote {weights}", markup=False)
    console.print(f"next: pocketdet export {weights} --out bundles", markup=False, soft_wrap=True)


def _follow(steps: "Callable[..., Iterator[StepReport]]") -> None:
    """What a process does that is not the first: its part of each step."""
    with _deferred_interrupt() as interrupted:
        for _ in steps(stop=interrupted):
            pass


@contextmanager
def _rank0_errors(context: "DistributedContext") -> Iterator[None]:
    """Every process meets the errors of the run; the first one says them."""
    try:
        yield
    except PocketdetError as error:
        if context.first:
            raise
        raise typer.Exit(error.exit_code) from error


def _evaluate(bar: Progress, logger: "RunLogger", interrupted: Callable[[], bool]) -> None:
    """Measure the weights if it is time to, with a bar of its own meanwhile."""
    images = 0 if interrupted() else logger.due
    if not images:
        return
    task = bar.add_task("evaluating", total=images)
    try:
        for evaluated in logger.evaluate(lambda: bar.advance(task), interrupted):
            bar.console.print(str(evaluated), markup=False, soft_wrap=True)
    finally:
        bar.remove_task(task)


def _line(report: "StepReport", shown: dict[str, float], ap: float | None) -> str:
    """The smoothed losses of a run and its last AP, for the left of its bar."""
    for name in ("loss", "accuracy"):
        value = report.losses[name]
        shown[name] = SMOOTHING * shown.get(name, value) + (1 - SMOOTHING) * value
    losses = f"{report.side} px  loss {shown['loss']:.3f}  class accuracy {shown['accuracy']:.2f}"
    return losses if ap is None else f"{losses}  AP {ap:.3f}"


@contextmanager
def _deferred_interrupt() -> Iterator[Callable[[], bool]]:
    """Ctrl-C sets a flag that the yielded function reads; a second one ends the process as usual."""
    asked = False

    def note(number: int, frame: object) -> None:
        nonlocal asked
        asked = True
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)


def _bar(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console)


def _advancing(bar: Progress) -> Callable[[str, int], Callable[[], None]]:
    def begin(title: str, total: int) -> Callable[[], None]:
        task = bar.add_task(title, total=total)
        return lambda: bar.advance(task)

    return begin
