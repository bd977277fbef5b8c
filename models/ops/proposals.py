"""Anchors, and from RPN maps to RoIs: docs/reference/definitions.md, "Anchors" and "Proposals"."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pocketdet.models.config import Anchors, Proposals
from pocketdet.models.ops.boxes import clip_boxes, decode_boxes
from pocketdet.models.ops.nms import argsort_descending, nms


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


@dataclass(frozen=True)
class RoIs:
    """boxes (R, 4) in network pixels, anchor indices (R,), objectness logits (R,), best first."""

    boxes: Tensor
    indices: Tensor
    logits: Tensor


@torch.no_grad()
def propose(scores: Tensor, deltas: Tensor, anchors: Anchors, rule: Proposals, size: tuple[int, int]) -> RoIs:
    """RPN scores (2A, h, w) and deltas (4A, h, w) of one image of `size` (height, width) -> proposals.

    They carry no gradient: in training it reaches the RPN through its losses and through SAM (equation 2).
    """
    count = scores.shape[0] // 2
    logits = (scores[count:] - scores[:count]).permute(1, 2, 0).reshape(-1)
    flat = deltas.reshape(count, 4, *deltas.shape[1:]).permute(2, 3, 0, 1).reshape(-1, 4)
    grid = (scores.shape[1], scores.shape[2])
    boxes = make_anchors(grid, anchors.stride, anchors.sizes(), scores.device)

    finite = torch.isfinite(logits).nonzero()[:, 0]
    top = finite[argsort_descending(logits[finite])][: rule.pre_nms_top_n]
    decoded = clip_boxes(decode_boxes(flat[top], boxes[top], (1.0, 1.0, 1.0, 1.0)), size)
    sides = decoded[:, 2:] - decoded[:, :2]
    sound = torch.isfinite(decoded).all(dim=1) & (sides >= rule.min_size).all(dim=1)
    top, decoded = top[sound], decoded[sound]
    keep = nms(decoded, logits[top], rule.nms_iou)[: rule.post_nms_top_n]
    return RoIs(decoded[keep], top[keep], logits[top[keep]])
