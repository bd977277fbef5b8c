"""Half-precision weights, in the PyTorch model and in the ncnn graph, with the same values bit for bit.

The weights of convolutions and linear layers, not their biases, are rounded to IEEE halves, nearest even.
Values below the smallest normal half (2^-14) become 0 because not every CPU kernel of ncnn reads subnormal
halves. The rounded PyTorch model is the exact reference of a half-precision bundle: its conversion has the
tolerances of fp32, and the effect of rounding is reported separately. pnnx could round (`fp16=1`), but it
rounds differently and rounds the biases of Gemm, too.
"""

import copy
from collections.abc import Collection

import torch
from torch import Tensor, nn

from pocketdet.errors import ExportError
from pocketdet.models.fold_bn import Model
from pocketdet.models.ops.deform_conv import DeformConv2d
from pocketdet.runtime.ncnn_graph import Graph, encode

# the modules whose weights are stored as halves; WEIGHT_ROLES are those of the same layers in ncnn
WEIGHTED: tuple[type[nn.Module], ...] = (nn.modules.conv._ConvNd, nn.Linear, DeformConv2d)
WEIGHT_ROLES = ("weight", "b")  # of convolutions and InnerProduct; of Gemm

_SMALLEST_NORMAL = 2.0**-14


def round_to_half(model: Model, exclude: Collection[str] = ()) -> Model:
    """A copy of a model with the weights that its half-precision ncnn file holds.

    Args:
        model: a PyTorch model.
        exclude: names of the modules that are stored in fp32.

    Raises:
        ExportError: if a weight is beyond the range of a half.
    """
    rounded = copy.deepcopy(model)
    for name, module in rounded.named_modules():
        if isinstance(module, WEIGHTED) and name not in exclude:
            weight = module.get_parameter("weight")
            with torch.no_grad():
                weight.copy_(to_half(weight.detach(), f"{name}.weight"))
    return rounded


def to_half(weight: Tensor, name: str) -> Tensor:
    """`weight` rounded to halves, in its own dtype.

    Raises:
        ExportError: if a value is beyond the range of a half (65504); the message contains `name`.
    """
    half = weight.half().to(weight.dtype)
    if not torch.isfinite(half).all():
        raise ExportError(f"weight {name!r} exceeds 65504, the largest half: export it as fp32")
    return torch.where(half.abs() < _SMALLEST_NORMAL, torch.zeros_like(half), half)


def store_half(graph: Graph, exclude: Collection[str] = ()) -> int:
    """Encode every fp32 weight of a graph as halves, in place; biases and encoded weights do not change.

    Args:
        graph: an ncnn graph.
        exclude: names of the layers that are stored in fp32.

    Returns:
        The number of encoded weights.
    """
    count = 0
    for layer in graph.layers:
        if layer.name in exclude:
            continue
        for role, weight in layer.weights.items():
            if role in WEIGHT_ROLES and weight.storage == "fp32":
                layer.weights[role] = encode(weight.values(), "fp16")
                count += 1
    return count
