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

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from pocketdet.datasets import Dataset, ImageAnnotations, read_stored_image
from pocketdet.errors import UsageError
from pocketdet.evaluation.detections import Detections, areas, check_detections, covered, iou
from pocketdet.evaluation.figures import INK, MUTED, WIDTH, drawn, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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


TRUE_COLOUR, FOUND_COLOUR = "#19c37d", "#ff8a00"
_COLUMNS, _GAP, _HEAD, _CAPTION = 4, 16, 76, 62  # the last three in pixels
_TILE = (WIDTH - _GAP) // _COLUMNS - _GAP
_TRUE_LINE, _FOUND_LINE = 4.0, 1.8  # so that both are seen where they lie on one another
_CONTEXT = 3.0  # side of the part that is shown, in sides of what went wrong
_LEAST_SIDE = 64.0  # pixels of the image: less would show no surroundings


def write_gallery(
    path: str | Path, dataset: Dataset, found: Sequence[Detections], misses: Sequence[Miss]
) -> None:
    """Draw one tile per miss to a PNG or JPEG file, 1200 pixels wide, in the order of `misses`.

    A tile shows the surroundings of the miss, enlarged: its object and its detection in broad lines, other
    objects and other detections with a score of at least 0.3 in thin ones. The caption is `Miss.words`, the
    image's name and where in it the tile lies.
    Raises `UsageError` if a miss is of no image of `dataset`, `found` does not fit, or the file cannot be
    written, and `ImageError` if an image cannot be read.
    """
    check_detections(dataset, found)
    for miss in misses:
        if not 0 <= miss.image_index < len(dataset.images):
            raise UsageError(f"a miss is in image {miss.image_index}: found {len(dataset.images)} images")
    step = _TILE + _CAPTION + _GAP
    height = _HEAD + max(1, math.ceil(len(misses) / _COLUMNS)) * step
    with drawn(path, height) as figure:
        title = f"The {len(misses)} worst misses" if len(misses) > 1 else "The worst miss"
        figure.text(_GAP / WIDTH, 1 - 34 / height, title if misses else "No misses", size=13)
        for colour, x, word in ((TRUE_COLOUR, _GAP, "labelled"), (FOUND_COLOUR, _GAP + 90, "found")):
            figure.text(x / WIDTH, 1 - 60 / height, "■", color=colour, size=11)
            figure.text((x + 16) / WIDTH, 1 - 60 / height, word, color=MUTED)
        for place, miss in enumerate(misses):
            row, column = divmod(place, _COLUMNS)
            left, top = _GAP + column * (_TILE + _GAP), _HEAD + row * step
            corner = (left / WIDTH, 1 - (top + _TILE) / height)
            axes = figure.add_axes((*corner, _TILE / WIDTH, _TILE / height))
            _draw_tile(axes, dataset, found[miss.image_index], miss)


def _draw_tile(axes: "Axes", dataset: Dataset, one: Detections, miss: Miss) -> None:
    image = dataset.images[miss.image_index]
    pixels = read_stored_image(image.path)
    x1, y1, x2, y2 = view(miss, (pixels.shape[1], pixels.shape[0]))
    axes.set_axis_off()
    axes.set_anchor("SW")  # the caption begins where the image does
    axes.imshow(pixels[y1:y2, x1:x2], extent=(x1, x2, y2, y1))
    axes.set_xlim(x1, x2)
    axes.set_ylim(y2, y1)
    for box in image.boxes:
        _draw_box(axes, box.tolist(), TRUE_COLOUR, 1.0)
    for box in one.boxes[np.asarray(one.scores) >= SEEN]:
        _draw_box(axes, box.tolist(), FOUND_COLOUR, 1.0)
    if miss.true_box is not None:
        _draw_box(axes, miss.true_box, TRUE_COLOUR, _TRUE_LINE)
    if miss.found_box is not None:
        _draw_box(axes, miss.found_box, FOUND_COLOUR, _FOUND_LINE)
    names = [shortened(name, 24) for name in dataset.class_names]
    lines = textwrap.wrap(miss.words(names), 37)
    where = f"{shortened(image.path.name, 26)}   {x2 - x1}×{y2 - y1} at ({x1}, {y1})"
    below: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "top"}
    axes.annotate("\n".join(lines), (0, 0), (0, -4), size=9.5, color=INK, **below)
    axes.annotate(where, (0, 0), (0, -6 - 12 * len(lines)), size=7.5, color=MUTED, **below)


def view(miss: Miss, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The part (x1, y1, x2, y2) of an image of (width, height) that shows a miss: a square, cut to fit."""
    boxes = np.array([box for box in (miss.true_box, miss.found_box) if box is not None])
    if not len(boxes):
        return 0, 0, *size
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    side = math.ceil(max(_CONTEXT * float((high - low).max()), _LEAST_SIDE))
    x1, x2 = _span(float(low[0] + high[0]) / 2, side, size[0])
    y1, y2 = _span(float(low[1] + high[1]) / 2, side, size[1])
    return x1, y1, x2, y2


def _span(centre: float, side: int, length: int) -> tuple[int, int]:
    """`side` whole pixels about `centre`, moved to lie within 0 and `length`."""
    start = max(0, min(round(centre - side / 2), length - side))
    return start, min(length, start + side)


def _draw_box(axes: "Axes", box: Box | list[float] | NDArray[np.float32], colour: str, width: float) -> None:
    from matplotlib.patches import Rectangle

    x1, y1, x2, y2 = box
    # The dark line beneath keeps a box visible on any image.
    for line, ink in ((width + 0.8, "#00000090"), (width, colour)):
        axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=ink, linewidth=line))
