"""From head outputs to detections. Definition: docs/reference/definitions.md, "Detections", steps 1 to 5."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pocketdet.models.config import Postprocessing
from pocketdet.models.ops.boxes import clip_boxes, decode_boxes
from pocketdet.models.ops.nms import nms, soft_nms


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
    probabilities = _softmax(logits[alive])

    found: list[tuple[Tensor, Tensor, Tensor]] = []
    for label in range(logits.shape[1] - 1):
        scores = probabilities[:, label + 1]
        chosen = (scores > rule.score_threshold).nonzero()[:, 0]
        keep, kept_scores = _suppress(boxes[alive[chosen]], scores[chosen], rule)
        roi = alive[chosen[keep]]
        found.append((kept_scores, torch.full_like(roi, label), roi))
    if not found:
        return Detections(boxes[:0], logits.new_zeros(0), alive[:0], alive[:0])
    scores, labels, roi = (torch.cat(part) for part in zip(*found, strict=True))
    order = sorted(range(len(scores)), key=lambda i: (-float(scores[i]), int(labels[i]), int(roi[i])))
    best = torch.tensor(order[: rule.max_detections], dtype=torch.int64, device=roi.device)
    return Detections(boxes[roi[best]], scores[best], labels[best], roi[best])


def _softmax(logits: Tensor) -> Tensor:
    """Rows (R, C) in float64, summed left to right, rounded to float32."""
    powers = (logits.double() - logits.double().amax(dim=1, keepdim=True)).exp()
    return (powers / powers.cumsum(dim=1)[:, -1:]).float()


def _suppress(boxes: Tensor, scores: Tensor, rule: Postprocessing) -> tuple[Tensor, Tensor]:
    if rule.nms == "hard":
        keep = nms(boxes, scores, rule.nms_iou)
        return keep, scores[keep]
    return soft_nms(boxes, scores, rule.nms, rule.nms_iou, rule.sigma, rule.score_threshold)
