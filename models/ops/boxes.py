"""Box arithmetic and suppression in torch: docs/reference/definitions.md, "Box coding", "IoU and NMS"."""

import math
from typing import Literal

import torch
from torch import Tensor

MAX_LOG_SCALE = math.log(1000 / 16)


def box_area(boxes: Tensor) -> Tensor:
    """(N, 4) -> (N,) areas in square pixels."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def box_iou(a: Tensor, b: Tensor) -> Tensor:
    """(N, 4), (M, 4) -> (N, M) intersection over union, 0 where the union is not positive."""
    low = torch.maximum(a[:, None, :2], b[None, :, :2])
    high = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    sides = (high - low).clamp(min=0)
    inter = sides[..., 0] * sides[..., 1]
    union = box_area(a)[:, None] + box_area(b)[None, :] - inter
    return torch.where(union > 0, inter / union, torch.zeros_like(inter))


def exp_float64(x: Tensor) -> Tensor:
    """Exp in float64, rounded to the type of `x`: the same bits on every machine."""
    return x.double().exp().to(x.dtype)


def softmax_float64(x: Tensor) -> Tensor:
    """Over the last axis, in float64, summed left to right, rounded to the type of `x`."""
    powers = (x.double() - x.double().amax(dim=-1, keepdim=True)).exp()
    return (powers / powers.cumsum(dim=-1)[..., -1:]).to(x.dtype)


def decode_boxes(deltas: Tensor, reference: Tensor, std: tuple[float, float, float, float]) -> Tensor:
    """Deltas (N, 4) against reference boxes (N, 4) -> boxes (N, 4), not clipped."""
    dx, dy, dw, dh = (deltas * deltas.new_tensor(std)).unbind(1)
    width, height = reference[:, 2] - reference[:, 0], reference[:, 3] - reference[:, 1]
    px = (reference[:, 0] + 0.5 * width) + dx * width
    py = (reference[:, 1] + 0.5 * height) + dy * height
    half_w = 0.5 * (width * exp_float64(dw.clamp(max=MAX_LOG_SCALE)))
    half_h = 0.5 * (height * exp_float64(dh.clamp(max=MAX_LOG_SCALE)))
    return torch.stack([px - half_w, py - half_h, px + half_w, py + half_h], dim=1)


def encode_boxes(boxes: Tensor, reference: Tensor, std: tuple[float, float, float, float]) -> Tensor:
    """The deltas (N, 4) that `decode_boxes` turns into `boxes`; sides must be positive."""
    ref_size, size = reference[:, 2:] - reference[:, :2], boxes[:, 2:] - boxes[:, :2]
    ref_center, center = reference[:, :2] + 0.5 * ref_size, boxes[:, :2] + 0.5 * size
    deltas = torch.cat([(center - ref_center) / ref_size, torch.log(size / ref_size)], dim=1)
    return deltas / deltas.new_tensor(std)


def clip_boxes(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Clamp (N, 4) boxes to an image of (height, width)."""
    height, width = size
    limits = boxes.new_tensor([width, height, width, height])
    return torch.minimum(boxes.clamp(min=0), limits)


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
