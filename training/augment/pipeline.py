"""The order of augmentations."""

from dataclasses import dataclass

import numpy as np

from pocketdet.training.augment.photometric import degrade, recolour, ssd_distort
from pocketdet.training.augment.ssd import ssd_view
from pocketdet.training.augment.strong import bare_ground, mosaic, paste_objects, zoomed_view
from pocketdet.training.config import Augment
from pocketdet.training.sample import ImageCache, Sample, warp


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
