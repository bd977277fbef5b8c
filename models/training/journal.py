"""The log of a run: one CSV line per step, whole lines only, cut back where a resumed run starts again."""

import csv
from pathlib import Path
from types import TracebackType
from typing import Self

from pocketdet.models.training.loop import StepReport

COLUMNS = (
    *("step", "images", "side", "learning_rate", "loss", "rpn_class", "rpn_box", "head_class", "head_box"),
    *("accuracy", "gradient"),
)


class Journal:
    """Appends to a CSV file. Lines after `done` steps, from a run that was killed, are dropped first."""

    def __init__(self, path: Path, done: int) -> None:
        rows = _rows_until(path, done)
        self._file = path.open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerows([COLUMNS, *rows])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, report: StepReport) -> None:
        """Write one step."""
        start = [report.step, report.images, report.side, f"{report.learning_rate:.6g}"]
        self._writer.writerow([*start, *(f"{report.losses[name]:.6g}" for name in COLUMNS[4:])])
        self._file.flush()


def _rows_until(path: Path, done: int) -> list[list[str]]:
    if not path.is_file() or not done:
        return []
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.reader(file) if len(row) == len(COLUMNS) and row[0].isdigit()]
    return [row for row in rows if int(row[0]) <= done]
