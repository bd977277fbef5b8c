"""Pascal VOC's average precision, as the development kit defines it (VOCevaldet.m, 2007 and 2012).

In descending score each detection claims the object of its class that it overlaps most. With an overlap of
at least the threshold it is a true positive if that object is unclaimed, a false positive if it was claimed
before, and neither if the object is difficult; with less it is a false positive.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pocketdet.datasets import Dataset
from pocketdet.errors import UsageError
from pocketdet.evaluation.detections import Detections, check_detections
from pocketdet.evaluation.detections import iou as overlap

_NO_OBJECT, _DIFFICULT = -1, -2


@dataclass(frozen=True)
class VocClass:
    """One class: 11-point and area average precision in [0, 1]; nan without objects that count."""

    name: str
    ap_11: float
    ap_area: float


@dataclass(frozen=True)
class VocAccuracy:
    """Means over the classes that have objects, in [0, 1], and the classes in the order of their names.

    `map_11` is the metric of VOC 2007: the mean of the best precision at recall 0, 0.1 .. 1 or beyond.
    `map_area` is the metric since VOC 2010: the area under the precision made monotone.
    """

    map_11: float
    map_area: float
    per_class: tuple[VocClass, ...]


@dataclass(frozen=True)
class _Claims:
    """Every detection of the dataset, in order of images.

    scores (N,), labels (N,), and targets (N,): the number of the object claimed, or one of the two signs.
    objects (classes,): how many objects count.
    """

    scores: NDArray[np.float64]
    labels: NDArray[np.int64]
    targets: NDArray[np.int64]
    objects: NDArray[np.int64]


def voc_accuracy(dataset: Dataset, found: Sequence[Detections], iou: float = 0.5) -> VocAccuracy:
    """Compare `found`, in the order of `dataset.images`, with the labelled objects at an IoU threshold.

    Boxes are continuous edges, so a width is x2 - x1. The kit counts whole pixels, x2 - x1 + 1, with both
    ends inside; `read_voc` already made edges of them, and the IoU is the same. Ignored objects are VOC's
    difficult ones. Of equal scores the earlier image, then the earlier detection, counts first.
    Recall levels are compared in whole numbers: 3 of 10 objects reach the recall 0.3.
    Raises `UsageError` if detections are not sound or not of these images, if no object counts, or if
    `iou` is not above 0 and at most 1.
    """
    if not 0 < iou <= 1:
        raise UsageError(f"expected an IoU threshold above 0 and at most 1, found {iou}")
    check_detections(dataset, found)
    claims = _claims(dataset, found, iou)
    if not claims.objects.any():
        raise UsageError(f"{len(dataset.images)} images have no object that counts")
    per_class = tuple(_class_accuracy(claims, label, name) for label, name in enumerate(dataset.class_names))
    return VocAccuracy(
        float(np.nanmean([one.ap_11 for one in per_class])),
        float(np.nanmean([one.ap_area for one in per_class])),
        per_class,
    )


def _claims(dataset: Dataset, found: Sequence[Detections], threshold: float) -> _Claims:
    objects = np.zeros(len(dataset.class_names), np.int64)
    scores, labels, targets = [np.zeros(0)], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    first = 0  # number of the image's first object
    for image, one in zip(dataset.images, found, strict=True):
        np.add.at(objects, image.labels[~image.ignored], 1)
        scores.append(np.asarray(one.scores, np.float64))
        labels.append(np.asarray(one.labels, np.int64))
        target = np.full(len(labels[-1]), _NO_OBJECT, np.int64)
        if len(image.labels) and len(target):
            same = labels[-1][:, None] == image.labels[None]
            shared = np.where(same, overlap(one.boxes, image.boxes), 0)
            best = shared.argmax(axis=1)
            numbers = np.where(image.ignored, _DIFFICULT, first + np.arange(len(image.labels)))
            target = np.where(shared.max(axis=1) >= threshold, numbers[best], _NO_OBJECT)
        targets.append(target)
        first += len(image.labels)
    return _Claims(np.concatenate(scores), np.concatenate(labels), np.concatenate(targets), objects)


def _class_accuracy(claims: _Claims, label: int, name: str) -> VocClass:
    objects = int(claims.objects[label])
    if not objects:
        return VocClass(name, np.nan, np.nan)
    chosen = np.flatnonzero((claims.labels == label) & (claims.targets != _DIFFICULT))
    chosen = chosen[np.argsort(-claims.scores[chosen], kind="stable")]
    targets = claims.targets[chosen]
    first_claims = np.zeros(len(targets), np.bool_)
    first_claims[np.unique(targets, return_index=True)[1]] = True
    hits = np.cumsum(first_claims & (targets != _NO_OBJECT))
    precision = hits / np.arange(1, len(hits) + 1)
    return VocClass(name, _eleven_points(hits, precision, objects), _area(hits, precision, objects))


def _eleven_points(hits: NDArray[np.int64], precision: NDArray[np.float64], objects: int) -> float:
    best = [precision[10 * hits >= level * objects].max(initial=0.0) for level in range(11)]
    return float(np.mean(best))


def _area(hits: NDArray[np.int64], precision: NDArray[np.float64], objects: int) -> float:
    monotone = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.diff(hits, prepend=0)  # 1 where recall rises
    return float((steps * monotone).sum() / objects)
