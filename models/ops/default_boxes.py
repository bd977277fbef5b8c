"""Anchors of a level, also called default boxes. Definition: docs/reference/one-stage.md, "Anchors"."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pocketdet.spec.one_stage import default_grid


def default_boxes(
    grid: tuple[int, int],
    stride: float | tuple[float, float],
    sizes: Sequence[tuple[float, float]],
    offset: float = 0.5,
) -> Tensor:
    """Return the anchors of a level.

    Args:
        grid: (height, width) in cells.
        stride: pixels per cell, or (x, y).
        sizes: (width, height) of the A anchors of a cell in pixels.
        offset: of a cell's centre, in cells.

    Returns:
        Boxes (height * width * A, 4) in pixels, anchors innermost.
    """
    height, width = grid
    x_stride, y_stride = torch.tensor(stride, dtype=torch.float32).expand(2)
    ys = (torch.arange(height, dtype=torch.float32) + offset) * y_stride
    xs = (torch.arange(width, dtype=torch.float32) + offset) * x_stride
    centres = torch.stack([xs.expand(height, width), ys[:, None].expand(height, width)], dim=2)[:, :, None]
    half = 0.5 * torch.tensor(sizes, dtype=torch.float32)
    return torch.cat([centres - half, centres + half], dim=3).reshape(-1, 4)


def level_grids(size: tuple[int, int], strides: Sequence[int]) -> list[tuple[int, int]]:
    """Return the grids (h, w) of the maps of an input (height, width), see `default_grid`."""
    return [default_grid(size, stride) for stride in strides]
