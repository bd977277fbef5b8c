"""A log of a run: a CSV file of whole lines, cut back where a resumed run starts again."""

import csv
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from pocketdet.models.training.config import TrainConfig
from pocketdet.models.training.loop import StepReport
from pocketdet.models.training.passes import term_names


def step_columns(config: TrainConfig) -> tuple[str, ...]:
    """The head of a run's log."""
    return ("step", "images", "side", "learning_rate", "loss", *term_names(config.rule), "gradient")


class Journal:
    """Appends to a CSV file whose first column is the step.

    Lines after `done` steps, from a run that was killed, are dropped first; `kept` are the others.
    Raises `OSError` if the file cannot be written.
    """

    def __init__(self, path: Path, columns: Sequence[str], done: int) -> None:
        self.columns = tuple(columns)
        self.kept = _rows_until(path, self.columns, done)
        scratch = path.with_name(f".{path.name}")
        with scratch.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([self.columns, *self.kept])
        scratch.replace(path)
        self._file = path.open("a", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, lineterminator="\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, cells: Sequence[object]) -> None:
        """Write one line, a cell for each column; numbers that are not whole get six digits."""
        if len(cells) != len(self.columns):
            raise ValueError(f"{len(cells)} cells for {len(self.columns)} columns")
        self._writer.writerow([f"{cell:.6g}" if isinstance(cell, float) else cell for cell in cells])
        self._file.flush()


def step_cells(report: StepReport) -> list[object]:
    """A step under `step_columns`."""
    return [report.step, report.images, report.side, report.learning_rate, *report.losses.values()]


def _rows_until(path: Path, columns: tuple[str, ...], done: int) -> list[list[str]]:
    if not path.is_file() or not done:
        return []
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        rows = [row for row in csv.reader(file) if len(row) == len(columns) and row[0].isdigit()]
    return [row for row in rows if int(row[0]) <= done]
