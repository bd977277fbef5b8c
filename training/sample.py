"""An image with its boxes, how both move together, and the decoded images of a dataset, kept in memory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from pocketdet.datasets import Dataset, read_stored_image

Image = NDArray[np.uint8]
Boxes = NDArray[np.float32]
Matrix = NDArray[np.float64]

GREY = (124, 116, 104)  # the mean of ImageNet: zero for the network
MIN_SIDE = 2.0  # pixels of a box that is still an object


@dataclass(frozen=True)
class Sample:
    """RGB (H, W, 3), boxes (N, 4), labels (N,), and boxes (K, 4) of ignored objects."""

    image: Image
    boxes: Boxes
    labels: NDArray[np.int64]
    ignored: Boxes

    @cached_property
    def occupied(self) -> Boxes:
        """All boxes, those of ignored objects included."""
        return np.concatenate([self.boxes, self.ignored])


def orientation(rng: np.random.Generator) -> Matrix:
    """One of the eight turns and mirrors of the square, as a (2, 2) matrix."""
    matrix = np.diag(rng.choice([-1.0, 1.0], 2))
    return matrix[::-1] if rng.random() < 0.5 else matrix


def similarity(
    linear: Matrix, source: tuple[float, float], target: tuple[float, float], scale: tuple[float, float]
) -> Matrix:
    """The (2, 3) map that scales by (sx, sy), applies `linear`, and takes `source` to `target`."""
    a = linear @ np.diag(scale)
    return np.concatenate([a, (np.asarray(target) - a @ np.asarray(source))[:, None]], axis=1)


def map_boxes(boxes: Boxes, matrix: Matrix) -> Boxes:
    """The boxes around the images of boxes (N, 4); exact where the map keeps axes parallel."""
    corners = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2) @ matrix[:, :2].T + matrix[:, 2]
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1).astype(np.float32)


def clip(boxes: Boxes, size: tuple[int, int]) -> Boxes:
    """The parts of boxes (N, 4) inside an image of (width, height)."""
    return np.clip(boxes, 0, np.array([*size, *size], np.float32)).astype(np.float32)


def warp(
    source: Sample,
    matrix: Matrix,
    size: tuple[int, int],
    least_visible: float | None,
    fill: tuple[int, int, int] = GREY,
) -> Sample:
    """`source` under an affine map of edge coordinates, on a canvas of (width, height).

    An object stays where more than `least_visible` of its area is on the canvas, or its centre where
    `least_visible` is None; the rest of another is `ignored`.
    """
    image = warp_pixels(source.image, matrix, size, fill)
    mapped = map_boxes(source.boxes, matrix)
    visible = clip(mapped, size)
    if least_visible is None:
        centres = 0.5 * (mapped[:, :2] + mapped[:, 2:])
        inside = ((centres > 0) & (centres < size)).all(axis=1)
    else:
        inside = area(visible) > least_visible * area(mapped)
    inside &= ((visible[:, 2:] - visible[:, :2]) >= MIN_SIDE).all(axis=1)
    rests = visible[~inside & (area(visible) > 0)]
    ignored = clip(map_boxes(source.ignored, matrix), size)
    ignored = np.concatenate([ignored[area(ignored) > 0], rests])
    return Sample(image, visible[inside], source.labels[inside], ignored)


def warp_pixels(
    image: Image, matrix: Matrix, size: tuple[int, int], fill: tuple[int, int, int] | None
) -> Image:
    """The pixels of `warp`; without a fill the image is mirrored beyond its edges.

    Boxes count edges, OpenCV counts pixel centres: half a pixel lies between them, on both sides. Where
    the map shrinks the image it is averaged first.
    """
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    a, t = matrix[:, :2], matrix[:, 2]
    if scale < 0.6:
        image, factor = _shrunk(image, scale)
        a = a / factor
    centred = np.concatenate([a, (t + a @ np.array([0.5, 0.5]) - 0.5)[:, None]], axis=1)
    border = cv2.BORDER_REFLECT_101 if fill is None else cv2.BORDER_CONSTANT
    out: Image = cv2.warpAffine(  # type: ignore[assignment]
        image, centred, size, flags=cv2.INTER_LINEAR, borderMode=border, borderValue=fill or GREY
    )
    return out


def _shrunk(image: Image, scale: float) -> tuple[Image, NDArray[np.float64]]:
    """The image averaged down by about `scale`, and the exact factors of x and y."""
    height, width = image.shape[:2]
    target = (max(1, round(width * scale)), max(1, round(height * scale)))
    small: Image = cv2.resize(image, target, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return small, np.array([target[0] / width, target[1] / height])


def area(boxes: Boxes) -> NDArray[np.float32]:
    """(N, 4) -> (N,)."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    product: NDArray[np.float32] = sides[:, 0] * sides[:, 1]
    return product


def touches(box: NDArray[np.floating], boxes: Boxes) -> bool:
    """Whether a box (4,) shares area with one of (N, 4)."""
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    return bool((sides > 0).all(axis=1).any())


@dataclass(frozen=True)
class ImageCache:
    """One dataset: its samples, and its objects that are not ignored as (sample index, index in sample).

    Attributes:
        samples: the decoded images and their boxes.
        objects: (M, 2) int64, every object that is not ignored.
        cumulative: (M,) float64, the running sum of the chance of each object to be drawn.
    """

    samples: tuple[Sample, ...]
    objects: NDArray[np.int64]
    cumulative: NDArray[np.float64]

    def draw(self, rng: np.random.Generator) -> tuple[Sample, int]:
        """Draw an object: its sample and its index in the sample."""
        row = min(int(np.searchsorted(self.cumulative, rng.random())), len(self.objects) - 1)
        sample, index = self.objects[row]
        return self.samples[sample], int(index)


def build_cache(samples: Sequence[Sample], classes: int, class_power: float) -> ImageCache:
    """A cache that draws objects with probability proportional to (class frequency) ** `class_power`.

    Args:
        samples: the decoded dataset.
        classes: number of classes.
        class_power: 0 draws all objects alike, -1 all classes alike.
    """
    objects = [(i, k) for i, sample in enumerate(samples) for k in range(len(sample.labels))]
    labels = np.array([samples[i].labels[k] for i, k in objects], np.int64)
    frequency = np.bincount(labels, minlength=classes)
    weights = frequency[labels].astype(np.float64) ** class_power
    chances = np.cumsum(weights / weights.sum())
    return ImageCache(tuple(samples), np.array(objects, np.int64).reshape(-1, 2), chances)


def load_samples(dataset: Dataset, progress: Callable[[], None] = lambda: None) -> list[Sample]:
    """Decode every image (about 270 kB for 300x300 pixels); boxes of ignored objects are kept apart."""
    loaded = []
    for image in dataset.images:
        used = ~image.ignored
        pixels = read_stored_image(image.path)
        loaded.append(Sample(pixels, image.boxes[used], image.labels[used], image.boxes[image.ignored]))
        progress()
    return loaded
