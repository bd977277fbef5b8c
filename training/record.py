"""What a run leaves behind beside its checkpoints.

`log.csv` has a line per step, `evaluations.csv` one per evaluation, two after the last step
(`evaluation.Measured`); `tensorboard/` has both as curves. `detections-<step>.jpg` shows true and found
boxes in a few pictures. `best.safetensors` are the weights of the highest AP over the pictures that all
evaluations share: for sets that may choose weights, which a test set may not.
"""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import torch

from pocketdet.datasets import read_picture
from pocketdet.errors import CheckpointError, UsageError
from pocketdet.models.checkpoint import read_card
from pocketdet.training.board import Board
from pocketdet.training.config import TrainConfig
from pocketdet.training.evaluation import SCORES, Evaluated, Evaluator, Measured
from pocketdet.training.journal import Journal, step_cells, step_columns
from pocketdet.training.loop import StepReport, save_weights
from pocketdet.training.sheet import write_sheet
from pocketdet.training.state import RunState

BEST_FILE = "best.safetensors"
_AP, _OVER, _STEP = "AP", "AP measured on", "step"  # in its card
EVALUATION_COLUMNS = ("step", "images", "pictures", *SCORES, "seconds")


class Record:
    """Writes while the run goes on; each file continues where `state` does. Raises `UsageError` if it cannot.

    Attributes:
        best: (AP, step) of the weights in `best.safetensors`, if there are any of this run.
        last_ap: AP of the last evaluation since the run was started or resumed, if there was any.
        board: the TensorBoard files.
    """

    def __init__(self, config: TrainConfig, state: RunState, evaluator: Evaluator | None) -> None:
        self._config, self._state, self._evaluator = config, state, evaluator
        self.best: tuple[float, int] | None = None
        self.last_ap: float | None = None
        self._evaluated: set[int] = set()
        self._files = ExitStack()

    def __enter__(self) -> Self:
        out, done = self._config.out, self._state.step
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{out}: the folder cannot be made: {error.strerror or error}") from error
        with ExitStack() as files:
            self._steps = files.enter_context(Journal(out / "log.csv", step_columns(self._config), done))
            if self._evaluator is not None:
                path = out / "evaluations.csv"
                self._evaluations = files.enter_context(Journal(path, EVALUATION_COLUMNS, done))
                self._evaluated = {int(row[0]) for row in self._evaluations.kept}
                if done:
                    self.best = _best_so_far(out / BEST_FILE, self._evaluator.extent)
            self.board = files.enter_context(Board(out / "tensorboard", done))
            self._files = files.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.close()

    def step(self, report: StepReport) -> None:
        """Take in a step that is done, before its checkpoint is written. Raises `UsageError`."""
        self._steps.add(step_cells(report))
        self.board.step(report)

    @property
    def due(self) -> int:
        """Pictures to evaluate now, 0 if it is not the time or it is done."""
        step, rule = self._state.step, self._config.evaluation
        if self._evaluator is None or rule is None or step in self._evaluated:
            return 0
        if self._over or (step and step % rule.every == 0):
            return self._evaluator.pictures(everything=self._over)
        return 0

    def evaluate(
        self, progress: Callable[[], None] = lambda: None, stop: Callable[[], bool] = lambda: False
    ) -> tuple[Evaluated, ...]:
        """Measure the weights as they are and write it down; nothing if `stop` said so meanwhile.

        Raises `ImageError` if a picture can no longer be read, `UsageError` if a file cannot be written.
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
        """The lines of the CSV file come last: with them the evaluation counts as done."""
        shared, out = measured.evaluations[0], self._config.out
        if self.best is None or shared.ap > self.best[0]:
            self.best = (shared.ap, shared.step)
            card = {_AP: str(shared.ap), _OVER: shared.extent, _STEP: str(shared.step)}
            with torch.random.fork_rng(devices=()):  # fresh layers draw from the global stream
                save_weights(out / BEST_FILE, self._config, self._state, card)
        sheet = out / f"detections-{shared.step}.jpg"
        write_sheet(sheet, measured)
        for evaluated in measured.evaluations:
            self.board.evaluation(evaluated)
        self.board.picture(read_picture(sheet), shared.step)
        self._evaluations.add(
            *([getattr(evaluated, name) for name in EVALUATION_COLUMNS] for evaluated in measured.evaluations)
        )
        self._evaluated.add(shared.step)
        self.last_ap = shared.ap


def _best_so_far(path: Path, extent: str) -> tuple[float, int] | None:
    """(AP, step) of the weights at `path`, if they were measured on as many pictures."""
    try:
        card = read_card(path)
        return (float(card[_AP]), int(card[_STEP])) if card[_OVER] == extent else None
    except (CheckpointError, KeyError, ValueError):
        return None
