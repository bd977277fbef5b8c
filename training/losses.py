"""The four losses of ThunderNet: objectness and boxes of the RPN, classes and boxes of the head.

Where several processes share a batch, each value is such that its mean over them is that of the batch:
counts are over all of them, and so is the choice of hard examples.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from pocketdet.training.config import Losses
from pocketdet.training.distributed import ALONE, World

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
    logits: Tensor, deltas: Tensor, positive: Tensor, negative: Tensor, wanted: Tensor, world: World = ALONE
) -> tuple[Tensor, Tensor]:
    """Objectness (M,) and deltas (M, 4) of all anchors of a batch; chosen indices; deltas wanted (P, 4).

    Objects and ground each have half of the classification loss, whatever their numbers. Two-class cross
    entropy of (background, foreground) is binary cross entropy of their difference.
    """
    counts = torch.tensor([len(positive), len(negative)], dtype=torch.float32, device=logits.device)
    objects, ground = world.divisors(counts)
    missed, imagined = F.softplus(-logits[positive]).sum(), F.softplus(logits[negative]).sum()
    box = F.smooth_l1_loss(deltas[positive], wanted, beta=RPN_BETA, reduction="sum")
    return 0.5 * (missed / objects) + 0.5 * (imagined / ground), box / objects


def head_losses(
    logits: Tensor, deltas: Tensor, classes: Tensor, wanted: Tensor, rule: Losses, world: World = ALONE
) -> tuple[Tensor, Tensor, Tensor]:
    """Logits (R, C), deltas (R, 4), classes (R,) with -1 for padding -> class loss, box loss, accuracy.

    The box loss is divided by the objects among the RoIs that count (`hardest`), as the class loss is by all.
    """
    used, is_object = classes >= 0, classes > 0
    ce = F.cross_entropy(
        logits, classes.clamp(min=0), reduction="none", label_smoothing=rule.label_smoothing
    ) * used.to(logits.dtype)
    box = F.smooth_l1_loss(deltas, wanted, beta=rule.box_beta, reduction="none").sum(dim=1)
    box = box * is_object.to(logits.dtype)
    right = (logits.detach().argmax(dim=1) == classes) & is_object
    all_objects = is_object.sum()
    if rule.ohem:
        hardness = torch.where(used, (ce + box).detach(), torch.full_like(ce, -1.0))
        kept = hardest(hardness, rule, world)
        ce, box, used, is_object = ce[kept], box[kept], used[kept], is_object[kept]
    counts = torch.stack([used.sum(), is_object.sum(), all_objects]).to(torch.float32)
    rois, objects, judged = world.divisors(counts)
    return ce.sum() / rois, box.sum() / objects, right.sum() / judged


def hardest(hardness: Tensor, rule: Losses, world: World = ALONE) -> Tensor:
    """Hardness (R,), the same R in every process -> indices of the RoIs that the loss keeps (OHEM).

    Padding included, `rule.ohem` of every `rule.rois` RoIs of the whole batch count, at least one: those with
    the greatest loss (Shrivastava et al. 2016). All processes rank the same values in the same order, so
    that they agree on ties too.
    """
    everywhere = world.gathered(hardness)
    keep = max(1, min(rule.ohem * len(everywhere) // rule.rois, len(everywhere)))
    chosen: Tensor = everywhere.topk(keep).indices - world.rank * len(hardness)
    return chosen[(chosen >= 0) & (chosen < len(hardness))]
