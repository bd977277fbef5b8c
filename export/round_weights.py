"""Half-precision storage, as the PyTorch model it amounts to.

The weights of convolutions and linear layers, not their biases, are rounded to IEEE halves, nearest even.
What is below the smallest normal half (2^-14) becomes 0, since not every CPU path of ncnn reads subnormal
halves. A model with the same rounding is the exact reference of such a bundle: its conversion is judged by
the limits of fp32, and what rounding itself costs is told apart from it.
"""

import copy
from collections.abc import Collection

import torch
from torch import Tensor, nn

from pocketdet.errors import ExportError
from pocketdet.models.fold_bn import Model
from pocketdet.models.ops.deform_conv import DeformConv2d

# whose weights are stored as halves; ncnn's files round the same
WEIGHTED: tuple[type[nn.Module], ...] = (nn.modules.conv._ConvNd, nn.Linear, DeformConv2d)

_SMALLEST_NORMAL = 2.0**-14


def round_to_half(model: Model, leave: Collection[str] = ()) -> Model:
    """A copy of `model` with the weights that a half-precision ncnn file of it holds.

    `leave` names the modules that are stored in fp32. Raises `ExportError` as `to_half`.
    """
    rounded = copy.deepcopy(model)
    for name, module in rounded.named_modules():
        if isinstance(module, WEIGHTED) and name not in leave:
            weight = module.get_parameter("weight")
            with torch.no_grad():
                weight.copy_(to_half(weight.detach(), f"{name}.weight"))
    return rounded


def to_half(weight: Tensor, name: str) -> Tensor:
    """`weight` as the floats that its halves are.

    Raises `ExportError` naming it if it is beyond the range of a half (65504).
    """
    half = weight.half().to(weight.dtype)
    if not torch.isfinite(half).all():
        raise ExportError(f"weight {name!r} exceeds 65504, the largest half: export it as fp32")
    return torch.where(half.abs() < _SMALLEST_NORMAL, torch.zeros_like(half), half)
