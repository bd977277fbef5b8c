"""Views for images without an up: turned, mirrored, zoomed, in mosaics, pasted on other grounds."""

from itertools import pairwise

import numpy as np

from pocketdet.training.augment.photometric import recolour
from pocketdet.training.image_cache import ImageCache
from pocketdet.training.sample import (
    GREY,
    Boxes,
    Image,
    Sample,
    map_boxes,
    orientation,
    similarity,
    warp,
)

KEEP = 0.3  # share of an object that must be on the canvas
MAX_ENLARGEMENT = 3.5
CROP_FILL = (0.3, 0.92)  # the longer side of an object against the shorter of its mosaic tile


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A draw whose logarithm is uniform."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def zoomed_view(cache: ImageCache, rng: np.random.Generator, side: int) -> Sample:
    """A whole image, shrunk or enlarged, on a side x side canvas; the drawn object stays in it."""
    source, index = cache.draw(rng)
    height, width = source.image.shape[:2]
    base = side / np.array([width, height])
    draw = rng.random()
    if draw < 0.4:
        zoom = rng.uniform(0.95, 1.1)
    elif draw < 0.6:
        zoom = log_uniform(rng, 0.5, 1.0)
    else:
        longest = float(((source.boxes[index, 2:] - source.boxes[index, :2]) * base).max())
        zoom = min(log_uniform(rng, 1.0, 2.4), max(1.0, 0.95 * side / longest))
    aspect = float(np.exp(rng.normal(0, 0.1))) if draw >= 0.2 else 1.0
    scale = base * zoom * np.array([aspect, 1 / aspect])
    middle = (side / 2, side / 2)
    matrix = similarity(orientation(rng), (width / 2, height / 2), middle, (scale[0], scale[1]))
    half = np.abs(matrix[:, :2]) @ np.array([width, height]) / 2
    matrix[:, 2] += _slide(half, map_boxes(source.boxes[index : index + 1], matrix)[0], rng, side)
    mean = source.image[::17, ::17].reshape(-1, 3).mean(axis=0)
    fill = GREY if rng.random() < 0.5 else (int(mean[0]), int(mean[1]), int(mean[2]))
    return warp(source, matrix, (side, side), KEEP, fill)


def _slide(
    half: np.ndarray[tuple[int, ...], np.dtype[np.float64]], box: Boxes, rng: np.random.Generator, side: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """A shift (2,) that opens no gap at the edges of an image of half-size `half`, nor loses `box`."""
    margin = np.abs(half - side / 2)
    shift = rng.uniform(-1, 1, 2) * margin
    low, high = -box[:2], side - box[2:]
    return np.where(low < high, np.clip(shift, low, high), shift)


def object_crop(cache: ImageCache, rng: np.random.Generator, size: tuple[int, int]) -> Sample:
    """An object with its ground, on a canvas of (width, height), of which it fills a random share."""
    source, index = cache.draw(rng)
    box, share = source.boxes[index], log_uniform(rng, *CROP_FILL)
    longest = max(float((box[2:] - box[:2]).max()), 1.0)
    scale = min(min(size) * share / longest, MAX_ENLARGEMENT)
    aspect = float(np.exp(rng.normal(0, 0.08)))
    slack = 0.45 * (1 - share)
    target = (
        size[0] * (0.5 + rng.uniform(-slack, slack)),
        size[1] * (0.5 + rng.uniform(-slack, slack)),
    )
    centre = (0.5 * float(box[0] + box[2]), 0.5 * float(box[1] + box[3]))
    matrix = similarity(orientation(rng), centre, target, (scale * aspect, scale / aspect))
    return warp(source, matrix, size, KEEP)


def mosaic(caches: list[ImageCache], shares: list[float], rng: np.random.Generator, side: int) -> Sample:
    """2x2 object crops that meet near the middle, or one time in five 3x3; each in its own light."""
    if rng.random() < 0.8:
        inner = np.rint(side * rng.uniform(0.36, 0.64, 2)).astype(int)
        xs, ys = [0, int(inner[0]), side], [0, int(inner[1]), side]
    else:
        xs = ys = [0, side // 3, 2 * side // 3, side]
    canvas: Image = np.empty((side, side, 3), np.uint8)
    tiles = []
    for top, bottom in pairwise(ys):
        for left, right in pairwise(xs):
            cache = caches[int(rng.choice(len(caches), p=shares))]
            tile = object_crop(cache, rng, (right - left, bottom - top))
            canvas[top:bottom, left:right] = recolour(tile.image, rng)
            tiles.append((tile, np.array([left, top, left, top], np.float32)))
    return Sample(
        canvas,
        np.concatenate([tile.boxes + offset for tile, offset in tiles]),
        np.concatenate([tile.labels for tile, _ in tiles]),
        np.concatenate([tile.ignored + offset for tile, offset in tiles]),
    )
