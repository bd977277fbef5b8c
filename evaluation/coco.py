"""COCO's average precision, as pycocotools computes it (https://cocodataset.org/#detection-eval).

Nothing is measured here: the records become what pycocotools reads, and its answer becomes a record.
"""

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketdet.datasets import Dataset
from pocketdet.errors import UsageError
from pocketdet.evaluation.detections import Detections, check_detections

Entry = dict[str, Any]

_IOU_50 = 0  # index among pycocotools' thresholds 0.5, 0.55 .. 0.95
_ALL_AREAS = 0  # among all, small, medium, large
_DETECTIONS_100 = 2  # among at most 1, 10, 100 detections


@dataclass(frozen=True)
class ClassAccuracy:
    """One class: how many objects count, AP over IoU 0.5 to 0.95, AP at 0.5; nan without objects."""

    name: str
    objects: int
    ap: float
    ap50: float


@dataclass(frozen=True)
class CocoAccuracy:
    """COCO's numbers, in [0, 1], each the mean over the classes that have objects; nan if none has.

    Attributes:
        ap: average precision, mean over IoU 0.5, 0.55 .. 0.95.
        ap50, ap75: average precision at IoU 0.5 and at 0.75.
        ap_small, ap_medium, ap_large: `ap` of objects of up to 32², 32² to 96², and from 96² square pixels.
        ar100: recall with up to 100 detections, mean over the same IoU.
        per_class: in the order of the class names.
        curves50: (classes, 101) float64, precision at recall 0, 0.01 .. 1 at IoU 0.5; nan where a class
            has no objects. The mean of a row is the class's `ap50`.
    """

    ap: float
    ap50: float
    ap75: float
    ap_small: float
    ap_medium: float
    ap_large: float
    ar100: float
    per_class: tuple[ClassAccuracy, ...]
    curves50: NDArray[np.float64]


def coco_accuracy(dataset: Dataset, found: Sequence[Detections]) -> CocoAccuracy:
    """Compare `found`, in the order of `dataset.images`, with the labelled objects.

    Ignored objects are crowds to COCO: not counted, and detections on them not punished. As in COCO the
    100 best detections of each class in each image take part, and of equal scores the first counts first.
    Raises `UsageError` if detections are not sound or not of these images, if no object counts, or if
    pycocotools is not installed.
    """
    try:
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise UsageError(
            "COCO average precision needs pycocotools: pip install 'pocketdet[accuracy]'"
        ) from error
    check_detections(dataset, found)
    counts = _counted_objects(dataset)
    if not counts.any():
        raise UsageError(f"{len(dataset.images)} images have no object that counts")
    images = [{"id": position} for position in range(len(dataset.images))]
    categories = [{"id": label} for label in range(len(dataset.class_names))]
    with contextlib.redirect_stdout(io.StringIO()):
        truths = _indexed(images, categories, _truth_entries(dataset))
        evaluation = COCOeval(truths, _indexed(images, categories, _found_entries(found)), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    precision = _or_nan(evaluation.eval["precision"])[..., _ALL_AREAS, _DETECTIONS_100]
    ap, ap50, ap75, small, medium, large, _, _, ar100 = _or_nan(evaluation.stats)[:9].tolist()
    per_class = tuple(
        ClassAccuracy(
            name, int(counts[k]), float(precision[..., k].mean()), float(precision[_IOU_50, :, k].mean())
        )
        for k, name in enumerate(dataset.class_names)
    )
    curves = np.ascontiguousarray(precision[_IOU_50].T)
    return CocoAccuracy(ap, ap50, ap75, small, medium, large, ar100, per_class, curves)


def _counted_objects(dataset: Dataset) -> NDArray[np.int64]:
    """(classes,) objects that are not ignored."""
    counts = np.zeros(len(dataset.class_names), np.int64)
    for image in dataset.images:
        np.add.at(counts, image.labels[~image.ignored], 1)
    return counts


def _indexed(images: list[Entry], categories: list[Entry], annotations: list[Entry]) -> Any:
    """What pycocotools makes of a COCO file, without the file."""
    from pycocotools.coco import COCO

    # An annotation with the id 0 would count as "no match" to COCOeval.
    numbered = [{"id": number, **entry} for number, entry in enumerate(annotations, start=1)]
    coco: Any = COCO()
    coco.dataset = {"images": images, "categories": categories, "annotations": numbered}
    coco.createIndex()
    return coco


def _truth_entries(dataset: Dataset) -> list[Entry]:
    return [
        {"image_id": position, "category_id": label, "iscrowd": int(crowd), **_extent(box)}
        for position, image in enumerate(dataset.images)
        for box, label, crowd in zip(
            image.boxes.tolist(), image.labels.tolist(), image.ignored.tolist(), strict=True
        )
    ]


def _found_entries(found: Sequence[Detections]) -> list[Entry]:
    return [
        {"image_id": position, "category_id": label, "iscrowd": 0, "score": score, **_extent(box)}
        for position, one in enumerate(found)
        for box, score, label in zip(
            np.asarray(one.boxes).tolist(),
            np.asarray(one.scores).tolist(),
            np.asarray(one.labels).tolist(),
            strict=True,
        )
    ]


def _extent(box: list[float]) -> Entry:
    width, height = box[2] - box[0], box[3] - box[1]
    return {"bbox": [box[0], box[1], width, height], "area": width * height}


def _or_nan(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values, nan where pycocotools writes -1: no objects."""
    return np.where(values < 0, np.nan, values)
