"""Detections of one image, the check that they fit the dataset they are compared with, and their overlap."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketdet.datasets import Dataset
from pocketdet.errors import UsageError


@dataclass(frozen=True)
class Detections:
    """Detections of one image, in any order.

    Attributes:
        boxes: (N, 4) float32 (x1, y1, x2, y2) pixels of the stored image, as docs/reference/definitions.md.
        scores: (N,) float32, higher is more certain.
        labels: (N,) integers, 0-based indices into the class names of the dataset.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]


def check_detections(dataset: Dataset, found: Sequence[Detections]) -> None:
    """Raises `UsageError` unless `found` has sound detections for every image of `dataset`."""
    if len(found) != len(dataset.images):
        raise UsageError(f"expected detections of {len(dataset.images)} images, found {len(found)}")
    for image, one in zip(dataset.images, found, strict=True):
        trouble = _trouble(one, len(dataset.class_names))
        if trouble:
            raise UsageError(f"{image.path}: its detections cannot be compared: {trouble}")


def _trouble(one: Detections, classes: int) -> str | None:
    boxes, scores, labels = np.asarray(one.boxes), np.asarray(one.scores), np.asarray(one.labels)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        return f"expected boxes of shape (N, 4), found {boxes.shape}"
    if not scores.shape == labels.shape == boxes.shape[:1]:
        return f"{len(boxes)} boxes, but scores of shape {scores.shape} and labels of shape {labels.shape}"
    if not np.issubdtype(labels.dtype, np.integer):
        return f"expected integer labels, found {labels.dtype}"
    if not np.isfinite(boxes).all() or not np.isfinite(scores).all():
        return "a box or a score is NaN or infinite"
    if (boxes[:, 2:] < boxes[:, :2]).any():
        return "a box ends before it starts: expected (x1, y1, x2, y2) with x1 <= x2 and y1 <= y2"
    if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
        return f"expected labels from 0 to {classes - 1}, found {labels.min()} to {labels.max()}"
    return None


Boxes = NDArray[Any]


def intersections(one: Boxes, other: Boxes) -> NDArray[np.float64]:
    """(N, 4) and (M, 4) boxes -> (N, M) areas of their intersections, in square pixels."""
    a, b = np.asarray(one, np.float64)[:, None], np.asarray(other, np.float64)[None]
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    area: NDArray[np.float64] = np.maximum(sides, 0).prod(axis=-1)
    return area


def areas(boxes: Boxes) -> NDArray[np.float64]:
    """(N, 4) boxes -> (N,) areas, in square pixels."""
    wide = np.asarray(boxes, np.float64)
    area: NDArray[np.float64] = (wide[:, 2:] - wide[:, :2]).prod(axis=-1)
    return area


def iou(one: Boxes, other: Boxes) -> NDArray[np.float64]:
    """(N, 4) and (M, 4) boxes -> (N, M) intersection over union in [0, 1], 0 where both have no area.

    Boxes are edges (docs/reference/definitions.md): a width is x2 - x1.
    """
    common = intersections(one, other)
    union = areas(one)[:, None] + areas(other)[None] - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


def covered(one: Boxes, other: Boxes) -> NDArray[np.float64]:
    """(N, 4) and (M, 4) boxes -> (N, M) share of each of the first that lies in each of the second."""
    common = intersections(one, other)
    own = np.broadcast_to(areas(one)[:, None], common.shape)
    return np.divide(common, own, out=np.zeros_like(common), where=own > 0)
