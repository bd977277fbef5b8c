"""Greedy and soft non-maximum suppression. Definition: docs/reference/definitions.md, "IoU and NMS"."""

from typing import Literal

import torch
from torch import Tensor

from pocketdet.models.ops.boxes import box_iou, exp_float64


def finite_indices(boxes: Tensor, scores: Tensor) -> Tensor:
    """Indices of the candidates whose score and coordinates are finite."""
    return (torch.isfinite(scores) & torch.isfinite(boxes).all(dim=1)).nonzero()[:, 0]


def argsort_descending(scores: Tensor) -> Tensor:
    """Indices by score descending, ties by index ascending."""
    return torch.sort(scores, descending=True, stable=True).indices


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Indices (K,) of the boxes (N, 4) that survive, best first."""
    order = finite_indices(boxes, scores)
    order = order[argsort_descending(scores[order])]
    keep = []
    while len(order):
        best, rest = order[0], order[1:]
        keep.append(best)
        order = rest[box_iou(boxes[best][None], boxes[rest])[0] <= iou_threshold]
    return torch.stack(keep) if keep else order


def soft_nms(
    boxes: Tensor,
    scores: Tensor,
    method: Literal["linear", "gaussian"],
    iou_threshold: float,
    sigma: float,
    score_threshold: float,
) -> tuple[Tensor, Tensor]:
    """Indices (K,) and decayed scores (K,), in the order in which they were taken (Bodla et al. 2017)."""
    remaining = finite_indices(boxes, scores)
    current = scores.clone()
    indices, taken = [], []
    remaining = remaining[current[remaining] > score_threshold]
    while len(remaining):
        best = remaining[int(argsort_descending(current[remaining])[0])]
        indices.append(best)
        taken.append(current[best])
        remaining = remaining[remaining != best]
        iou = box_iou(boxes[best][None], boxes[remaining])[0]
        if method == "linear":
            decay = torch.where(iou > iou_threshold, 1 - iou, torch.ones_like(iou))
        else:
            decay = exp_float64(-(iou * iou) / sigma)
        current[remaining] = current[remaining] * decay
        remaining = remaining[current[remaining] > score_threshold]
    if not indices:
        return remaining, scores[remaining]
    return torch.stack(indices), torch.stack(taken)
