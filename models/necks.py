"""Feature pyramids (Lin et al. 2017): one top-down path, and RetinaNet's two extra levels."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


class TopDown(nn.Module):
    """Maps of any number of levels, finest first -> as many maps of one width.

    Each map passes a 1x1; from the coarsest down, the map above is added, enlarged by its nearest neighbours;
    then a 3x3. `smooth_top=False` leaves out the coarsest map's 3x3, which mixes with nothing (PASSD: only so
    do its parameters come to the paper's).
    """

    def __init__(self, in_channels: Sequence[int], width: int, *, smooth_top: bool = True) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(c, width, 1) for c in in_channels)
        smoothed = len(in_channels) if smooth_top else len(in_channels) - 1
        self.smooth = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(smoothed))

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """(N, C_l, h_l, w_l) per level -> (N, width, h_l, w_l) per level."""
        merged: list[Tensor] = []
        for lateral, x in zip(reversed(self.lateral), reversed(maps), strict=True):
            level = lateral(x)
            if merged:
                level = level + F.interpolate(merged[-1], size=level.shape[2:], mode="nearest")
            merged.append(level)
        merged.reverse()
        smoothed = [smooth(x) for smooth, x in zip(self.smooth, merged, strict=False)]
        return (*smoothed, *merged[len(smoothed) :])


class FeaturePyramid(nn.Module):
    """RetinaNet's pyramid: the top-down levels, P6 from C5 and P7 from P6, each by a 3x3 of stride 2."""

    def __init__(self, in_channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.top_down = TopDown(in_channels, width)
        self.p6 = nn.Conv2d(in_channels[-1], width, 3, 2, 1)
        self.p7 = nn.Conv2d(width, width, 3, 2, 1)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """C maps, finest first, ending with C5 -> P maps of the same levels, P6 and P7."""
        p6 = self.p6(maps[-1])
        return (*self.top_down(maps), p6, self.p7(F.relu(p6)))
