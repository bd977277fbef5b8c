"""What went wrong, object by object, and how bad each of it is.

Only detections that a user would see take part: those with a score of at least `seen`. Each is a hit, or is
forgiven because it lies on an ignored object of its class, or is one of three mistakes; an object that is
neither hit nor mistaken for something is missed. Severities are in [0, 1] and can be compared across kinds:

    ghost        score                        nothing there, or an object found a second time
    wrong class  score * (1 - right)          the place of an object of another class (IoU >= 0.5);
                                              `right` is the score that this object's own class got
    poor box     score * (1 - IoU)            an object of this class, but 0.1 <= IoU < 0.5
    missed       (1 - best) * min(1, side/96) `best`: the highest score of its class on it, below `seen`;
                                              `side`: the root of its area, 96 pixels being COCO's "large"
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pocketdet.datasets import Dataset, ImageAnnotations
from pocketdet.errors import UsageError
from pocketdet.evaluation.detections import Detections, areas, check_detections, covered, iou

MissKind = Literal["missed", "wrong class", "poor box", "ghost"]
Box = tuple[float, float, float, float]

HIT_IOU = 0.5
TOUCH_IOU = 0.1
LARGE_SIDE = 96.0
SEEN = 0.3


@dataclass(frozen=True)
class Miss:
    """One mistake.

    Attributes:
        kind: what went wrong, see the module.
        image: position in `Dataset.images`.
        severity: in [0, 1], 1 is worst.
        true_box, true_label: the object concerned; None for a ghost where nothing is.
        found_box, found_label, score: the detection concerned; None for a missed object.
    Boxes are (x1, y1, x2, y2) pixels of the stored image.
    """

    kind: MissKind
    image_index: int
    severity: float
    true_box: Box | None = None
    true_label: int | None = None
    found_box: Box | None = None
    found_label: int | None = None
    score: float | None = None

    def words(self, class_names: Sequence[str]) -> str:
        """The mistake as a caption, such as "Bolt taken for Nut 0.87"."""
        true = class_names[self.true_label] if self.true_label is not None else ""
        name = class_names[self.found_label] if self.found_label is not None else ""
        if self.kind == "missed":
            return f"{true} missed"
        if self.kind == "wrong class":
            return f"{true} taken for {name} {self.score:.2f}"
        if self.kind == "poor box":
            return f"{true} with a poor box {self.score:.2f}"
        return f"{name} found twice {self.score:.2f}" if true else f"{name} where none is {self.score:.2f}"


def worst_misses(
    dataset: Dataset, found: Sequence[Detections], count: int, *, seen: float = SEEN
) -> tuple[Miss, ...]:
    """The `count` worst mistakes, worst first; of equally bad ones the earlier image comes first.

    Detections with a score below `seen` only soften a missed object. Raises `UsageError` if detections are
    not sound or not of these images, or if `count` is negative.
    """
    if count < 0:
        raise UsageError(f"expected a count of misses from 0, found {count}")
    check_detections(dataset, found)
    misses: list[Miss] = []
    for position, (image, one) in enumerate(zip(dataset.images, found, strict=True)):
        misses += _ImageMistakes(position, image, one, seen).misses()
    misses.sort(key=lambda miss: -miss.severity)
    return tuple(misses[:count])


class _ImageMistakes:
    """The mistakes in one image."""

    def __init__(self, position: int, image: ImageAnnotations, one: Detections, seen: float) -> None:
        self.position, self.seen = position, seen
        order = np.argsort(-np.asarray(one.scores), kind="stable")
        self.scores = np.asarray(one.scores, np.float64)[order]
        self.boxes, self.labels = np.asarray(one.boxes)[order], np.asarray(one.labels)[order]
        counted = ~image.ignored
        self.true_boxes, self.true_labels = image.boxes[counted], image.labels[counted]
        self.iou = iou(self.boxes, self.true_boxes)
        self.same = self.labels[:, None] == self.true_labels[None]
        self.forgiven = (
            (covered(self.boxes, image.boxes[image.ignored]) >= HIT_IOU)
            & (self.labels[:, None] == image.labels[image.ignored][None])
        ).any(axis=1)
        self.found_by: dict[int, float] = {}  # object -> score of its hit
        self.blamed: set[int] = set()  # objects that a wrong class or a poor box stands for

    def misses(self) -> list[Miss]:
        """All of them; hits are settled first, so that a mistake with a higher score takes no object."""
        visible = np.flatnonzero(self.scores >= self.seen).tolist()
        wrong = [d for d in visible if not self._hits(d) and not self.forgiven[d]]
        mistakes = [self._mistake(d) for d in wrong]
        left = set(range(len(self.true_labels))) - self.found_by.keys() - self.blamed
        return mistakes + [self._missed(t) for t in sorted(left)]

    def _hits(self, d: int) -> bool:
        fitting = np.where(self.same[d], self.iou[d], 0)
        fitting[list(self.found_by)] = 0
        target = _best(fitting, HIT_IOU)
        if target is not None:
            self.found_by[target] = float(self.scores[d])
        return target is not None

    def _mistake(self, d: int) -> Miss:
        score = float(self.scores[d])
        own, other = np.where(self.same[d], self.iou[d], 0), np.where(self.same[d], 0, self.iou[d])
        twice = _best(own, HIT_IOU)
        if twice is not None:
            return self._miss("ghost", score, d, twice)
        confused = _best(other, HIT_IOU)
        if confused is not None:
            self.blamed.add(confused)
            right = self.found_by.get(confused, 0.0)
            return self._miss("wrong class", score * (1 - right), d, confused)
        own[[*self.found_by, *self.blamed]] = 0
        touched = _best(own, TOUCH_IOU)
        if touched is not None:
            self.blamed.add(touched)
            return self._miss("poor box", score * (1 - float(own[touched])), d, touched)
        return self._miss("ghost", score, d, None)

    def _missed(self, t: int) -> Miss:
        faint = self.scores[self.same[:, t] & (self.iou[:, t] >= HIT_IOU) & (self.scores < self.seen)]
        side = float(np.sqrt(areas(self.true_boxes[t : t + 1])[0]))
        severity = (1 - float(faint.max(initial=0.0))) * min(1.0, side / LARGE_SIDE)
        return self._miss("missed", severity, None, t)

    def _miss(self, kind: MissKind, severity: float, d: int | None, t: int | None) -> Miss:
        return Miss(
            kind,
            self.position,
            min(1.0, max(0.0, severity)),
            None if t is None else _box(self.true_boxes[t]),
            None if t is None else int(self.true_labels[t]),
            None if d is None else _box(self.boxes[d]),
            None if d is None else int(self.labels[d]),
            None if d is None else float(self.scores[d]),
        )


def _best(overlaps: NDArray[np.float64], least: float) -> int | None:
    """Index of the greatest overlap, if it is at least `least`."""
    if not len(overlaps) or overlaps.max() < least:
        return None
    return int(overlaps.argmax())


def _box(values: NDArray[np.float32]) -> Box:
    x1, y1, x2, y2 = values.tolist()
    return x1, y1, x2, y2
