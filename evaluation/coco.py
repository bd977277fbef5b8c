"""COCO's average precision, as pycocotools computes it (https://cocodataset.org/#detection-eval).

Nothing is measured here: the records become what pycocotools reads, and its answer becomes a record, and
precision over recall an image.
"""

import contextlib
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pocketdet.datasets import Dataset
from pocketdet.errors import UsageError
from pocketdet.evaluation.detections import Detections, check_detections
from pocketdet.evaluation.figures import INK, MUTED, RULE, WIDTH, drawn, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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


_RECALL = np.linspace(0, 1, 101)
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe and Ito's palette
_DASHES = ((0, (5, 3)), (0, (2, 2)), (0, (7, 2, 2, 2)))
_TOP, _ROW, _FOOT = 424, 172, 44  # heights in pixels
_COLUMNS, _LEGEND_ROWS = 6, 7
_LEFT, _RIGHT = 56, 20  # margins in pixels


def write_curves(path: str | Path, curves: Mapping[str, CocoAccuracy], class_names: Sequence[str]) -> None:
    """Draw precision over recall at IoU 0.5 to a PNG or JPEG file, 1200 pixels wide.

    Above: for each variant (the keys of `curves`) the mean over the classes; the area under it is AP50.
    Below: each class of the first variant, in descending order of AP. Classes without objects are named at
    the foot. Raises `UsageError` if there is no variant, if its classes are not `class_names`, or if the
    file cannot be written.
    """
    if not curves:
        raise UsageError("expected at least one variant whose curves are drawn, found none")
    for variant, accuracy in curves.items():
        if accuracy.curves50.shape != (len(class_names), len(_RECALL)):
            raise UsageError(
                f"{variant}: expected curves of {len(class_names)} classes at {len(_RECALL)} recalls, "
                f"found an array of shape {accuracy.curves50.shape}"
            )
    name, first = next(iter(curves.items()))
    counted = [k for k, one in enumerate(first.per_class) if one.objects]
    counted.sort(key=lambda k: -first.per_class[k].ap)
    height = _TOP + math.ceil(len(counted) / _COLUMNS) * _ROW + _FOOT
    with drawn(path, height) as figure:
        _draw_means(figure, curves, height)
        title = f"Classes of {shortened(name, 60)}, best AP first"
        figure.text(_LEFT / WIDTH, 1 - (_TOP - 6) / height, title, size=11)
        for place, k in enumerate(counted):
            _draw_class(figure, place, first, k, class_names[k], height)
        absent = [class_names[k] for k in range(len(class_names)) if k not in counted]
        if absent:
            text = shortened(f"Without objects: {', '.join(absent)}", 170)
            figure.text(_LEFT / WIDTH, 14 / height, text, color=MUTED)


def _draw_means(figure: "Figure", curves: Mapping[str, CocoAccuracy], height: int) -> None:
    axes = figure.add_axes((_LEFT / WIDTH, 1 - (_TOP - 82) / height, 560 / WIDTH, (_TOP - 134) / height))
    _plain(axes)
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.set_yticks(np.linspace(0, 1, 6))
    axes.grid(color=RULE, linewidth=0.6)
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    title = "Precision over recall at IoU 0.5, mean over the classes"
    figure.text(_LEFT / WIDTH, 1 - 30 / height, title, size=13)
    for number, (variant, accuracy) in enumerate(curves.items()):
        mean = np.nanmean(accuracy.curves50, axis=0)
        # Subjects that agree lie on one another: the first is broad, the others are dashed upon it.
        axes.plot(
            _RECALL,
            mean,
            color=_COLOURS[number % len(_COLOURS)],
            linewidth=1.6 if number else 3.0,
            linestyle=_DASHES[number % len(_DASHES)] if number else "solid",
            label=f"{shortened(variant, 34)}\nAP {accuracy.ap:.3f}   AP50 {accuracy.ap50:.3f}   "
            f"AP75 {accuracy.ap75:.3f}",
        )
    axes.legend(
        loc="upper left",
        bbox_to_anchor=(1.03, 1.02),
        frameon=False,
        fontsize=10 if len(curves) <= _LEGEND_ROWS else 8,
        labelspacing=0.9,
        handlelength=3.2,
        ncols=math.ceil(len(curves) / _LEGEND_ROWS),
    )


def _draw_class(figure: "Figure", place: int, accuracy: CocoAccuracy, k: int, name: str, height: int) -> None:
    row, column = divmod(place, _COLUMNS)
    step = (WIDTH - _LEFT - _RIGHT) / _COLUMNS
    bottom = _TOP + (row + 1) * _ROW - 24
    axes = figure.add_axes(
        ((_LEFT + column * step) / WIDTH, 1 - bottom / height, (step - 24) / WIDTH, (_ROW - 70) / height)
    )
    _plain(axes)
    axes.set_xticks((0, 0.5, 1), ("0", "0.5", "1"), size=7)
    axes.set_yticks((0, 0.5, 1), ("0", "0.5", "1") if column == 0 else ("", "", ""), size=7)
    curve = accuracy.curves50[k]
    axes.fill_between(_RECALL, curve, color=_COLOURS[0], alpha=0.18, linewidth=0)
    axes.plot(_RECALL, curve, color=_COLOURS[0], linewidth=1.4)
    one = accuracy.per_class[k]
    objects = f"{one.objects} object" + ("s" if one.objects > 1 else "")
    axes.text(0, 1.19, shortened(name, 25), transform=axes.transAxes, size=8.5, color=INK)
    detail = f"AP {one.ap:.2f}   AP50 {one.ap50:.2f}   {objects}"
    axes.text(0, 1.06, detail, transform=axes.transAxes, size=7, color=MUTED)


def _plain(axes: "Axes") -> None:
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.03)
    axes.tick_params(length=0)
    axes.spines[["top", "right"]].set_visible(False)
