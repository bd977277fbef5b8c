"""The whole detector in PyTorch, every stage kept: the reference that exports are compared with."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pocketdet.models.ops import detect, normalise, propose, psroi_align, resize_image, to_original
from pocketdet.models.thundernet import ThunderNet


@dataclass(frozen=True)
class Stages:
    """Every intermediate value of one image; shapes as in the comments."""

    resized: Tensor  # (h, w, 3) uint8, network channel order
    normalised: Tensor  # (3, h, w)
    rpn_scores: Tensor  # (2A, h/16, w/16)
    rpn_deltas: Tensor  # (4A, h/16, w/16)
    sam: Tensor  # (245, h/16, w/16)
    proposal_indices: Tensor  # (R,)
    proposal_boxes: Tensor  # (R, 4) network pixels
    roi_features: Tensor  # (R, 245)
    logits: Tensor  # (R, classes + 1)
    deltas: Tensor  # (R, 4)
    boxes: Tensor  # (N, 4) original pixels
    scores: Tensor  # (N,)
    labels: Tensor  # (N,)


@torch.no_grad()
def reference_stages(model: ThunderNet, image: NDArray[np.uint8]) -> Stages:
    """Run `model` (in eval mode) on an RGB image (H, W, 3), stage by stage."""
    config, size = model.config, model.config.input_size
    pre, head = config.preprocessing, config.head
    pixels = torch.from_numpy(np.ascontiguousarray(image))
    resized = resize_image(pixels, size, pre.resize, pre.channel_order, pre.pad)
    normalised = normalise(resized, pre.mean, pre.std)
    rpn_scores, rpn_deltas, sam = (t[0] for t in model(normalised[None]))
    rois = propose(rpn_scores, rpn_deltas, config.anchors, config.proposals, size)
    image_index = torch.zeros(len(rois.boxes), dtype=torch.int64)
    roi_features = psroi_align(
        sam[None], rois.boxes, image_index, config.anchors.stride, head.pool_size, head.sampling_ratio
    )
    logits, deltas = model.head(roi_features)
    found = detect(logits, deltas, rois.boxes, head.delta_std, config.postprocessing, size)
    source = (image.shape[0], image.shape[1])
    return Stages(
        resized=resized,
        normalised=normalised,
        rpn_scores=rpn_scores,
        rpn_deltas=rpn_deltas,
        sam=sam,
        proposal_indices=rois.indices,
        proposal_boxes=rois.boxes,
        roi_features=roi_features,
        logits=logits,
        deltas=deltas,
        boxes=to_original(found.boxes, source, size, pre.resize),
        scores=found.scores,
        labels=found.labels,
    )
