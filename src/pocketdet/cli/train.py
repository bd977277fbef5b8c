"""`pocketdet train`: a run from a TOML file, or with --init such a file."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pocketdet.cli.arguments import require_files, require_training
from pocketdet.errors import PocketdetError, UsageError

if TYPE_CHECKING:
    from pocketdet.training.augment import AugmentPipeline
    from pocketdet.training.config import TrainConfig
    from pocketdet.training.distributed import DistributedContext
    from pocketdet.training.evaluation import Evaluator
    from pocketdet.training.loop import StepReport
    from pocketdet.training.run_logger import RunLogger
    from pocketdet.training.state import RunState


RECIPE = Path("train.toml")
START = "thundernet-snet49-fod"  # the weights that a new recipe starts from


def train(
    config: Annotated[
        Path | None, typer.Argument(help="A TOML file; --init writes one, train.toml by default.")
    ] = None,
    init: Annotated[
        Path | None,
        typer.Option(
            metavar="DATA",
            help="Write a commented recipe for annotated images (a COCO json file, a Pascal VOC or YOLO "
            "folder, a data.yaml), and do not train.",
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help=f"With --init: weights to start from, a file, a zoo name or none; {START} by default."
        ),
    ] = None,
    images_seen: Annotated[
        int | None,
        typer.Option(min=1, help="With --init: images to train on in all; 40 times the data by default."),
    ] = None,
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

    Ctrl-C and SIGTERM write a checkpoint after the step in progress. --resume goes on from it, also with
    other values of schedule.images and schedule.learning_rate.

    Example: pocketdet train --init my_voc_folder && pocketdet train train.toml

    Several GPUs, or CPUs with --device cpu, share each batch if torchrun starts them, one process for each:
    torchrun --nproc-per-node 4 --no-python pocketdet train fod_a.toml --workers 4
    """
    require_training()
    if init is not None:
        _init(config or RECIPE, init, weights, images_seen)
        return
    if weights is not None or images_seen is not None:
        raise UsageError(
            "--weights and --images-seen belong to --init; set weights and schedule.images in the file"
        )
    if config is None:
        raise UsageError("name a TOML file; pocketdet train --init DATA writes one for annotated images")
    require_files(config)
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


def _init(path: Path, data: Path, weights: str | None, images: int | None) -> None:
    """Write a recipe and say what it is for."""
    from pocketdet.datasets.image_file import no_such_path

    if not data.exists():
        raise no_such_path(data)
    from pocketdet.training.recipe import new_recipe, write_recipe

    console = Console(highlight=False)
    recipe = new_recipe(data, None if weights == "none" else weights or START, images)
    write_recipe(path, recipe)
    config = recipe.config
    for name, dataset in (("training", recipe.training), ("evaluation", recipe.evaluation)):
        if dataset is not None:
            images_found = f"{len(dataset.images)} image{'s' * (len(dataset.images) != 1)}"
            _say(console, f"{name}: {images_found}, {dataset.objects} object{'s' * (dataset.objects != 1)}")
            if dataset.problems:
                count = len(dataset.problems)
                _say(console, f"  {count} problem{'s' * (count > 1)}, the first: {dataset.problems[0]}")
                _say(console, "  pocketdet train lists them; --skip-bad leaves them out")
    _say(console, f"{len(recipe.training.class_names)} classes: {', '.join(recipe.training.class_names)}")
    steps, batch = config.schedule.steps, config.schedule.batch
    origin = config.weights or "new weights"
    _say(console, f"{steps} step{'s' if steps > 1 else ''} of {batch} images, from {origin}")
    _say(console, f"wrote {path}")
    _say(console, f"next: pocketdet train {path}")


def _say(console: Console, line: str) -> None:
    """Print a line that may have the names of files."""
    console.print(line, markup=False, soft_wrap=True)


