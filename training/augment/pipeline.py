"""Which augmentation an image gets, and in which order."""

from dataclasses import dataclass

import numpy as np

from pocketdet.training.augment.paste import bare_ground, paste_objects
from pocketdet.training.augment.photometric import degrade, recolour, ssd_distort
from pocketdet.training.augment.ssd import ssd_view
from pocketdet.training.augment.strong import mosaic, zoomed_view
from pocketdet.training.config import Augment
from pocketdet.training.image_cache import ImageCache
from pocketdet.training.sample import Sample, warp


@dataclass(frozen=True)
class AugmentPipeline:
    """The sources with their shares (summing to 1), and how images are made of them."""

    caches: list[ImageCache]
    shares: list[float]
    rule: Augment


def make_sample(pipeline: AugmentPipeline, seed: int, index: int, progress: float, side: int) -> Sample:
    """Image number `index` of a run, side x side: a function of its arguments and of nothing else.

    `progress` in [0, 1] says how much of the run is over: mosaics fade out (`Augment.mosaic_until`).
    """
    rng = np.random.default_rng((seed, index))
    cache = pipeline.caches[int(rng.choice(len(pipeline.caches), p=pipeline.shares))]
    rule = pipeline.rule
    if rule.kind == "none":
        return plain_view(cache.draw(rng)[0], side)
    if rule.kind == "ssd":
        source = cache.draw(rng)[0]
        view = ssd_view(source, rng, side)
        return Sample(ssd_distort(view.image, rng), view.boxes, view.labels, view.ignored)
    if rng.random() < mosaic_share(rule, progress):
        view = mosaic(pipeline.caches, pipeline.shares, rng, side)
    else:
        view = _single(cache, rule, rng, side)
    return Sample(degrade(view.image, rng), view.boxes, view.labels, view.ignored)


def plain_view(source: Sample, side: int) -> Sample:
    """The whole image stretched to side x side."""
    height, width = source.image.shape[:2]
    matrix = np.array([[side / width, 0, 0], [0, side / height, 0]])
    return warp(source, matrix, (side, side), keep=0.0)


def mosaic_share(rule: Augment, progress: float) -> float:
    """`rule.mosaic` until two thirds of `rule.mosaic_until`, then falling to 0 at `rule.mosaic_until`."""
    if rule.mosaic_until == 0:
        return 0.0
    return rule.mosaic * float(np.clip(3 * (1 - progress / rule.mosaic_until), 0, 1))


def _single(cache: ImageCache, rule: Augment, rng: np.random.Generator, side: int) -> Sample:
    if rng.random() < rule.bare_ground:
        view = paste_objects(bare_ground(cache, rng, side), cache, rng, int(rng.integers(1, 5)))
    else:
        view = zoomed_view(cache, rng, side)
        if rng.random() < rule.paste:
            view = paste_objects(view, cache, rng, int(rng.integers(1, 3)))
    return Sample(recolour(view.image, rng), view.boxes, view.labels, view.ignored)
