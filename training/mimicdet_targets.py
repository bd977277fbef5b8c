"""Which adjusted anchors MimicDet's heads are trained on. Section 4.1."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from pocketdet.models.ops import clip_boxes, encode_boxes
from pocketdet.spec.one_stage import Four
from pocketdet.training.matching import best_iou, covered
from pocketdet.training.one_stage_rules import MimicDetLosses
from pocketdet.training.targets import draw, quick_nms
from pocketdet.training.truth import Truth

OBJECTS = 4  # one proposal in so many of the T-head's is an object


@dataclass(frozen=True)
class Proposed:
    """Proposals of one picture: anchors (R,) by index, adjusted boxes (R, 4), classes (R,), deltas (R, 4).

    The class is 0 for ground and -1 for what must not be judged; deltas, divided by the std, lead to the
    object.
    """

    anchors: Tensor
    boxes: Tensor
    classes: Tensor
    deltas: Tensor

    def part(self, chosen: Tensor) -> "Proposed":
        """Those of the given indices."""
        return Proposed(self.anchors[chosen], self.boxes[chosen], self.classes[chosen], self.deltas[chosen])


def propose(
    objectness: Tensor, adjusted: Tensor, size: tuple[int, int], truth: Truth, rule: MimicDetLosses, std: Four
) -> Proposed:
    """Objectness (P,) and adjusted anchors (P, 4) of a picture, both on the CPU -> proposals, best first."""
    order = objectness.sort(descending=True, stable=True).indices
    boxes = clip_boxes(adjusted[order], size)
    sound = torch.isfinite(boxes).all(dim=1) & ((boxes[:, 2:] - boxes[:, :2]) >= 1).all(dim=1)
    order, boxes = order[sound], boxes[sound]
    keep = quick_nms(boxes, rule.proposal_iou, rule.proposals)
    order, boxes = order[keep], boxes[keep]
    iou, owner = best_iou(boxes, truth.boxes)
    is_object = iou >= rule.positive_iou
    classes, deltas = torch.zeros(len(boxes), dtype=torch.int64), torch.zeros(len(boxes), 4)
    classes[covered(boxes, truth.ignored)] = -1
    if len(truth.boxes):
        classes[is_object] = truth.labels[owner[is_object]] + 1
        deltas[is_object] = encode_boxes(truth.boxes[owner[is_object]], boxes[is_object], std)
    return Proposed(order, boxes, classes, deltas)


def taught(proposed: Proposed, rule: MimicDetLosses, generator: Generator) -> Tensor:
    """Indices of the proposals that the T-head sees: `samples` of them, a quarter objects at most."""
    objects = draw((proposed.classes > 0).nonzero()[:, 0], rule.samples // OBJECTS, generator)
    ground = draw((proposed.classes == 0).nonzero()[:, 0], rule.samples - len(objects), generator)
    return torch.cat([objects, ground])