def _prepare(
    console: Console, config: Path, context: "DistributedContext", *, resume: bool, skip_bad: bool
) -> "tuple[TrainConfig, AugmentPipeline, RunState, Evaluator | None]":
    """Everything that can be wrong before the first step, in each process; the first has the evaluator."""
    from pocketdet.training.config_file import read_config
    from pocketdet.training.data import make_augment_pipeline, read_data
    from pocketdet.training.distributed import sync_errors
    from pocketdet.training.evaluation import Evaluator
    from pocketdet.training.loop import start_run

    with sync_errors(context), progress_bar(console) as bar:
        setup = read_config(config)
        progress = advancing(bar)
        data = read_data(setup, skip_bad=skip_bad, progress=progress)
        detector = setup.detector(data.class_names)
        state = start_run(setup, detector, resume=resume, context=context, log=partial(_say, console))
        pipeline = make_augment_pipeline(setup, data.training, progress)
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
    if state.step >= total:
        _say(console, f"step {state.step} of {total} is done: raise schedule.images to go on")
    lines = StepLines(console, total)
    with (
        RunLogger(setup, state, evaluator) as logger,
        progress_bar(console) as bar,
        _deferred_interrupt() as interrupted,
    ):
        if not logger.tensorboard.installed:
            console.print("no TensorBoard files: tensorboard is not installed; the CSV files have it all")
        task = bar.add_task("training", total=total, completed=state.step)
        _evaluate(bar, logger, interrupted)  # where the last run was stopped before it could
        for report in steps(stop=interrupted, log=logger.step):
            bar.advance(task)
            lines.step(report)
            _evaluate(bar, logger, interrupted)
            bar.update(task, description=step_text(report, shown, logger.last_ap))
    if state.step < total:
        console.print(f"stopped after {state.step} of {total} steps; go on with --resume")
    elif logger.due:
        console.print("the last evaluation was interrupted; --resume does it again")
    if evaluator is not None and logger.best is not None:
        ap, step = logger.best
        best = f"best AP {100 * ap:.1f} on {evaluator.coverage}, at step {step}: {setup.out / BEST_FILE}"
        _say(console, best)
    weights = setup.out / WEIGHTS_FILE
    _say(console, f"wrote {weights}")
    chosen = weights if evaluator is None or logger.best is None else setup.out / BEST_FILE
    _say(console, f"next: pocketdet export {chosen} --out bundles")


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
            _say(bar.console, str(evaluated))
    finally:
        bar.remove_task(task)


@contextmanager
def _deferred_interrupt() -> Iterator[Callable[[], bool]]:
    """Ctrl-C and SIGTERM set a flag that the yielded function reads; a second one acts as usual."""
    asked = False
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def note(number: int, frame: object) -> None:
        nonlocal asked
        asked = True
        restore()

    for number in before:
        signal.signal(number, note)
    try:
        yield lambda: asked
    finally:
        restore()


SMOOTHING = 0.97  # of the losses on screen; the log has each step's own
SECONDS = 30.0  # between lines


def progress_bar(console: Console) -> Progress:
    """Bars with the time that is left; nothing where the console is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal)


def advancing(bar: Progress) -> Callable[[str, int], Callable[[], None]]:
    """A function that begins a bar with a title and a total, and returns what advances it."""

    def begin(title: str, total: int) -> Callable[[], None]:
        task = bar.add_task(title, total=total)
        return lambda: bar.advance(task)

    return begin


def step_text(report: "StepReport", shown: dict[str, float], ap: float | None) -> str:
    """The smoothed losses of a run and its last AP, for the left of its bar.

    Args:
        report: the last step.
        shown: the smoothed values, updated in place.
        ap: AP of the last evaluation, if there was any.
    """
    for name in ("loss", "accuracy"):
        value = report.losses[name]
        shown[name] = SMOOTHING * shown.get(name, value) + (1 - SMOOTHING) * value
    losses = f"{report.side} px  loss {shown['loss']:.3f}  class accuracy {shown['accuracy']:.2f}"
    return losses if ap is None else f"{losses}  AP {100 * ap:.1f}"


class StepLines:
    """Lines about the steps of a run where the console is no terminal, such as a file or a job's log.

    A line follows the first step, the last one, and one every `SECONDS` between. Its losses are the means of
    the steps since the line before.

    Args:
        console: where they are printed.
        total: steps of the whole run.
        clock: seconds, from any origin.
    """

    def __init__(self, console: Console, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._total, self._clock = console, total, clock
        self._begin = self._printed = clock()
        self._done, self._since = 0, list[dict[str, float]]()

    def step(self, report: "StepReport") -> None:
        """Note a finished step, and print a line if it is time to."""
        if self._console.is_terminal:
            return
        now = self._clock()
        self._done += 1
        self._since.append(report.losses)
        if self._done > 1 and report.step < self._total and now - self._printed < SECONDS:
            return
        left = round((now - self._begin) / self._done * (self._total - report.step))
        means = {name: sum(each[name] for each in self._since) / len(self._since) for name in report.losses}
        losses = "  ".join(f"{name} {value:.3f}" for name, value in means.items())
        line = f"step {report.step} of {self._total}  {losses}  {timedelta(seconds=left)} left"
        self._console.print(line, markup=False, soft_wrap=True)
        self._printed, self._since = now, []
