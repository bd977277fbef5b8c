"""Whole detectors in PyTorch: an image in, boxes out.

Two-stage detectors keep the values of every stage: the reference that exports are compared with.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pocketdet.models.config import Preprocessing
from pocketdet.models.one_stage import OneStageDetector
from pocketdet.models.ops import detect, normalise, propose, ps_roi_align, resize_image, to_original
from pocketdet.models.ops.one_stage_decode import OneStageDetections, one_stage_decode
from pocketdet.models.thundernet import ThunderNet


@dataclass(frozen=True)
class Postprocessed:
    """What becomes of the maps of one image; shapes as in the comments."""

    proposal_indices: Tensor  # (R,) anchor of each proposal
    proposal_logits: Tensor  # (R,) objectness, descending
    proposal_boxes: Tensor  # (R, 4) network pixels
    roi_features: Tensor  # (R, 245)
    logits: Tensor  # (R, classes + 1)
    deltas: Tensor  # (R, 4)
    boxes: Tensor  # (N, 4) original pixels
    scores: Tensor  # (N,) descending
    labels: Tensor  # (N,) from 0, without background


@dataclass(frozen=True)
class Stages(Postprocessed):
    """Every intermediate value of one image."""

    resized: Tensor  # (h, w, 3) uint8, network channel order
    normalised: Tensor  # (3, h, w)
    rpn_scores: Tensor  # (2A, h/16, w/16)
    rpn_deltas: Tensor  # (4A, h/16, w/16)
    sam: Tensor  # (245, h/16, w/16)


def preprocess(image: NDArray[np.uint8], rule: Preprocessing, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Resize an RGB image (H, W, 3) to (height, width) and normalise it.

    Returns:
        The resized image (h, w, 3) uint8 in the network's channel order, and the normalised input (3, h, w).
    """
    pixels = torch.from_numpy(np.ascontiguousarray(image))
    resized = resize_image(pixels, size, rule.resize, rule.channel_order, rule.pad)
    return resized, normalise(resized, rule.mean, rule.std)


@torch.no_grad()
def reference_stages(model: ThunderNet, image: NDArray[np.uint8]) -> Stages:
    """Run `model` (in eval mode) on an RGB image (H, W, 3), stage by stage."""
    resized, normalised = preprocess(image, model.config.preprocessing, model.config.input_size)
    rpn_scores, rpn_deltas, sam = (t[0] for t in model(normalised[None]))
    source = (image.shape[0], image.shape[1])
    found = postprocess(model, rpn_scores, rpn_deltas, sam, source)
    return Stages(
        resized=resized,
        normalised=normalised,
        rpn_scores=rpn_scores,
        rpn_deltas=rpn_deltas,
        sam=sam,
        **vars(found),
    )


@torch.no_grad()
def postprocess(
    model: ThunderNet, rpn_scores: Tensor, rpn_deltas: Tensor, sam: Tensor, source: tuple[int, int]
) -> Postprocessed:
    """Maps of one image (no batch dimension) that was `source` (height, width) pixels before the resize."""
    config, size, head = model.config, model.config.input_size, model.config.head
    rois = propose(rpn_scores, rpn_deltas, config.anchors, config.proposals, size)
    image_index = torch.zeros(len(rois.boxes), dtype=torch.int64, device=sam.device)
    roi_features = ps_roi_align(
        sam[None], rois.boxes, image_index, config.anchors.stride, head.pool_size, head.sampling_ratio
    )
    logits, deltas = model.head(roi_features)
    found = detect(logits, deltas, rois.boxes, head.delta_std, config.postprocessing, size)
    return Postprocessed(
        proposal_indices=rois.indices,
        proposal_logits=rois.logits,
        proposal_boxes=rois.boxes,
        roi_features=roi_features,
        logits=logits,
        deltas=deltas,
        boxes=to_original(found.boxes, source, size, config.preprocessing.resize),
        scores=found.scores,
        labels=found.labels,
    )


@torch.no_grad()
def detect_one_stage(model: OneStageDetector, image: NDArray[np.uint8]) -> OneStageDetections:
    """What `model` (in eval mode, with `settings`) finds in an RGB image (H, W, 3), boxes in its pixels."""
    pre, size = model.settings.preprocessing, model.settings.input_size
    outputs = model(preprocess(image, pre, size)[1][None])
    found = one_stage_decode(model.spec(), {name: x[0] for name, x in outputs.items()})
    return replace(found, boxes=to_original(found.boxes, (image.shape[0], image.shape[1]), size, pre.resize))
