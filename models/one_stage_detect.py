"""A one-stage detector whole in PyTorch: an image in, boxes out."""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from pocketdet.models.one_stage import OneStageDetector
from pocketdet.models.ops import normalise, resize_image, to_original
from pocketdet.models.ops.one_stage_decode import OneStageDetections, one_stage_decode


@torch.no_grad()
def detect_one_stage(model: OneStageDetector, image: NDArray[np.uint8]) -> OneStageDetections:
    """What `model` (in eval mode, with `settings`) finds in an RGB image (H, W, 3), boxes in its pixels."""
    pre, size = model.settings.preprocessing, model.settings.input_size
    resized = resize_image(
        torch.from_numpy(np.ascontiguousarray(image)), size, pre.resize, pre.channel_order, pre.pad
    )
    outputs = model(normalise(resized, pre.mean, pre.std)[None])
    found = one_stage_decode(model.spec(), {name: x[0] for name, x in outputs.items()})
    return replace(found, boxes=to_original(found.boxes, (image.shape[0], image.shape[1]), size, pre.resize))
