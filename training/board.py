"""The curves of a run as TensorBoard event files."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from pocketdet.errors import UsageError
from pocketdet.training.evaluation import SCORES, Evaluated
from pocketdet.training.loop import StepReport

EVERY = 10  # steps between points of the losses; log.csv has all of them


class Board:
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
        """Whether anything is written."""
        return self._writer is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            with self._writing():
                self._writer.close()

    def step(self, report: StepReport) -> None:
        """Losses and learning rate, every `EVERY` steps."""
        if self._writer is None or report.step % EVERY:
            return
        for name, value in {**report.losses, "learning_rate": report.learning_rate}.items():
            self._scalar(f"training/{name}", value, report.step)

    def evaluation(self, evaluated: Evaluated) -> None:
        """Average precision, in a group of curves that says over how many pictures."""
        for name in SCORES:
            self._scalar(
                f"evaluation_{evaluated.pictures}_pictures/{name}", getattr(evaluated, name), evaluated.step
            )

    def picture(self, sheet: NDArray[np.uint8], step: int) -> None:
        """The picture of detections, (H, W, 3) RGB."""
        if self._writer is not None:
            with self._writing():
                self._writer.add_image("detections", sheet, step, dataformats="HWC")
                self._writer.flush()

    def _scalar(self, tag: str, value: float, step: int) -> None:
        if self._writer is not None and math.isfinite(value):  # AP of a size that no object has
            with self._writing():
                self._writer.add_scalar(tag, value, step)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UsageError(f"{self._folder}: cannot be written: {error.strerror or error}") from error
