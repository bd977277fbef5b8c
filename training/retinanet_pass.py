"""RetinaNet in training: anchors matched by IoU, focal loss over all. Lin et al. 2017, sections 3 and 4."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from pocketdet.models.ops import encode_boxes
from pocketdet.models.retinanet import RetinaNet, retinanet_spec
from pocketdet.training.distributed import ALONE, World
from pocketdet.training.matching import GROUND, match_priors
from pocketdet.training.one_stage_losses import box_loss, focal_loss, share
from pocketdet.training.one_stage_rules import RetinaNetLosses
from pocketdet.training.priors import all_levels, make_priors
from pocketdet.training.truth import Truth

UNIT = (1.0, 1.0, 1.0, 1.0)


@dataclass(frozen=True)
class RetinaNetTerms:
    """One value each; `accuracy` is the share of anchors on an object whose likeliest class is its own."""

    classes: Tensor
    boxes: Tensor
    accuracy: Tensor

    def total(self, rule: RetinaNetLosses) -> Tensor:
        """What is minimised."""
        return self.classes + rule.box_weight * self.boxes


class RetinaNetPass(nn.Module):
    """One forward pass: the losses of a batch, divided by its anchors on an object."""

    def __init__(
        self, model: RetinaNet, rule: RetinaNetLosses, world: World = ALONE, autocast: bool = False
    ) -> None:
        super().__init__()
        self.model = model
        self._rule, self._world, self._autocast = rule, world, autocast

    def forward(self, images: Tensor, truths: list[Truth]) -> RetinaNetTerms:
        """Normalised pictures (N, 3, H, W) on the model's device, and their truths -> losses."""
        rule, config = self._rule, self.model.config
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self._autocast):
            maps = self.model(images)
        logits = all_levels(maps, "classes", config.anchors)
        deltas = all_levels(maps, "boxes", config.anchors)
        size = (images.shape[2], images.shape[3])
        anchors = make_priors(retinanet_spec(replace(config, input_size=size))).boxes
        matched = torch.stack(
            [match_priors(anchors, t.boxes, t.ignored, rule.positive_iou, rule.negative_iou) for t in truths]
        )
        picture, anchor = (matched >= 0).nonzero(as_tuple=True)
        owner = matched[picture, anchor]
        labels = torch.cat([t.labels[owner[picture == i]] for i, t in enumerate(truths)]).to(logits.device)
        boxes = torch.cat([t.boxes[owner[picture == i]] for i, t in enumerate(truths)])
        judged = ((matched >= 0) | (matched == GROUND)).to(logits.device)

        targets = torch.zeros_like(logits)
        targets[picture, anchor, labels] = 1
        divisor = self._world.divisors(torch.tensor(float(len(picture)), device=logits.device))
        focal = focal_loss(logits, targets, rule.alpha, rule.gamma) * judged[..., None]
        wanted = encode_boxes(boxes, anchors[anchor], UNIT).to(deltas.device)
        right = logits.detach()[picture, anchor].argmax(dim=1) == labels
        return RetinaNetTerms(
            focal.sum() / divisor,
            box_loss(deltas[picture, anchor], wanted, rule.box_beta, self._world),
            share(right, torch.ones_like(right), self._world),
        )
