"""RetinaNet in training: anchors matched by IoU, focal loss over all. Lin et al. 2017, sections 3 and 4."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pocketdet.models.ops import encode_boxes
from pocketdet.models.retinanet import RetinaNet, retinanet_spec
from pocketdet.training.loss_config import RetinaNetLossConfig
from pocketdet.training.loss_functions import (
    DetectorLoss,
    accuracy,
    all_levels,
    box_loss,
    focal_loss,
    make_priors,
)
from pocketdet.training.matching import GROUND, Targets, match_priors

UNIT = (1.0, 1.0, 1.0, 1.0)


@dataclass(frozen=True)
class RetinaNetTerms:
    """One value each; `accuracy` is the share of anchors on an object whose likeliest class is its own."""

    classes: Tensor
    boxes: Tensor
    accuracy: Tensor

    def total(self, settings: RetinaNetLossConfig) -> Tensor:
        """What is minimised."""
        return self.classes + settings.box_weight * self.boxes


class RetinaNetLoss(DetectorLoss[RetinaNet, RetinaNetLossConfig]):
    """One forward pass: the losses of a batch, divided by its anchors on an object."""

    def forward(self, images: Tensor, targets: list[Targets]) -> RetinaNetTerms:
        """Normalised images (N, 3, H, W) on the model's device, and their targets -> losses."""
        settings, config = self._settings, self.model.config
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self._autocast):
            maps = self.model(images)
        logits = all_levels(maps, "classes", config.anchors)
        deltas = all_levels(maps, "boxes", config.anchors)
        size = (images.shape[2], images.shape[3])
        anchors = make_priors(retinanet_spec(replace(config, input_size=size))).boxes
        matched = torch.stack(
            [
                match_priors(anchors, t.boxes, t.ignored, settings.positive_iou, settings.negative_iou)
                for t in targets
            ]
        )
        image, anchor = (matched >= 0).nonzero(as_tuple=True)
        owner = matched[image, anchor]
        labels = torch.cat([t.labels[owner[image == i]] for i, t in enumerate(targets)]).to(logits.device)
        boxes = torch.cat([t.boxes[owner[image == i]] for i, t in enumerate(targets)])
        counted = ((matched >= 0) | (matched == GROUND)).to(logits.device)

        one_hot = torch.zeros_like(logits)
        one_hot[image, anchor, labels] = 1
        divisor = self._context.loss_normalizer(torch.tensor(float(len(image)), device=logits.device))
        focal = focal_loss(logits, one_hot, settings.alpha, settings.gamma) * counted[..., None]
        wanted = encode_boxes(boxes, anchors[anchor], UNIT).to(deltas.device)
        right = logits.detach()[image, anchor].argmax(dim=1) == labels
        return RetinaNetTerms(
            focal.sum() / divisor,
            box_loss(deltas[image, anchor], wanted, settings.box_beta, self._context),
            accuracy(right, torch.ones_like(right), self._context),
        )
