"""One forward pass in training: network, targets, RoIs of all pictures, losses."""

import torch
from torch import Generator, Tensor, nn

from pocketdet.models.config import DetectorConfig
from pocketdet.models.ops import make_anchors
from pocketdet.models.thundernet import ThunderNet
from pocketdet.training.config import Losses
from pocketdet.training.dense_ps_roi_align import dense_ps_roi_align
from pocketdet.training.distributed import ALONE, World
from pocketdet.training.losses import LossTerms, head_losses, rpn_losses
from pocketdet.training.targets import (
    AnchorTargets,
    RoITargets,
    anchor_targets,
    roi_targets,
    training_proposals,
)
from pocketdet.training.truth import Truth


class TrainingPass(nn.Module):
    """`loss_terms` as a module, so that DistributedDataParallel wraps the head's part of the pass too."""

    def __init__(self, model: ThunderNet, rule: Losses, world: World = ALONE, autocast: bool = False) -> None:
        super().__init__()
        self.model = model
        self._rule, self._world, self._autocast = rule, world, autocast

    def forward(self, images: Tensor, truths: list[Truth]) -> LossTerms:
        """Normalised pictures (N, 3, H, W) on the model's device, and their truths -> losses."""
        return loss_terms(self.model, images, truths, self._rule, self._world, self._autocast)


def loss_terms(
    model: ThunderNet,
    images: Tensor,
    truths: list[Truth],
    rule: Losses,
    world: World = ALONE,
    autocast: bool = False,
) -> LossTerms:
    """Normalised pictures (N, 3, H, W) on the model's device, and their truths -> losses with a gradient.

    The RoI features come from the SAM map, so the head's gradient reaches the RPN's feature through the
    attention (section 3.2); proposals themselves carry none. With `autocast` the network runs in bfloat16;
    boxes, RoI features and losses are float32 in any case. Targets are made on the CPU.
    """
    size = (images.shape[2], images.shape[3])
    with torch.autocast(images.device.type, torch.bfloat16, enabled=autocast):
        scores, deltas, sam = map(_full, model(images))
    logits, flat = flatten_rpn(scores, deltas)
    config = model.config
    grid = (scores.shape[2], scores.shape[3])
    anchors = make_anchors(grid, config.anchors.stride, config.anchors.sizes())

    rpn, rois = [], []
    with torch.no_grad():
        outputs = zip(truths, logits.detach().cpu(), flat.detach().cpu(), strict=True)
        for truth, objectness, coded in outputs:
            generator, boxes = Generator().manual_seed(truth.seed), truth.boxes
            rpn.append(anchor_targets(objectness, anchors, boxes, truth.ignored, rule, generator))
            proposals = training_proposals(objectness, coded, anchors, size, rule)
            std = config.head.delta_std
            rois.append(
                roi_targets(proposals, boxes, truth.labels, truth.ignored, size, rule, std, generator)
            )
    rpn_class, rpn_box = _rpn_terms(logits, flat, rpn, world)
    features, classes, wanted = _roi_inputs(model.config, sam, rois)
    with torch.autocast(images.device.type, torch.bfloat16, enabled=autocast):
        head_logits, head_deltas = map(_full, model.head(features))
    head_class, head_box, accuracy = head_losses(head_logits, head_deltas, classes, wanted, rule, world)
    return LossTerms(rpn_class, rpn_box, head_class, head_box, accuracy)


def _full(values: Tensor) -> Tensor:
    """In float32 if they have fewer bits."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def flatten_rpn(scores: Tensor, deltas: Tensor) -> tuple[Tensor, Tensor]:
    """Scores (N, 2A, h, w), deltas (N, 4A, h, w) -> objectness (N, h*w*A), deltas (N, h*w*A, 4)."""
    n, double, h, w = scores.shape
    count = double // 2
    logits = (scores[:, count:] - scores[:, :count]).permute(0, 2, 3, 1).reshape(n, -1)
    return logits, deltas.reshape(n, count, 4, h, w).permute(0, 3, 4, 1, 2).reshape(n, -1, 4)


def _rpn_terms(
    logits: Tensor, deltas: Tensor, targets: list[AnchorTargets], world: World
) -> tuple[Tensor, Tensor]:
    per_image, device = logits.shape[1], logits.device
    positive = torch.cat([t.positive + i * per_image for i, t in enumerate(targets)]).to(device)
    negative = torch.cat([t.negative + i * per_image for i, t in enumerate(targets)]).to(device)
    wanted = torch.cat([t.deltas for t in targets]).to(device)
    return rpn_losses(logits.flatten(), deltas.flatten(0, 1), positive, negative, wanted, world)


def _roi_inputs(
    config: DetectorConfig, sam: Tensor, targets: list[RoITargets]
) -> tuple[Tensor, Tensor, Tensor]:
    """RoI features, classes and wanted deltas of all pictures, on the map's device."""
    head, device = config.head, sam.device
    rois = torch.stack([t.rois for t in targets]).to(device)
    features = dense_ps_roi_align(sam, rois, config.anchors.stride, head.pool_size, head.sampling_ratio)
    classes = torch.cat([t.classes for t in targets]).to(device)
    wanted = torch.cat([t.deltas for t in targets]).to(device)
    return features, classes, wanted
