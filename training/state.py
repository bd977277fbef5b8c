"""The state of a run between two steps, in memory and on disk.

Images, input sizes, learning rate and every random choice are functions of the seed and the step, so no
generator state is stored: weights, their average, the optimizer's state and the step number are sufficient.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pocketdet.errors import CheckpointError
from pocketdet.io import atomic_write
from pocketdet.models.build import AnyDetector, config_of
from pocketdet.training.config_file import RESUMABLE, changed_fields


class Ema:
    """Average of all floating-point state; `weights` has the keys of the model's state dict.

    The decay grows with the step, (1 + t) / (10 + t), up to its limit, so that the start is forgotten.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = {k: v.detach().clone() for k, v in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Take in the weights after step number `step`, counted from 1."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for key, value in model.state_dict().items():
            if value.is_floating_point():
                self.weights[key].lerp_(value, 1 - decay)
            else:
                self.weights[key].copy_(value)

    def load(self, weights: dict[str, Tensor]) -> None:
        """Go on from stored weights."""
        for key, value in weights.items():
            self.weights[key].copy_(value)


STATE_FILE = "state.pt"
SHOWN_NAMES = 8  # of classes, in a sentence


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
        "class_names": list(config_of(state.model).class_names),
        "step": state.step,
        "model": state.model.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "ema": state.ema.weights if state.ema is not None else None,
    }
    file = io.BytesIO()  # to a full disk torch fails with a RuntimeError that does not say so
    torch.save(content, file)
    atomic_write(folder / STATE_FILE, file.getvalue())


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= SHOWN_NAMES else f"{', '.join(names[:SHOWN_NAMES])} ..."


def load_state(folder: Path, state: RunState, fingerprint: str) -> None:
    """Go on from `state.pt`. Raises `CheckpointError` if it is missing, damaged or of another run."""
    path = folder / STATE_FILE
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; there is nothing to resume, leave out --resume")
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        changes = changed_fields(content["fingerprint"], fingerprint)
        names = list(config_of(state.model).class_names)
        if content.get("class_names", names) != names:  # runs before 0.2 do not say
            changes.append(f"the classes were {_listed(content['class_names'])} and are {_listed(names)}")
        if changes:
            raise CheckpointError(
                f"{path}: {'; '.join(changes)}: a resumed run may change {' and '.join(RESUMABLE)}; change "
                "what else is different back, or choose another folder (out)"
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
