"""What is in a picture of a batch."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Truth:
    """True boxes (G, 4) in input pixels and labels (G,) of one picture, and boxes (K, 4) not to judge.

    `seed` is that of the draws among its targets; all tensors are on the CPU.
    """

    boxes: Tensor
    labels: Tensor
    ignored: Tensor
    seed: int
