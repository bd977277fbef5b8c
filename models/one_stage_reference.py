"""A one-stage detector whole in PyTorch, every stage kept: the reference for one-stage exports."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pocketdet.models.one_stage import OneStageDetector
from pocketdet.models.ops import normalise, resize_image, to_original
from pocketdet.models.ops.one_stage_decode import one_stage_decode


@dataclass(frozen=True)
class OneStageStages:
    """Every intermediate value of one image; shapes as in the comments."""

    resized: Tensor  # (h, w, 3) uint8, network channel order
    normalised: Tensor  # (3, h, w)
    outputs: dict[str, Tensor]  # (channels, h, w) each
    boxes: Tensor  # (N, 4) original pixels
    scores: Tensor  # (N,) descending
    labels: Tensor  # (N,) from 0, without background


@torch.no_grad()
def one_stage_stages(model: OneStageDetector, image: NDArray[np.uint8]) -> OneStageStages:
    """Run `model` (in eval mode, with `settings`) on an RGB image (H, W, 3), stage by stage."""
    settings = model.settings
    pre, size = settings.preprocessing, settings.input_size
    pixels = torch.from_numpy(np.ascontiguousarray(image))
    resized = resize_image(pixels, size, pre.resize, pre.channel_order, pre.pad)
    normalised = normalise(resized, pre.mean, pre.std)
    outputs = {name: x[0] for name, x in model(normalised[None]).items()}
    found = one_stage_decode(model.spec(), outputs)
    source = (image.shape[0], image.shape[1])
    boxes = to_original(found.boxes, source, size, pre.resize)
    return OneStageStages(resized, normalised, outputs, boxes, found.scores, found.labels)
