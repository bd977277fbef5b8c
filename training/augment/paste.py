"""Objects laid on grounds where they were not photographed, with soft edges."""

import cv2
import numpy as np
from numpy.typing import NDArray

from pocketdet.training.augment.photometric import recolour
from pocketdet.training.augment.strong import log_uniform
from pocketdet.training.image_cache import ImageCache
from pocketdet.training.sample import (
    Boxes,
    Image,
    Sample,
    map_boxes,
    orientation,
    similarity,
    touches,
    warp_pixels,
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
    centre = (0.5 * float(box[0] + box[2]), 0.5 * float(box[1] + box[3]))
    matrix = similarity(orientation(rng), centre, (place[0], place[1]), (scale, scale))
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
