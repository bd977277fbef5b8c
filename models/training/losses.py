"""The four losses of ThunderNet: objectness and boxes of the RPN, classes and boxes of the head."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from pocketdet.models.training.config import Losses

RPN_BETA = 1 / 9  # where smooth L1 turns linear (Faster R-CNN)


@dataclass(frozen=True)
class LossTerms:
    """One value each, before weights; `accuracy` is the share of object RoIs that get their class."""

    rpn_class: Tensor
    rpn_box: Tensor
    head_class: Tensor
    head_box: Tensor
    accuracy: Tensor

    def total(self, rule: Losses) -> Tensor:
        """What is minimised."""
        boxes = self.rpn_box + self.head_box
        return self.rpn_class + rule.class_weight * self.head_class + rule.box_weight * boxes


def rpn_losses(
    logits: Tensor, deltas: Tensor, positive: Tensor, negative: Tensor, wanted: Tensor
) -> tuple[Tensor, Tensor]:
    """Objectness (M,) and deltas (M, 4) of all anchors of a batch; chosen indices; deltas wanted (P, 4).

    Objects and ground each have half of the classification loss, whatever their numbers. Two-class cross
    entropy of (background, foreground) is binary cross entropy of their difference.
    """
    objects, ground = F.softplus(-logits[positive]), F.softplus(logits[negative])
    classification = 0.5 * _mean(objects) + 0.5 * _mean(ground)
    box = F.smooth_l1_loss(deltas[positive], wanted, beta=RPN_BETA, reduction="sum")
    return classification, box / max(len(positive), 1)


def head_losses(
    logits: Tensor, deltas: Tensor, classes: Tensor, wanted: Tensor, rule: Losses
) -> tuple[Tensor, Tensor, Tensor]:
    """Logits (R, C), deltas (R, 4), classes (R,) with -1 for padding -> class loss, box loss, accuracy.

    Padding included, `rule.ohem` of every `rule.rois` RoIs count, those with the greatest loss (OHEM,
    Shrivastava et al. 2016), or all if it is 0. The box loss is divided by the objects among them, as the
    class loss is by all.
    """
    used = classes >= 0
    ce = F.cross_entropy(
        logits, classes.clamp(min=0), reduction="none", label_smoothing=rule.label_smoothing
    ) * used.to(logits.dtype)
    is_object = classes > 0
    box = F.smooth_l1_loss(deltas, wanted, beta=rule.box_beta, reduction="none").sum(dim=1)
    box = box * is_object.to(logits.dtype)
    accuracy = _mean((logits.detach().argmax(dim=1) == classes)[is_object].to(logits.dtype))
    if rule.ohem:
        keep = rule.ohem * len(ce) // rule.rois
        hardness = torch.where(used, (ce + box).detach(), torch.full_like(ce, -1.0))
        hardest = hardness.topk(min(keep, len(ce))).indices
        ce, box, used, is_object = ce[hardest], box[hardest], used[hardest], is_object[hardest]
    return ce.sum() / used.sum().clamp(min=1), box.sum() / is_object.sum().clamp(min=1), accuracy


def _mean(values: Tensor) -> Tensor:
    """The mean, 0 for nothing."""
    return values.sum() / max(len(values), 1)
