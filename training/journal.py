"""A log of a run: a CSV file of whole lines, cut back where a resumed run starts again."""

import csv
import errno
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from pocketdet.errors import UsageError
from pocketdet.io import atomic_write
from pocketdet.training.config import TrainConfig
from pocketdet.training.loop import StepReport
from pocketdet.training.passes import term_names


def step_columns(config: TrainConfig) -> tuple[str, ...]:
    """The head of a run's log."""
    return ("step", "images", "side", "learning_rate", "loss", *term_names(config.rule), "gradient")


class Journal:
    """Appends to a CSV file whose first column is the step.

    Lines after `done` steps, from a run that was killed, are dropped first; `kept` are the others.
    Raises `UsageError` if the file cannot be written.
    """

    def __init__(self, path: Path, columns: Sequence[str], done: int) -> None:
        self.columns = tuple(columns)
        self._path = path
        try:
            self.kept = _rows_until(path, self.columns, done)
            atomic_write(path, _lines([self.columns, *self.kept]))
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise self._unwritable(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, *rows: Sequence[object]) -> None:
        """Write lines, all or none, a cell for each column; numbers that are not whole get six digits.

        Raises `UsageError` if they cannot be written.
        """
        for cells in rows:
            if len(cells) != len(self.columns):
                raise ValueError(f"{len(cells)} cells for {len(self.columns)} columns")
        shown = [[f"{cell:.6g}" if isinstance(cell, float) else cell for cell in cells] for cells in rows]
        content = _lines(shown).encode()
        size = os.fstat(self._file.fileno()).st_size
        try:
            if self._file.write(content) != len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            self._file.truncate(size)
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> UsageError:
        return UsageError(f"{self._path}: cannot be written: {error.strerror or error}")


def step_cells(report: StepReport) -> list[object]:
    """A step under `step_columns`."""
    return [report.step, report.images, report.side, report.learning_rate, *report.losses.values()]


def _rows_until(path: Path, columns: tuple[str, ...], done: int) -> list[list[str]]:
    if not path.is_file() or not done:
        return []
    content = path.read_text(encoding="utf-8", errors="replace")
    whole = content[: content.rfind("\n") + 1]  # a run that was killed may have left a part of a line
    rows = [row for row in csv.reader(io.StringIO(whole)) if len(row) == len(columns) and row[0].isdigit()]
    return [row for row in rows if int(row[0]) <= done]


def _lines(rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
