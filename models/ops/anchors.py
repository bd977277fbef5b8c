"""Anchors of a grid. Definition: docs/reference/definitions.md, "Anchors"."""

from collections.abc import Sequence

import torch
from torch import Tensor


def make_anchors(
    grid: tuple[int, int],
    stride: int,
    sizes: Sequence[tuple[float, float]],
    device: torch.device | None = None,
) -> Tensor:
    """Boxes (h * w * A, 4) for a grid (h, w) of cells and A sizes (width, height), in pixels."""
    height, width = grid
    ys = (torch.arange(height, dtype=torch.float32, device=device) + 0.5) * stride
    xs = (torch.arange(width, dtype=torch.float32, device=device) + 0.5) * stride
    centers = torch.stack(torch.meshgrid(ys, xs, indexing="ij")[::-1], dim=-1)[:, :, None, :]
    half = 0.5 * torch.tensor(sizes, dtype=torch.float32, device=device)
    return torch.cat([centers - half, centers + half], dim=-1).reshape(-1, 4)
