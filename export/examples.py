"""Seeded pictures and network inputs that conversions are checked on."""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pocketdet.models.ops import normalise, resize_image
from pocketdet.models.thundernet import ThunderNet


def network_inputs(model: ThunderNet) -> tuple[Tensor, Tensor]:
    """Two different inputs (1, 3, H, W) of the features graph."""
    first, second = (_network_input(model, synthetic_image(model.config.input_size, s)) for s in (1, 2))
    return first, second


def _network_input(model: ThunderNet, image: NDArray[np.uint8]) -> Tensor:
    config = model.config
    pre = config.preprocessing
    resized = resize_image(torch.from_numpy(image), config.input_size, pre.resize, pre.channel_order, pre.pad)
    return normalise(resized, pre.mean, pre.std)[None]


def synthetic_image(size: tuple[int, int], seed: int = 0) -> NDArray[np.uint8]:
    """A (H, W, 3) RGB picture of soft blobs, larger than `size`, smooth enough that resizing keeps it."""
    rng = np.random.default_rng(seed)
    height, width = size[0] * 5 // 4, size[1] * 3 // 2
    coarse = rng.integers(0, 256, (height // 32 + 2, width // 32 + 2, 3), np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def made_smaller(image: NDArray[np.uint8], longest: int = 640) -> NDArray[np.uint8]:
    """An RGB picture (H, W, 3) whose longer side is at most `longest` pixels."""
    scale = longest / max(image.shape[:2])
    if scale >= 1:
        return image
    size = (max(1, round(scale * image.shape[1])), max(1, round(scale * image.shape[0])))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
