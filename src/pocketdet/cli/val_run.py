"""What `pocketdet val` runs: the variants of one target over a dataset, with progress, and the report."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from pocketdet.cli.val_data import EvaluationData, OpenedSource
    from pocketdet.datasets import Dataset
    from pocketdet.evaluation.evaluate import Evaluated
    from pocketdet.evaluation.inputs import EvaluationInput
    from pocketdet.evaluation.report import DataReport
    from pocketdet.evaluation.variants import Backend


def measure(
    bar: Progress,
    target: "EvaluationInput",
    backends: "Sequence[Backend]",
    dataset: "Dataset",
    score: float | None,
    threads: int,
    workers: int,
    processors: Sequence[str],
) -> "list[Evaluated]":
    """Run the backends of a target, each ncnn one once more on each processor, over the dataset."""
    from pocketdet.evaluation.evaluate import evaluate

    preparing = bar.add_task(f"{target.path.name}: preparing", total=None)

    def log(line: str) -> None:
        bar.update(preparing, description=f"{target.path.name}: exporting: {line.split(' ', 1)[-1][:40]}")

    with target.variants(backends, score=score, threads=threads, processors=processors, log=log) as variants:
        bar.remove_task(preparing)
        return [
            evaluate(
                variant,
                dataset,
                advancing(bar, f"{target.path.name}: {variant.name}", len(dataset.images)),
                workers,
            )
            for variant in variants
        ]


def described_data(opened: "OpenedSource", test_data: "EvaluationData") -> "DataReport":
    """What was measured on, for the report."""
    from pocketdet.evaluation.report import data_report

    return data_report(
        test_data.dataset,
        file=opened.source.annotations.absolute().name,
        split=opened.source.split,
        sha256=test_data.sha256,
        listed=test_data.listed,
    )


def progress_bar() -> Progress:
    """A bar on standard error, hidden where that is no terminal."""
    title = TextColumn("{task.description}", markup=False)  # a file's name may look like it
    columns = (title, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def advancing(bar: Progress, title: str, total: int) -> Callable[[], None]:
    """A new line of the bar; each call of what is returned is one step."""
    return partial(bar.advance, bar.add_task(title, total=total))
