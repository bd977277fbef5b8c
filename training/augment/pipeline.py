"""The order of augmentations, and SSD's geometric ones: zoom out, a crop with a wanted IoU, a mirror.

SSD section 2.2 and 3.6.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketdet.training.augment.photometric import degrade, recolour, ssd_distort
from pocketdet.training.augment.strong import bare_ground, mosaic, paste_objects, zoomed_view
from pocketdet.training.config import Augment
from pocketdet.training.sample import Boxes, ImageCache, Sample, area, warp


@dataclass(frozen=True)
class AugmentPipeline:
    """The cached datasets, the share of each (summing to 1), and the augmentation settings."""

    caches: list[ImageCache]
    shares: list[float]
    settings: Augment


def make_sample(pipeline: AugmentPipeline, seed: int, index: int, progress: float, side: int) -> Sample:
    """Augmented sample number `index` of a run; deterministic in its arguments.

    Args:
        pipeline: datasets and settings.
        seed: of the run.
        index: of the sample, counted over the whole run.
        progress: part of the run that is over, in [0, 1]; mosaics fade out (`Augment.mosaic_until`).
        side: width and height of the sample in pixels.
    """
    rng = np.random.default_rng((seed, index))
    cache = pipeline.caches[int(rng.choice(len(pipeline.caches), p=pipeline.shares))]
    settings = pipeline.settings
    if settings.kind == "none":
        return plain_view(cache.draw(rng)[0], side)
    if settings.kind == "ssd":
        source = cache.draw(rng)[0]
        view = ssd_view(source, rng, side)
        return Sample(ssd_distort(view.image, rng), view.boxes, view.labels, view.ignored)
    if rng.random() < mosaic_share(settings, progress):
        view = mosaic(pipeline.caches, pipeline.shares, rng, side)
    else:
        view = _single(cache, settings, rng, side)
    return Sample(degrade(view.image, rng), view.boxes, view.labels, view.ignored)


def plain_view(source: Sample, side: int) -> Sample:
    """The whole image stretched to side x side."""
    height, width = source.image.shape[:2]
    matrix = np.array([[side / width, 0, 0], [0, side / height, 0]])
    return warp(source, matrix, (side, side), least_visible=0.0)


def mosaic_share(settings: Augment, progress: float) -> float:
    """`mosaic` until two thirds of `mosaic_until`, then falling linearly to 0 at `mosaic_until`."""
    if settings.mosaic_until == 0:
        return 0.0
    return settings.mosaic * float(np.clip(3 * (1 - progress / settings.mosaic_until), 0, 1))


def _single(cache: ImageCache, settings: Augment, rng: np.random.Generator, side: int) -> Sample:
    if rng.random() < settings.bare_ground:
        view = paste_objects(bare_ground(cache, rng, side), cache, rng, int(rng.integers(1, 5)))
    else:
        view = zoomed_view(cache, rng, side)
        if rng.random() < settings.paste:
            view = paste_objects(view, cache, rng, int(rng.integers(1, 3)))
    return Sample(recolour(view.image, rng), view.boxes, view.labels, view.ignored)


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
