"""Priors of a level: anchors, default boxes or points. Definition: docs/reference/one-stage.md, "Anchors"."""

from collections.abc import Sequence

import torch
from torch import Tensor


def default_boxes(
    grid: tuple[int, int], stride: int, sizes: Sequence[tuple[float, float]], offset: float = 0.5
) -> Tensor:
    """Boxes (h * w * A, 4) in pixels for a grid (h, w) of cells and A sizes (width, height)."""
    height, width = grid
    ys = (torch.arange(height, dtype=torch.float32) + offset) * stride
    xs = (torch.arange(width, dtype=torch.float32) + offset) * stride
    centres = torch.stack([xs.expand(height, width), ys[:, None].expand(height, width)], dim=2)[:, :, None]
    half = 0.5 * torch.tensor(sizes, dtype=torch.float32)
    return torch.cat([centres - half, centres + half], dim=3).reshape(-1, 4)


def level_grids(size: tuple[int, int], strides: Sequence[int]) -> list[tuple[int, int]]:
    """Grids (h, w) of maps of an input (height, width): sides divided by each stride, rounded up.

    So do convolutions and pools that halve with padding, one after the other.
    """
    return [(-(-size[0] // s), -(-size[1] // s)) for s in strides]
