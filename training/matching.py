"""Which prior is to find which object, in the ways of the detectors' papers."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pocketdet.models.ops import box_area, box_iou


@dataclass(frozen=True)
class Targets:
    """True boxes (G, 4) in input pixels and labels (G,) of one image, and ignored boxes (K, 4).

    `seed` is that of the draws among its targets; all tensors are on the CPU.
    """

    boxes: Tensor
    labels: Tensor
    ignored: Tensor
    seed: int


GROUND, NEITHER = -1, -2


def match_anchors(anchors: Tensor, boxes: Tensor, positive: float, negative: float) -> tuple[Tensor, Tensor]:
    """Anchors (A, 4), true boxes (G, 4) -> index of the box of each anchor (A,), ground (A,) bool.

    The index is -1 where the anchor is no object: its best IoU is below `positive`, and it is not the best
    anchor of any box (Faster R-CNN section 3.1.2). Ground has no IoU of `negative` or more.
    """
    if not len(boxes):
        return torch.full((len(anchors),), -1), torch.ones(len(anchors), dtype=torch.bool)
    iou = box_iou(anchors, boxes)
    best, owner = iou.max(dim=1)
    matched = torch.where(best >= positive, owner, torch.full_like(owner, -1))
    matched[iou.argmax(dim=0)] = torch.arange(len(boxes))
    return matched, (best < negative) & (matched < 0)


def match_priors(priors: Tensor, boxes: Tensor, ignored: Tensor, positive: float, negative: float) -> Tensor:
    """Priors (P, 4), true boxes (G, 4), ignored boxes (K, 4) -> the object of each prior (P,).

    An object's prior has an IoU of `positive` with it, or the best one of all; ground (`GROUND`) has less
    than `negative` with every object. The others, and ground that lies on an ignored box for more than half,
    are `NEITHER`.
    """
    matched, ground = match_anchors(priors, boxes, positive, negative)
    return _without_ignored(matched, ground, priors, ignored)


def match_by_centre(
    priors: Tensor, scale_range: tuple[float, float], boxes: Tensor, ignored: Tensor, shrink: float
) -> Tensor:
    """As `match_priors`, by MimicDet section 3.2, for square priors (P, 4) of a side for each level.

    A prior's object has its centre within the middle `shrink` of the object's sides, and the object's scale
    (square root of its area) lies within `scale_range` times the prior's side; objects that are smaller or
    larger than all levels belong to the first or last. The smallest of several is taken. An object that is
    too small for any centre has the nearest one (the paper's images are large enough).
    """
    if not len(boxes):
        matched = torch.full((len(priors),), GROUND)
        return _without_ignored(matched, matched == GROUND, priors, ignored)
    sides, (low, high) = (priors[:, 2] - priors[:, 0])[:, None], scale_range
    scale = box_area(boxes).sqrt().clamp(float(sides.min()) * low, float(sides.max()) * high)[None]
    fits = (scale >= sides * low) & (scale <= sides * high)
    centres, middles = 0.5 * (priors[:, :2] + priors[:, 2:]), 0.5 * (boxes[:, :2] + boxes[:, 2:])
    away = ((centres[:, None] - middles[None]).abs() / (boxes[:, 2:] - boxes[:, :2])[None]).amax(dim=2)
    near = fits & (away <= 0.5 * shrink)
    sizes, owner = torch.where(near, scale, torch.full_like(scale, torch.inf)).min(dim=1)
    matched = torch.where(sizes < torch.inf, owner, torch.full_like(owner, GROUND))
    missed = (~near.any(dim=0)).nonzero()[:, 0]
    matched[torch.where(fits, away, torch.full_like(away, torch.inf)).argmin(dim=0)[missed]] = missed
    return _without_ignored(matched, matched == GROUND, priors, ignored)


def covered(boxes: Tensor, ignored: Tensor) -> Tensor:
    """Which boxes (N,) lie for more than half of their area on one of the `ignored` (K, 4)."""
    if not len(ignored):
        return torch.zeros(len(boxes), dtype=torch.bool)
    low = torch.maximum(boxes[:, None, :2], ignored[None, :, :2])
    high = torch.minimum(boxes[:, None, 2:], ignored[None, :, 2:])
    inter = (high - low).clamp(min=0).prod(dim=2)
    return (inter > 0.5 * box_area(boxes)[:, None]).any(dim=1)


def best_iou(boxes: Tensor, true: Tensor) -> tuple[Tensor, Tensor]:
    """Boxes (N, 4), true boxes (G, 4) -> the highest IoU of each (N,) and whose it is (N,), 0 if G is 0."""
    if not len(true):
        return torch.zeros(len(boxes)), torch.zeros(len(boxes), dtype=torch.int64)
    best, owner = box_iou(boxes, true).max(dim=1)
    return best, owner


def _without_ignored(matched: Tensor, ground: Tensor, priors: Tensor, ignored: Tensor) -> Tensor:
    background = ground & ~covered(priors, ignored)
    unknown = torch.where(background, torch.full_like(matched, GROUND), torch.full_like(matched, NEITHER))
    return torch.where(matched >= 0, matched, unknown)
