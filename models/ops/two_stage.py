"""Two-stage post-processing: anchors, from RPN maps to RoIs, from head outputs to detections.

Definitions: docs/reference/definitions.md, "Anchors", "Proposals" and "Detections", steps 1 to 5.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pocketdet.models.config import Anchors, Postprocessing, Proposals
from pocketdet.models.ops.boxes import (
    argsort_descending,
    clip_boxes,
    decode_boxes,
    nms,
    soft_nms,
    softmax_float64,
)


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


@dataclass(frozen=True)
class Detections:
    """Best first: boxes (N, 4) in network pixels, scores (N,), labels (N,) from 0, index of the RoI (N,)."""

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    rois: Tensor


@torch.no_grad()
def detect(
    logits: Tensor,
    deltas: Tensor,
    rois: Tensor,
    delta_std: tuple[float, float, float, float],
    rule: Postprocessing,
    size: tuple[int, int],
) -> Detections:
    """Logits (R, C) with background first, class-agnostic deltas (R, 4), RoIs (R, 4) -> detections."""
    finite = torch.isfinite(torch.cat([logits, deltas, rois], dim=1)).all(dim=1)
    boxes = clip_boxes(decode_boxes(deltas, rois, delta_std), size)
    solid = ((boxes[:, 2:] - boxes[:, :2]) > 0).all(dim=1)
    alive = (finite & solid).nonzero()[:, 0]
    probabilities = softmax_float64(logits[alive])

    row, label = (probabilities[:, 1:] > rule.score_threshold).nonzero(as_tuple=True)
    candidate, classes = torch.arange(len(row), device=row.device), range(logits.shape[1] - 1)
    groups = [candidate[label == one] for one in classes] if rule.per_class else [candidate]
    kept, kept_scores = [candidate[:0]], [probabilities[:0, 0]]
    for group in groups:
        roi = alive[row[group]]
        keep, values = _suppress(boxes[roi], probabilities[row[group], label[group] + 1], rule)
        kept.append(group[keep])
        kept_scores.append(values)
    index, scores = torch.cat(kept), torch.cat(kept_scores)
    labels, roi = label[index], alive[row[index]]
    order = sorted(range(len(scores)), key=lambda i: (-float(scores[i]), int(labels[i]), int(roi[i])))
    best = torch.tensor(order[: rule.max_detections], dtype=torch.int64, device=roi.device)
    return Detections(boxes[roi[best]], scores[best], labels[best], roi[best])


def _suppress(boxes: Tensor, scores: Tensor, rule: Postprocessing) -> tuple[Tensor, Tensor]:
    if rule.nms == "hard":
        keep = nms(boxes, scores, rule.nms_iou)
        return keep, scores[keep]
    assert rule.nms != "none"  # refused by DetectorConfig
    return soft_nms(boxes, scores, rule.nms, rule.nms_iou, rule.sigma, rule.score_threshold)
