"""Multiply-accumulates of any model, by part: what `models/counting.py` does for ThunderNet's three parts."""

import copy

import torch
from torch import Tensor, nn

from pocketdet.models.counting import Cost
from pocketdet.models.ops.deform_conv import DeformConv2d

_LAYERS = (nn.Conv2d, nn.Linear, DeformConv2d)


def layer_cost(model: nn.Module, size: tuple[int, int], depth: int = 1) -> Cost:
    """Cost of one image of `size` (height, width), parameters with batch norm folded.

    MACs are summed by the first `depth` components of the module's name. A deformable convolution counts as
    the convolution it replaces. A copy without values runs, so `model` keeps its mode and statistics.
    """
    model = copy.deepcopy(model).to("meta").eval()
    macs: dict[str, int] = {}
    for name, module in model.named_modules():
        if isinstance(module, _LAYERS):
            part = ".".join(name.split(".")[:depth])

            def add(layer: nn.Module, _: object, output: Tensor, part: str = part) -> None:
                assert isinstance(layer.weight, Tensor)
                macs[part] = macs.get(part, 0) + output.numel() * layer.weight[0].numel()

            module.register_forward_hook(add)
    with torch.no_grad():
        model(torch.zeros(1, 3, *size, device="meta"))
    return Cost(macs, _folded_parameters(model))


def _folded_parameters(model: nn.Module) -> int:
    """All but batch norm's own, and a bias in each layer."""
    norms = sum(p.numel() for m in model.modules() if isinstance(m, nn.BatchNorm2d) for p in m.parameters())
    missing = (m.weight.shape[0] for m in model.modules() if isinstance(m, _LAYERS) and m.bias is None)
    return sum(p.numel() for p in model.parameters()) - norms + sum(missing)
