"""SSD's geometric augmentation: zoom out, a crop with a wanted IoU, a mirror. SSD section 2.2 and 3.6."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketdet.training.sample import Boxes, Sample, area, warp

CROP_TRIES = 50
MIN_IOUS = (None, 0.0, 0.1, 0.3, 0.5, 0.7, 0.9)  # None: the whole image; 0: any crop
MAX_ZOOM_OUT = 4.0

Window = tuple[float, float, float, float]


def ssd_view(source: Sample, rng: np.random.Generator, side: int) -> Sample:
    """A random part of the image, or the image on a larger ground, stretched to side x side."""
    height, width = source.image.shape[:2]
    window: Window = (0.0, 0.0, float(width), float(height))
    if rng.random() < 0.5:
        window = _zoom_out(window, rng)
    window = _crop(window, source, rng)
    scale = np.array([side / (window[2] - window[0]), side / (window[3] - window[1])])
    matrix = np.concatenate([np.diag(scale), (-scale * np.array(window[:2]))[:, None]], axis=1)
    if rng.random() < 0.5:
        matrix = np.diag([-1.0, 1.0]) @ matrix + np.array([[0, 0, side], [0, 0, 0]])
    return warp(source, matrix, (side, side), least_visible=None)


def _zoom_out(window: Window, rng: np.random.Generator) -> Window:
    width, height = window[2], window[3]
    ratio = rng.uniform(1, MAX_ZOOM_OUT)
    x, y = rng.uniform(0, width * (ratio - 1)), rng.uniform(0, height * (ratio - 1))
    return (-x, -y, width * ratio - x, height * ratio - y)


def _crop(window: Window, source: Sample, rng: np.random.Generator) -> Window:
    """A part of `window`, 0.3 to 1 of its sides, aspect 0.5 to 2, with the wanted IoU with an object."""
    wanted = MIN_IOUS[int(rng.integers(len(MIN_IOUS)))]
    if wanted is None or not len(source.boxes):
        return window
    full_width, full_height = window[2] - window[0], window[3] - window[1]
    centres = 0.5 * (source.boxes[:, :2] + source.boxes[:, 2:])
    for _ in range(CROP_TRIES):
        width, height = full_width * rng.uniform(0.3, 1), full_height * rng.uniform(0.3, 1)
        if not 0.5 <= width / height <= 2:
            continue
        x = window[0] + rng.uniform(0, full_width - width)
        y = window[1] + rng.uniform(0, full_height - height)
        crop = np.array([x, y, x + width, y + height], np.float32)
        inside = ((centres > crop[:2]) & (centres < crop[2:])).all(axis=1)
        if inside.any() and _iou(crop, source.boxes).max() >= wanted:
            return (x, y, x + width, y + height)
    return window


def _iou(crop: NDArray[np.float32], boxes: Boxes) -> NDArray[np.floating[Any]]:
    sides = np.maximum(np.minimum(crop[2:], boxes[:, 2:]) - np.maximum(crop[:2], boxes[:, :2]), 0)
    inter = sides[:, 0] * sides[:, 1]
    iou: NDArray[np.floating[Any]] = inter / (area(crop[None]) + area(boxes) - inter)
    return iou
