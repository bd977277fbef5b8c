"""Views for images without an up: turned, mirrored, zoomed, in mosaics, and objects laid, with soft
edges, on grounds where they were not photographed.
"""

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from pocketdet.training.augment.photometric import recolour
from pocketdet.training.sample import (
    GREY,
    Boxes,
    Image,
    ImageCache,
    Sample,
    map_boxes,
    orientation,
    similarity,
    touches,
    warp,
    warp_pixels,
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


def _centre(box: Boxes) -> tuple[float, float]:
    """The centre (x, y) of a box (4,)."""
    return 0.5 * float(box[0] + box[2]), 0.5 * float(box[1] + box[3])


def object_crop(cache: ImageCache, rng: np.random.Generator, size: tuple[int, int]) -> Sample:
    """An object with its ground, on a canvas of (width, height), of which it fills a random share."""
    source, index = cache.draw(rng)
    box, share = source.boxes[index], log_uniform(rng, *CROP_FILL)
    longest = max(float((box[2:] - box[:2]).max()), 1.0)
    scale = min(min(size) * share / longest, MAX_ENLARGEMENT)
    aspect = float(np.exp(rng.normal(0, 0.08)))
    slack = 0.45 * (1 - share)
    target = (size[0] * (0.5 + rng.uniform(-slack, slack)), size[1] * (0.5 + rng.uniform(-slack, slack)))
    matrix = similarity(orientation(rng), _centre(box), target, (scale * aspect, scale / aspect))
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


TRIES = 4
GROUND_TRIES = 20
MARGIN = 0.12  # of the longer side, plus two pixels: the ring in which object and ground mix
PASTED_SIDE = (0.08, 0.5)  # the longer side of a pasted object against the canvas


def bare_ground(cache: ImageCache, rng: np.random.Generator, side: int) -> Sample:
    """Part of an image beside its objects, enlarged to side x side; the canvas has no object."""
    pixels: Image = np.full((side, side, 3), rng.integers(60, 190), np.uint8)
    for _ in range(GROUND_TRIES):
        sample = cache.samples[int(rng.integers(len(cache.samples)))]
        height, width = sample.image.shape[:2]
        part = max(8, int(min(height, width) * rng.uniform(0.3, 0.6)))
        x, y = int(rng.integers(0, width - part + 1)), int(rng.integers(0, height - part + 1))
        if not touches(np.array([x, y, x + part, y + part], np.float32), sample.occupied):
            crop = np.ascontiguousarray(sample.image[y : y + part, x : x + part])
            pixels = cv2.resize(crop, (side, side))  # type: ignore[assignment]
            break
    if rng.random() < 0.5:
        pixels = pixels[::-1]
    if rng.random() < 0.5:
        pixels = pixels.transpose(1, 0, 2)
    none = np.zeros((0, 4), np.float32)
    return Sample(np.ascontiguousarray(pixels), none, np.zeros(0, np.int64), none)


def paste_objects(target: Sample, cache: ImageCache, rng: np.random.Generator, count: int) -> Sample:
    """`target` with up to `count` objects of `cache` where nothing lies yet."""
    canvas = target.image.copy()
    boxes, labels = list(target.boxes), list(target.labels)
    for _ in range(count):
        for _ in range(TRIES):
            occupied = np.array([*boxes, *target.ignored], np.float32).reshape(-1, 4)
            laid = _lay(canvas, cache, rng, occupied)
            if laid is not None:
                boxes.append(laid[0])
                labels.append(laid[1])
                break
    return Sample(
        canvas, np.array(boxes, np.float32).reshape(-1, 4), np.array(labels, np.int64), target.ignored
    )


def _lay(
    canvas: Image, cache: ImageCache, rng: np.random.Generator, occupied: Boxes
) -> tuple[NDArray[np.float32], np.int64] | None:
    """Draw one object into `canvas`, if the drawn place is free: its box (4,) and label."""
    source, index = cache.draw(rng)
    side = canvas.shape[0]
    if len(source.occupied) > 1:
        return None  # its margin may show a part of another object
    box = source.boxes[index]
    longest = max(float((box[2:] - box[:2]).max()), 4.0)
    scale = min(log_uniform(rng, *PASTED_SIDE) * side / longest, 2.5)
    place = rng.uniform(0.1, 0.9, 2) * side
    matrix = similarity(orientation(rng), _centre(box), (place[0], place[1]), (scale, scale))
    placed = map_boxes(box[None], matrix)[0]
    margin = MARGIN * float((placed[2:] - placed[:2]).max()) + 2
    outer = placed + np.array([-margin, -margin, margin, margin], np.float32)
    if outer.min() < 0 or outer.max() > side or touches(outer, occupied):
        return None
    _blend(canvas, source.image, matrix, outer, margin, rng)
    return placed, source.labels[index]


def _blend(
    canvas: Image,
    source: Image,
    matrix: NDArray[np.float64],
    outer: Boxes,
    margin: float,
    rng: np.random.Generator,
) -> None:
    """Mix the warped source into `canvas` within the box `outer` (4,), fading over `margin` pixels."""
    x, y = int(outer[0]), int(outer[1])
    width, height = int(np.ceil(outer[2])) - x, int(np.ceil(outer[3])) - y
    local = matrix.copy()
    local[:, 2] -= (x, y)
    patch = recolour(warp_pixels(source, local, (width, height), None), rng, 0.4).astype(np.float32)
    edge = max(int(0.6 * margin), 1)
    mask = np.zeros((height, width), np.float32)
    mask[edge : height - edge, edge : width - edge] = 1
    mask = cv2.GaussianBlur(mask, (0, 0), max(edge / 2, 0.6))[..., None]  # type: ignore[assignment]
    ground = canvas[y : y + height, x : x + width].astype(np.float32)
    if rng.random() < 0.7:
        ring = 1 - mask
        patch += ((ground - patch) * ring).sum(axis=(0, 1)) / (ring.sum() + 1e-6)
    mixed = patch * mask + ground * (1 - mask)
    canvas[y : y + height, x : x + width] = np.clip(mixed, 0, 255).astype(np.uint8)
