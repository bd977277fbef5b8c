"""What a detector found in one picture, and the check that it fits the data set it is compared with."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pocketdet.datasets import Dataset
from pocketdet.errors import UsageError


@dataclass(frozen=True)
class Found:
    """Detections of one picture, in any order.

    Attributes:
        boxes: (N, 4) float32 (x1, y1, x2, y2) pixels of the stored image, as docs/reference/definitions.md.
        scores: (N,) float32, higher is more certain.
        labels: (N,) integers, 0-based indices into the class names of the data set.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]


def check_found(dataset: Dataset, found: Sequence[Found]) -> None:
    """Raises `UsageError` unless `found` has sound detections for every picture of `dataset`."""
    if len(found) != len(dataset.images):
        raise UsageError(f"expected detections of {len(dataset.images)} pictures, found {len(found)}")
    for image, one in zip(dataset.images, found, strict=True):
        trouble = _trouble(one, len(dataset.class_names))
        if trouble:
            raise UsageError(f"{image.path}: its detections cannot be compared: {trouble}")


def _trouble(one: Found, classes: int) -> str | None:
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
