"""The losses of RetinaNet and PASSD.

- RetinaNet: anchors matched by IoU, focal loss over all. Lin et al. 2017, sections 3 and 4.
- PASSD: default boxes are matched as they are, and once adjusted. Its sections 5 and 6.1.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pocketdet.models.ops import encode_boxes
from pocketdet.models.ops.one_stage_boxes import decode_step
from pocketdet.models.passd import PASSD, passd_spec
from pocketdet.models.retinanet import RetinaNet, retinanet_spec
from pocketdet.training.loss_config import PASSDLossConfig, RetinaNetLossConfig
from pocketdet.training.loss_functions import (
    UNIT,
    DetectorLoss,
    Priors,
    accuracy,
    all_levels,
    box_loss,
    focal_loss,
    make_priors,
    mined_cross_entropy,
)
from pocketdet.training.matching import GROUND, NEITHER, Targets, match_priors

SIDES = 1e-3  # pixels that an adjusted box has at least, so that its deltas stay finite


@dataclass(frozen=True)
class PASSDTerms:
    """One value each; `accuracy` is the share of adjusted boxes on an object that get its class."""

    propose_class: Tensor
    propose_box: Tensor
    attend_class: Tensor
    attend_box: Tensor
    accuracy: Tensor

    def total(self, settings: PASSDLossConfig) -> Tensor:
        """What is minimised: the sum of the losses of both mechanisms."""
        boxes = self.propose_box + self.attend_box
        return self.propose_class + settings.class_weight * self.attend_class + settings.box_weight * boxes


@dataclass(frozen=True)
class _Wanted:
    """Of all boxes of a batch: classes (N, P), 0 for ground and -1 for neither; true boxes (N, P, 4)."""

    classes: Tensor
    boxes: Tensor


class PASSDLoss(DetectorLoss[PASSD, PASSDLossConfig]):
    """One forward pass: both mechanisms' losses of a batch."""

    def forward(self, images: Tensor, targets: list[Targets]) -> PASSDTerms:
        """Normalised images (N, 3, H, W) on the model's device, and their targets -> losses."""
        settings, context, config = self._settings, self._context, self.model.config
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self._autocast):
            maps = self.model(images)
        each, classes = len(config.scales), config.num_classes + 1
        objectness = all_levels(maps, "objectness", each)
        deltas = all_levels(maps, "propose", each)
        attended = all_levels(maps, "attend", each)
        priors = make_priors(passd_spec(replace(config, input_size=(images.shape[2], images.shape[3]))))

        proposed = self._matched(priors.boxes.expand(len(images), -1, -1), targets, images.device)
        adjusted = self._adjusted(deltas, priors)
        refined = self._matched(adjusted, targets, images.device)
        propose_class = mined_cross_entropy(
            objectness.flatten(0, 1), proposed.classes.clamp(max=1).flatten(), settings.negatives, context
        )
        attend_class = mined_cross_entropy(
            attended[..., :classes].flatten(0, 1),
            refined.classes.flatten(),
            settings.negatives,
            context,
            settings.label_smoothing,
        )
        right = attended[..., :classes].detach().argmax(dim=2) == refined.classes
        return PASSDTerms(
            propose_class,
            self._propose_box(deltas, priors, proposed),
            attend_class,
            self._attend_box(attended[..., classes:], adjusted, refined),
            accuracy(right, refined.classes > 0, context),
        )

    @torch.no_grad()
    def _adjusted(self, deltas: Tensor, priors: Priors) -> Tensor:
        """Deltas (N, P, 4) -> adjusted default boxes (N, P, 4) on the CPU, none empty."""
        coding = self.model.spec().codings[0]
        n = len(deltas)
        boxes = decode_step(
            deltas.detach().cpu().flatten(0, 1),
            priors.boxes.repeat(n, 1),
            priors.strides.repeat(n, 1),
            coding,
            priors.size,
        ).reshape(n, -1, 4)
        return torch.cat([boxes[..., :2], torch.maximum(boxes[..., 2:], boxes[..., :2] + SIDES)], dim=2)

    @torch.no_grad()
    def _matched(self, boxes: Tensor, targets: list[Targets], device: torch.device) -> _Wanted:
        """Boxes (N, P, 4) against the objects of each image; at least one box for each object."""
        settings = self._settings
        classes, wanted = [], []
        for own, target in zip(boxes, targets, strict=True):
            matched = match_priors(
                own, target.boxes, target.ignored, settings.positive_iou, settings.negative_iou
            )
            labels = torch.cat([target.labels + 1, torch.tensor([-1, 0])])  # indexed by NEITHER and GROUND
            assert (NEITHER, GROUND) == (-2, -1)
            classes.append(labels[matched])
            wanted.append(target.boxes[matched.clamp(min=0)] if len(target.boxes) else own)
        return _Wanted(torch.stack(classes).to(device), torch.stack(wanted).to(device))

    def _propose_box(self, deltas: Tensor, priors: Priors, wanted: _Wanted) -> Tensor:
        """The clipped shift of equation 2 and the log of the size, against equation 1."""
        image, prior = (wanted.classes > 0).nonzero(as_tuple=True)
        on_cpu = prior.cpu()
        reference = priors.boxes[on_cpu].to(deltas.device)
        sides = reference[:, 2:] - reference[:, :2]
        limit = priors.strides[on_cpu].to(deltas.device) / (2 * sides)
        own = deltas[image, prior]
        clipped = torch.cat([torch.tanh(own[:, :2]) * limit, own[:, 2:]], dim=1)
        return self._smooth(clipped, wanted.boxes[image, prior], reference)

    def _attend_box(self, deltas: Tensor, adjusted: Tensor, wanted: _Wanted) -> Tensor:
        image, prior = (wanted.classes > 0).nonzero(as_tuple=True)
        std = deltas.new_tensor(self.model.config.attend_std)
        reference = adjusted.to(deltas.device)[image, prior]
        return self._smooth(deltas[image, prior] * std, wanted.boxes[image, prior], reference)

    def _smooth(self, deltas: Tensor, boxes: Tensor, reference: Tensor) -> Tensor:
        """Deltas (M, 4) by equation 1 against those of true `boxes` (M, 4)."""
        return box_loss(deltas, encode_boxes(boxes, reference, UNIT), self._settings.box_beta, self._context)


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
