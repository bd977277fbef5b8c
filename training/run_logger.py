"""Files that a training run writes beside its checkpoints.

`log.csv` has a line per step, `evaluations.csv` one per evaluation, two after the last step
(`evaluation.Measured`); `tensorboard/` has both as curves. `detections-<step>.jpg` shows annotated and
detected boxes in a few images. `best.safetensors` are the weights with the highest AP on the images that all
evaluations share. Use it with a validation set, not with a test set.
"""

import csv
import errno
import io
import math
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from pocketdet.datasets import read_stored_image
from pocketdet.errors import CheckpointError, UsageError
from pocketdet.io import atomic_write, os_errors
from pocketdet.models.checkpoint import read_card
from pocketdet.training.build_loss import term_names
from pocketdet.training.config import TrainConfig
from pocketdet.training.evaluation import SCORES, Evaluated, Evaluator, Measured, write_detection_grid
from pocketdet.training.loop import StepReport, save_weights
from pocketdet.training.state import RunState


def step_columns(config: TrainConfig) -> tuple[str, ...]:
    """The header of `log.csv`."""
    return ("step", "images", "side", "learning_rate", "loss", *term_names(config.rule), "gradient")


class CsvLogger:
    """Appends to a CSV file whose first column is the step.

    Args:
        path: the file.
        columns: its header.
        done: lines of later steps, from a run that was killed, are dropped; `previous` are the others.

    Raises:
        UsageError: if the file cannot be written.
    """

    def __init__(self, path: Path, columns: Sequence[str], done: int) -> None:
        self.columns = tuple(columns)
        self._path = path
        try:
            self.previous = _rows_until(path, self.columns, done)
            atomic_write(path, _lines([self.columns, *self.previous]))
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise self._unwritable(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, *rows: Sequence[object]) -> None:
        """Append rows, all or none, with a cell for each column; floats have six significant digits.

        Raises:
            UsageError: if they cannot be written.
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
    """The values of a step, in the order of `step_columns`."""
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


EVERY = 10  # steps between points of the losses; log.csv has all of them


class TensorBoardLogger:
    """Writes to a folder that `tensorboard --logdir` reads, or nowhere if tensorboard is not installed.

    Points after `done` steps, from a run that was killed, are hidden by those that follow.
    Raises `UsageError` if the folder cannot be written.
    """

    def __init__(self, folder: Path, done: int) -> None:
        self._folder, self._writer = folder, None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return
        with self._writing():
            self._writer = SummaryWriter(str(folder), purge_step=done + 1)

    @property
    def installed(self) -> bool:
        """Whether tensorboard is installed; nothing is written without it."""
        return self._writer is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            with self._writing():
                self._writer.close()

    def step(self, report: StepReport) -> None:
        """Add the losses and the learning rate, every `EVERY` steps."""
        if self._writer is None or report.step % EVERY:
            return
        for name, value in {**report.losses, "learning_rate": report.learning_rate}.items():
            self._scalar(f"training/{name}", value, report.step)

    def evaluation(self, evaluated: Evaluated) -> None:
        """Add average precision, in a group of curves named by the number of images."""
        for name in SCORES:
            self._scalar(
                f"evaluation_{evaluated.evaluated}_pictures/{name}", getattr(evaluated, name), evaluated.step
            )

    def image(self, grid: NDArray[np.uint8], step: int) -> None:
        """Add the grid of detections, (H, W, 3) RGB."""
        if self._writer is not None:
            with self._writing():
                self._writer.add_image("detections", grid, step, dataformats="HWC")
                self._writer.flush()

    def _scalar(self, tag: str, value: float, step: int) -> None:
        if self._writer is not None and math.isfinite(value):  # AP of a size that no object has
            with self._writing():
                self._writer.add_scalar(tag, value, step)

    def _writing(self) -> AbstractContextManager[None]:
        return os_errors(UsageError, f"{self._folder}: cannot be written")


BEST_FILE = "best.safetensors"
_AP, _OVER, _STEP = "AP", "AP measured on", "step"  # in its card
# "pictures" is the number of images evaluated; runs before 0.2 are resumed, so the name stays
EVALUATION_COLUMNS = ("step", "images", "pictures", *SCORES, "seconds")


def _evaluation_cells(evaluated: Evaluated) -> list[float]:
    scores = [getattr(evaluated, name) for name in SCORES]
    return [evaluated.step, evaluated.images, evaluated.evaluated, *scores, evaluated.seconds]


class RunLogger:
    """Writes the files of a run; each continues at the step of `state`. Raises `UsageError` if it cannot.

    Attributes:
        best: (AP, step) of the weights in `best.safetensors`, if there are any of this run.
        last_ap: AP of the last evaluation since the run was started or resumed, if there was any.
        tensorboard: the TensorBoard files.
    """

    def __init__(self, config: TrainConfig, state: RunState, evaluator: Evaluator | None) -> None:
        self._config, self._state, self._evaluator = config, state, evaluator
        self.best: tuple[float, int] | None = None
        self.last_ap: float | None = None
        self._evaluated: set[int] = set()
        self._files = ExitStack()

    def __enter__(self) -> Self:
        out, done = self._config.out, self._state.step
        with os_errors(UsageError, f"{out}: the folder cannot be made"):
            out.mkdir(parents=True, exist_ok=True)
        with ExitStack() as files:
            self._steps = files.enter_context(CsvLogger(out / "log.csv", step_columns(self._config), done))
            if self._evaluator is not None:
                path = out / "evaluations.csv"
                self._evaluations = files.enter_context(CsvLogger(path, EVALUATION_COLUMNS, done))
                self._evaluated = {int(row[0]) for row in self._evaluations.previous}
                if done:
                    self.best = _best_so_far(out / BEST_FILE, self._evaluator.coverage)
            self.tensorboard = files.enter_context(TensorBoardLogger(out / "tensorboard", done))
            self._files = files.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def step(self, report: StepReport) -> None:
        """Log a finished step, before its checkpoint is written. Raises `UsageError`."""
        self._steps.add(step_cells(report))
        self.tensorboard.step(report)

    @property
    def due(self) -> int:
        """How many images to evaluate now; 0 if no evaluation is due."""
        step, rule = self._state.step, self._config.evaluation
        if self._evaluator is None or rule is None or step in self._evaluated:
            return 0
        if self._over or (step and step % rule.every == 0):
            return self._evaluator.image_count(everything=self._over)
        return 0

    def evaluate(
        self, progress: Callable[[], None] = lambda: None, stop: Callable[[], bool] = lambda: False
    ) -> tuple[Evaluated, ...]:
        """Evaluate the current weights and write the results.

        Args:
            progress: called after each image.
            stop: the evaluation is abandoned, and nothing written, once this is true.

        Raises:
            ImageError: if an image can no longer be read.
            UsageError: if a file cannot be written.
        """
        assert self._evaluator is not None
        batch = self._config.schedule.batch
        measured = self._evaluator.measure(
            self._state, batch, everything=self._over, progress=progress, stop=stop
        )
        if measured is None:
            return ()
        self._write(measured)
        return measured.evaluations

    @property
    def _over(self) -> bool:
        return self._state.step >= self._config.schedule.steps

    def _write(self, measured: Measured) -> None:
        """Write the CSV lines last: they mark the evaluation as done."""
        shared, out = measured.evaluations[0], self._config.out
        if self.best is None or shared.ap > self.best[0]:
            self.best = (shared.ap, shared.step)
            card = {_AP: str(shared.ap), _OVER: shared.coverage, _STEP: str(shared.step)}
            with torch.random.fork_rng(devices=()):  # fresh layers draw from the global stream
                save_weights(out / BEST_FILE, self._config, self._state, card)
        grid = out / f"detections-{shared.step}.jpg"
        write_detection_grid(grid, measured)
        for evaluated in measured.evaluations:
            self.tensorboard.evaluation(evaluated)
        self.tensorboard.image(read_stored_image(grid), shared.step)
        self._evaluations.add(*(_evaluation_cells(evaluated) for evaluated in measured.evaluations))
        self._evaluated.add(shared.step)
        self.last_ap = shared.ap


def _best_so_far(path: Path, coverage: str) -> tuple[float, int] | None:
    """(AP, step) of the weights at `path`, if they were measured on as many images."""
    try:
        card = read_card(path)
        measured_on = card[_OVER].replace("picture", "image")  # of runs before 0.2
        return (float(card[_AP]), int(card[_STEP])) if measured_on == coverage else None
    except (CheckpointError, KeyError, ValueError):
        return None
