"""What the network should have said: anchors and RoIs matched to true boxes, and which of them count."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor

from pocketdet.models.ops import box_iou, clip_boxes, decode_boxes, encode_boxes
from pocketdet.training.loss_config import ThunderNetLossConfig
from pocketdet.training.matching import covered, match_anchors

UNIT = (1.0, 1.0, 1.0, 1.0)
POSITIVE_IOU = 0.5  # of a RoI: Fast R-CNN section 2.3
PROPOSAL_IOU = 0.7
MAX_POSITIVE_ANCHORS = 128
JITTER_SHIFT, JITTER_SCALE = 0.18, 0.3


@dataclass(frozen=True)
class AnchorTargets:
    """Chosen anchors of one image: objects (P,) with their deltas (P, 4), and ground (Q,)."""

    positive: Tensor
    deltas: Tensor
    negative: Tensor


@dataclass(frozen=True)
class RoITargets:
    """RoIs (R, 4) of one image, classes (R,) with 0 for ground and -1 for padding, deltas (R, 4)."""

    rois: Tensor
    classes: Tensor
    deltas: Tensor


def anchor_targets(
    logits: Tensor,
    anchors: Tensor,
    boxes: Tensor,
    ignored: Tensor,
    settings: ThunderNetLossConfig,
    generator: Generator,
) -> AnchorTargets:
    """Targets of the RPN for one image; `logits` (A,) are its objectness, which say what is hard.

    Anchors that lie on an `ignored` box (K, 4) for more than half are no ground.
    """
    matched, ground = match_anchors(anchors, boxes, settings.rpn_positive, settings.rpn_negative)
    ground &= ~covered(anchors, ignored)
    positive = draw((matched >= 0).nonzero()[:, 0], MAX_POSITIVE_ANCHORS, generator)
    deltas = encode_boxes(boxes[matched[positive]], anchors[positive], UNIT) if len(positive) else anchors[:0]
    candidates = ground.nonzero()[:, 0]
    hard = logits[candidates].topk(min(settings.rpn_hard, len(candidates))).indices
    drawn = torch.randint(max(len(candidates), 1), (settings.rpn_random,), generator=generator)
    chosen = torch.cat([hard, drawn if len(candidates) else drawn[:0]])
    return AnchorTargets(positive, deltas, candidates[chosen])


def training_proposals(
    logits: Tensor, deltas: Tensor, anchors: Tensor, size: tuple[int, int], settings: ThunderNetLossConfig
) -> Tensor:
    """Objectness (A,), deltas (A, 4), anchors (A, 4) -> boxes (P, 4) after NMS, best first."""
    top = logits.topk(min(settings.pre_nms, len(logits))).indices
    boxes = clip_boxes(decode_boxes(deltas[top], anchors[top], UNIT), size)
    sound = torch.isfinite(boxes).all(dim=1) & ((boxes[:, 2:] - boxes[:, :2]) >= 1).all(dim=1)
    boxes = boxes[sound]
    return boxes[quick_nms(boxes, PROPOSAL_IOU, settings.proposals)]


def quick_nms(boxes: Tensor, threshold: float, limit: int) -> Tensor:
    """Greedy NMS of boxes (N, 4), best first: which to keep, at most `limit`. As `ops.nms`, in numpy."""
    x1, y1, x2, y2 = np.ascontiguousarray(boxes.numpy().T)
    areas = (x2 - x1) * (y2 - y1)
    order = np.arange(len(boxes))
    chosen: list[np.int64] = []
    while len(order) and len(chosen) < limit:
        first, rest = order[0], order[1:]
        chosen.append(first)
        sides_x = np.minimum(x2[first], x2[rest]) - np.maximum(x1[first], x1[rest])
        sides_y = np.minimum(y2[first], y2[rest]) - np.maximum(y1[first], y1[rest])
        inter = np.maximum(sides_x, 0) * np.maximum(sides_y, 0)
        order = rest[inter <= threshold * (areas[first] + areas[rest] - inter)]
    return torch.tensor(np.array(chosen, np.int64))


def roi_targets(
    proposals: Tensor,
    boxes: Tensor,
    labels: Tensor,
    ignored: Tensor,
    size: tuple[int, int],
    settings: ThunderNetLossConfig,
    std: tuple[float, float, float, float],
    generator: Generator,
) -> RoITargets:
    """`settings.rois` RoIs of one image: proposals and shaken true boxes, at most half of them objects."""
    rois = torch.cat([boxes, clip_boxes(_shaken(boxes, settings.jitter, generator), size), proposals])
    if len(boxes):
        best, owner = box_iou(rois, boxes).max(dim=1)
    else:
        best, owner = torch.zeros(len(rois)), torch.zeros(len(rois), dtype=torch.int64)
    is_object = best >= POSITIVE_IOU
    positive = draw(is_object.nonzero()[:, 0], settings.rois // 2, generator)
    ground = (~is_object & ~covered(rois, ignored)).nonzero()[:, 0]
    negative = draw(ground, settings.rois - len(positive), generator)
    chosen = torch.cat([positive, negative])
    missing = settings.rois - len(chosen)
    padding = torch.tensor([[0.0, 0.0, 16.0, 16.0]]).expand(missing, 4)
    classes = torch.full((settings.rois,), -1)
    classes[: len(chosen)] = 0
    deltas = torch.zeros(settings.rois, 4)
    if len(positive):
        classes[: len(positive)] = labels[owner[positive]] + 1
        deltas[: len(positive)] = encode_boxes(boxes[owner[positive]], rois[positive], std)
    return RoITargets(torch.cat([rois[chosen], padding]), classes, deltas)


def _shaken(boxes: Tensor, copies: int, generator: Generator) -> Tensor:
    """(G, 4) -> (G * copies, 4), moved by up to 18% of a side and scaled by up to exp(0.3)."""
    many = boxes.repeat(copies, 1)
    sides = many[:, 2:] - many[:, :2]
    noise = torch.rand(len(many), 4, generator=generator) * 2 - 1
    centers = many[:, :2] + 0.5 * sides + noise[:, :2] * sides * JITTER_SHIFT
    half = 0.5 * sides * torch.exp(noise[:, 2:] * JITTER_SCALE)
    return torch.cat([centers - half, centers + half], dim=1)


def draw(indices: Tensor, limit: int, generator: Generator) -> Tensor:
    """At most `limit` of `indices`, all as likely."""
    if len(indices) <= limit:
        return indices
    return indices[torch.randperm(len(indices), generator=generator)[:limit]]
