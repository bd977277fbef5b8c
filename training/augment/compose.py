"""Which augmentation a picture gets, and in which order."""

from dataclasses import dataclass

import numpy as np

from pocketdet.training.augment.paste import bare_ground, paste_objects
from pocketdet.training.augment.photometric import degrade, recolour, ssd_distort
from pocketdet.training.augment.ssd import ssd_view
from pocketdet.training.augment.strong import mosaic, zoomed_view
from pocketdet.training.config import Augment
from pocketdet.training.labelled import Labelled, warp
from pocketdet.training.pool import Pool


@dataclass(frozen=True)
class Recipe:
    """The sources with their shares (summing to 1), and how pictures are made of them."""

    pools: list[Pool]
    shares: list[float]
    rule: Augment


def make_picture(recipe: Recipe, seed: int, index: int, progress: float, side: int) -> Labelled:
    """Picture number `index` of a run, side x side: a function of its arguments and of nothing else.

    `progress` in [0, 1] says how much of the run is over: mosaics fade out (`Augment.mosaic_until`).
    """
    rng = np.random.default_rng((seed, index))
    pool = recipe.pools[int(rng.choice(len(recipe.pools), p=recipe.shares))]
    rule = recipe.rule
    if rule.kind == "none":
        return plain_view(pool.draw(rng)[0], side)
    if rule.kind == "ssd":
        source = pool.draw(rng)[0]
        view = ssd_view(source, rng, side)
        return Labelled(ssd_distort(view.image, rng), view.boxes, view.labels, view.ignored)
    if rng.random() < mosaic_share(rule, progress):
        view = mosaic(recipe.pools, recipe.shares, rng, side)
    else:
        view = _single(pool, rule, rng, side)
    return Labelled(degrade(view.image, rng), view.boxes, view.labels, view.ignored)


def plain_view(source: Labelled, side: int) -> Labelled:
    """The whole picture stretched to side x side."""
    height, width = source.image.shape[:2]
    matrix = np.array([[side / width, 0, 0], [0, side / height, 0]])
    return warp(source, matrix, (side, side), keep=0.0)


def mosaic_share(rule: Augment, progress: float) -> float:
    """`rule.mosaic` until two thirds of `rule.mosaic_until`, then falling to 0 at `rule.mosaic_until`."""
    if rule.mosaic_until == 0:
        return 0.0
    return rule.mosaic * float(np.clip(3 * (1 - progress / rule.mosaic_until), 0, 1))


def _single(pool: Pool, rule: Augment, rng: np.random.Generator, side: int) -> Labelled:
    if rng.random() < rule.bare_ground:
        view = paste_objects(bare_ground(pool, rng, side), pool, rng, int(rng.integers(1, 5)))
    else:
        view = zoomed_view(pool, rng, side)
        if rng.random() < rule.paste:
            view = paste_objects(view, pool, rng, int(rng.integers(1, 3)))
    return Labelled(recolour(view.image, rng), view.boxes, view.labels, view.ignored)
