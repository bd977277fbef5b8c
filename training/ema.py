"""A running average of weights: what is evaluated and shipped after a short schedule."""

import torch
from torch import Tensor, nn


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
