"""One forward pass in training: network, targets, RoIs of all pictures, losses."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from pocketdet.models.ops import make_anchors
from pocketdet.models.thundernet import ThunderNet
from pocketdet.models.training.config import Losses
from pocketdet.models.training.dense_psroi import dense_psroi_align
from pocketdet.models.training.losses import LossTerms, head_losses, rpn_losses
from pocketdet.models.training.targets import (
    AnchorTargets,
    RoITargets,
    anchor_targets,
    roi_targets,
    training_proposals,
)


@dataclass(frozen=True)
class Truth:
    """True boxes (G, 4) in input pixels and labels (G,) of one picture, and boxes (K, 4) not to judge."""

    boxes: Tensor
    labels: Tensor
    ignored: Tensor


def loss_terms(
    model: ThunderNet, images: Tensor, truths: list[Truth], rule: Losses, generator: Generator
) -> LossTerms:
    """Normalised pictures (N, 3, H, W) and their truths -> losses with a gradient.

    The RoI features come from the SAM map, so the head's gradient reaches the RPN's feature through the
    attention (section 3.2); proposals themselves carry none.
    """
    size = (images.shape[2], images.shape[3])
    scores, deltas, sam = model(images)
    logits, flat = flatten_rpn(scores, deltas)
    config = model.config
    grid = (scores.shape[2], scores.shape[3])
    anchors = make_anchors(grid, config.anchors.stride, config.anchors.sizes())

    rpn, rois = [], []
    with torch.no_grad():
        for i, truth in enumerate(truths):
            objectness, boxes = logits[i].detach().cpu(), truth.boxes
            rpn.append(anchor_targets(objectness, anchors, boxes, truth.ignored, rule, generator))
            proposals = training_proposals(objectness, flat[i].detach().cpu(), anchors, size, rule)
            std = config.head.delta_std
            rois.append(
                roi_targets(proposals, boxes, truth.labels, truth.ignored, size, rule, std, generator)
            )
    rpn_class, rpn_box = _rpn_terms(logits, flat, rpn)
    head_class, head_box, accuracy = _head_terms(model, sam, rois, rule)
    return LossTerms(rpn_class, rpn_box, head_class, head_box, accuracy)


def flatten_rpn(scores: Tensor, deltas: Tensor) -> tuple[Tensor, Tensor]:
    """Scores (N, 2A, h, w), deltas (N, 4A, h, w) -> objectness (N, h*w*A), deltas (N, h*w*A, 4)."""
    n, double, h, w = scores.shape
    count = double // 2
    logits = (scores[:, count:] - scores[:, :count]).permute(0, 2, 3, 1).reshape(n, -1)
    return logits, deltas.reshape(n, count, 4, h, w).permute(0, 3, 4, 1, 2).reshape(n, -1, 4)


def _rpn_terms(logits: Tensor, deltas: Tensor, targets: list[AnchorTargets]) -> tuple[Tensor, Tensor]:
    per_image = logits.shape[1]
    positive = torch.cat([t.positive + i * per_image for i, t in enumerate(targets)])
    negative = torch.cat([t.negative + i * per_image for i, t in enumerate(targets)])
    wanted = torch.cat([t.deltas for t in targets]).to(deltas.device)
    device = logits.device
    return rpn_losses(
        logits.flatten(), deltas.flatten(0, 1), positive.to(device), negative.to(device), wanted
    )


def _head_terms(
    model: ThunderNet, sam: Tensor, targets: list[RoITargets], rule: Losses
) -> tuple[Tensor, Tensor, Tensor]:
    head, device = model.config.head, sam.device
    rois = torch.stack([t.rois for t in targets]).to(device)
    features = dense_psroi_align(sam, rois, model.config.anchors.stride, head.pool_size, head.sampling_ratio)
    logits, deltas = model.head(features)
    classes = torch.cat([t.classes for t in targets]).to(device)
    wanted = torch.cat([t.deltas for t in targets]).to(device)
    return head_losses(logits, deltas, classes, wanted, rule)
