"""What a run is between two steps, on disk: enough to go on as if it had never stopped.

Pictures, input sizes, learning rate and every random choice are functions of the seed and the step, so
no generator state is stored: weights, their average, the optimizer's memory and the step number are all.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pocketdet.errors import CheckpointError
from pocketdet.io import atomic_write
from pocketdet.models.build import AnyDetector
from pocketdet.training.ema import Ema

STATE_FILE = "state.pt"


@dataclass
class RunState:
    """The moving parts of a run; `step` steps are done."""

    model: AnyDetector
    optimizer: torch.optim.Optimizer
    ema: Ema | None
    step: int = 0

    @property
    def weights(self) -> dict[str, torch.Tensor]:
        """What the run ships: the average where there is one."""
        return self.ema.weights if self.ema is not None else self.model.state_dict()


def save_state(folder: Path, state: RunState, fingerprint: str) -> None:
    """Write `state.pt`, whole or not at all. Raises `UsageError` if it cannot."""
    content = {
        "fingerprint": fingerprint,
        "step": state.step,
        "model": state.model.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "ema": state.ema.weights if state.ema is not None else None,
    }
    file = io.BytesIO()  # to a full disk torch fails with a RuntimeError that does not say so
    torch.save(content, file)
    atomic_write(folder / STATE_FILE, file.getvalue())


def load_state(folder: Path, state: RunState, fingerprint: str) -> None:
    """Go on from `state.pt`. Raises `CheckpointError` if it is missing, damaged or of another run."""
    path = folder / STATE_FILE
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; there is nothing to resume, leave out --resume")
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if content["fingerprint"] != fingerprint:
            raise CheckpointError(
                f"{path}: it belongs to another configuration; resume with the one it was started with, "
                "or choose another output folder"
            )
        state.model.load_state_dict(content["model"])
        state.optimizer.load_state_dict(content["optimizer"])
        if state.ema is not None:
            state.ema.load(content["ema"])
        state.step = int(content["step"])
    except CheckpointError:
        raise
    except Exception as error:  # torch raises RuntimeError, UnpicklingError, EOFError, ... for a bad file
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise CheckpointError(f"{path}: cannot be resumed from: {reason}") from error
