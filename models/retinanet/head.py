"""RetinaNet's branches and the blocks that make D3 lighter. Light-Weight RetinaNet, Figures 4 and 5."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pocketdet.models.retinanet.config import Block

PRIOR_PROBABILITY = 0.01  # of an object at the start of training (Lin et al. 2017, section 4.1)


def branch(block: Block, width: int, depth: int, outputs: int) -> nn.Sequential:
    """`depth` convolutions with ReLU and one that predicts.

    "original": 3x3; "v1": 3x3 depthwise and 1x1; "v2": 1x1 and 3x3 by turns, and a 3x3 that predicts; "v3":
    1x1. Only so do the GFLOPs come to Table 3: v3's prediction is a 1x1, v2's a 3x3.
    """
    layers: list[nn.Module] = []
    for index in range(depth):
        layers += [*_layer(block, width, width, index), nn.ReLU(inplace=True)]
    last = depth if block != "v2" else 1
    return nn.Sequential(*layers, *_layer(block, width, outputs, last))


def _layer(block: Block, in_channels: int, out_channels: int, index: int) -> list[nn.Module]:
    if block == "v1":
        depthwise = nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels)
        return [depthwise, nn.ReLU(inplace=True), nn.Conv2d(in_channels, out_channels, 1)]
    pointwise = block == "v3" or (block == "v2" and index % 2 == 0)
    kernel = 1 if pointwise else 3
    return [nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2)]


class Branch(nn.Module):
    """One branch on all levels: `shared` on all, or `light` on the finest and `shared` on the others."""

    def __init__(self, block: Block, width: int, depth: int, outputs: int) -> None:
        super().__init__()
        self.shared = branch("original", width, depth, outputs)
        self.light = None if block == "original" else branch(block, width, depth, outputs)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """(N, width, h_l, w_l) per level, finest first -> (N, outputs, h_l, w_l) per level."""
        first = self.shared if self.light is None else self.light
        return [first(maps[0]), *(self.shared(x) for x in maps[1:])]

    def last_layers(self) -> list[nn.Conv2d]:
        """The convolutions that predict: the shared one, and the light one where there is one."""
        found = [layers[-1] for layers in (self.shared, self.light) if layers is not None]
        return [layer for layer in found if isinstance(layer, nn.Conv2d)]

    @torch.no_grad()
    def set_prior(self, probability: float) -> None:
        """Bias of the predictions so that a fresh branch answers `probability` after a sigmoid."""
        for last in self.last_layers():
            assert last.bias is not None
            last.bias.fill_(-math.log((1 - probability) / probability))
