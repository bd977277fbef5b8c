"""`pocketdet train`: a run from a TOML file."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from pocketdet.models.training.augment import Recipe
    from pocketdet.models.training.config import TrainConfig
    from pocketdet.models.training.loop import StepReport
    from pocketdet.models.training.state import RunState

SMOOTHING = 0.97  # of the losses on screen; the log has each step's own


def train(
    config: Annotated[Path, typer.Argument(help="A TOML file; models/training/recipes has examples.")],
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out pictures and boxes that are wrong.")
    ] = False,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of PyTorch.")] = 1,
) -> None:
    """Train a detector; checkpoints, weights and a CSV log go to the folder that the file names.

    Ctrl-C writes a checkpoint after the step in progress. Example: pocketdet train fod_a.toml --resume
    """
    import torch

    from pocketdet.models.training.config_file import read_config
    from pocketdet.models.training.loop import start_run
    from pocketdet.models.training.memory import keep_freed_memory
    from pocketdet.models.training.run import make_recipe, read_sources

    torch.set_num_threads(threads)
    keep_freed_memory()
    console = Console(highlight=False)
    setup = read_config(config)
    with _bar(console) as bar:
        advancing = _advancing(bar)
        datasets = read_sources(setup, skip_bad=skip_bad, progress=advancing)
        names = datasets[0].class_names
        state = start_run(setup, setup.detector(names), resume=resume)
        recipe = make_recipe(setup, datasets, advancing)
    pictures = sum(len(dataset.images) for dataset in datasets)
    objects = sum(dataset.objects for dataset in datasets)
    console.print(f"{pictures} pictures, {objects} objects, {len(names)} classes")
    _run(console, setup, recipe, state)


def _run(console: Console, setup: "TrainConfig", recipe: "Recipe", state: "RunState") -> None:
    from pocketdet.models.training.journal import Journal
    from pocketdet.models.training.loop import WEIGHTS_FILE, train

    setup.out.mkdir(parents=True, exist_ok=True)
    shown: dict[str, float] = {}
    total = setup.schedule.steps
    with (
        Journal(setup.out / "log.csv", state.step) as journal,
        _bar(console) as bar,
        _deferred_interrupt() as interrupted,
    ):
        task = bar.add_task("training", total=total, completed=state.step)
        for report in train(setup, recipe, state, stop=interrupted):
            journal.add(report)
            bar.update(task, advance=1, description=_line(report, shown))
    weights = setup.out / WEIGHTS_FILE
    if state.step < total:
        console.print(f"stopped after {state.step} of {total} steps; go on with --resume")
    console.print(f"wrote {weights}", markup=False)
    console.print(f"next: pocketdet export {weights} --out bundles", markup=False, soft_wrap=True)


def _line(report: "StepReport", shown: dict[str, float]) -> str:
    """The smoothed losses of a run, for the left of its bar."""
    for name in ("loss", "accuracy"):
        value = report.losses[name]
        shown[name] = SMOOTHING * shown.get(name, value) + (1 - SMOOTHING) * value
    return f"{report.side} px  loss {shown['loss']:.3f}  class accuracy {shown['accuracy']:.2f}"


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
