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
    from pocketdet.training.augment import Recipe
    from pocketdet.training.config import TrainConfig
    from pocketdet.training.distributed import World
    from pocketdet.training.evaluation import Evaluator
    from pocketdet.training.loop import StepReport
    from pocketdet.training.record import Record
    from pocketdet.training.state import RunState

SMOOTHING = 0.97  # of the losses on screen; the log has each step's own


def train(
    config: Annotated[Path, typer.Argument(help="A TOML file; training/recipes has examples.")],
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out pictures and boxes that are wrong.")
    ] = False,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of PyTorch.")] = 1,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    autocast: Annotated[
        bool | None,
        typer.Option("--autocast/--no-autocast", help="bfloat16 in the network; yes where a GPU has it."),
    ] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes that make pictures ahead.")] = 0,
) -> None:
    """Train a detector; checkpoints, weights and logs go to the folder that the file names.

    With a table [evaluation] in the file (annotations, images or split, every, limit), AP is measured every
    so many steps and after the last one: evaluations.csv, a picture of what is found, and best.safetensors
    lie beside the weights. TensorBoard reads the folder tensorboard.

    Ctrl-C writes a checkpoint after the step in progress. Example: pocketdet train fod_a.toml --resume

    Several GPUs, or CPUs with --device cpu, share each batch if torchrun starts them, one process for each:
    torchrun --nproc-per-node 4 --no-python pocketdet train fod_a.toml --workers 4
    """
    require_training()
    import torch

    from pocketdet.training.device import use_autocast
    from pocketdet.training.distributed import joined
    from pocketdet.training.loop import train
    from pocketdet.training.memory import keep_freed_memory

    torch.set_num_threads(threads)
    keep_freed_memory()
    with joined(device) as world, _one_voice(world):
        console = Console(highlight=False, quiet=not world.first)
        half = use_autocast(world.device, autocast)
        setup, recipe, state, evaluator = _prepare(console, config, world, resume=resume, skip_bad=skip_bad)
        if world.size > 1 or half or world.device.type != "cpu":
            console.print(f"{world.size} x {world.device.type}, {'bfloat16' if half else 'float32'}")
        steps = partial(train, setup, recipe, state, world=world, workers=workers, autocast=half)
        if world.first:
            _run(console, setup, state, evaluator, steps)
        else:
            _follow(steps)


def _prepare(
    console: Console, config: Path, world: "World", *, resume: bool, skip_bad: bool
) -> "tuple[TrainConfig, Recipe, RunState, Evaluator | None]":
    """Everything that can be wrong before the first step, in each process; the first has the evaluator."""
    from pocketdet.training.config_file import read_config
    from pocketdet.training.distributed import together
    from pocketdet.training.evaluation import Evaluator
    from pocketdet.training.loop import start_run
    from pocketdet.training.run import make_recipe, read_data

    with together(world), _bar(console) as bar:
        setup = read_config(config)
        advancing = _advancing(bar)
        data = read_data(setup, skip_bad=skip_bad, progress=advancing)
        detector = setup.detector(data.class_names)
        state = start_run(setup, detector, resume=resume, world=world, log=console.print)
        recipe = make_recipe(setup, data.training, advancing)
    evaluator = None
    if setup.evaluation is not None and data.evaluation is not None and world.first:
        evaluator = Evaluator(detector, data.evaluation, setup.evaluation.limit)
    pictures = sum(len(dataset.images) for dataset in data.training)
    objects = sum(dataset.objects for dataset in data.training)
    console.print(f"{pictures} pictures, {objects} objects, {len(data.class_names)} classes")
    return setup, recipe, state, evaluator


def _run(
    console: Console,
    setup: "TrainConfig",
    state: "RunState",
    evaluator: "Evaluator | None",
    steps: "Callable[..., Iterator[StepReport]]",
) -> None:
    from pocketdet.training.loop import WEIGHTS_FILE
    from pocketdet.training.record import BEST_FILE, Record

    shown: dict[str, float] = {}
    total = setup.schedule.steps
    with (
        Record(setup, state, evaluator) as record,
        _bar(console) as bar,
        _deferred_interrupt() as interrupted,
    ):
        if not record.board.installed:
            console.print("no TensorBoard files: tensorboard is not installed; the CSV files have it all")
        task = bar.add_task("training", total=total, completed=state.step)
        _evaluate(bar, record, interrupted)  # where the last run was stopped before it could
        for report in steps(stop=interrupted, log=record.step):
            bar.advance(task)
            _evaluate(bar, record, interrupted)
            bar.update(task, description=_line(report, shown, record.last_ap))
    if state.step < total:
        console.print(f"stopped after {state.step} of {total} steps; go on with --resume")
    elif record.due:
        console.print("the last evaluation was interrupted; --resume does it again")
    if evaluator is not None and record.best is not None:
        ap, step = record.best
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
def _one_voice(world: "World") -> Iterator[None]:
    """Every process meets the errors of the run; the first one says them."""
    try:
        yield
    except PocketdetError as error:
        if world.first:
            raise
        raise typer.Exit(error.exit_code) from error


def _evaluate(bar: Progress, record: "Record", interrupted: Callable[[], bool]) -> None:
    """Measure the weights if it is time to, with a bar of its own meanwhile."""
    pictures = 0 if interrupted() else record.due
    if not pictures:
        return
    task = bar.add_task("evaluating", total=pictures)
    try:
        for evaluated in record.evaluate(lambda: bar.advance(task), interrupted):
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
