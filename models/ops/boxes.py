"""Box arithmetic in torch. Definitions: docs/reference/definitions.md, "Box coding" and "IoU and NMS"."""

import math

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
