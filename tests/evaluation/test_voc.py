"""VOC's average precision: published cases, the kit's definitions, a plain reference, and properties."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pocketdet.datasets import Dataset
from pocketdet.datasets.records import ImageAnnotations, image_annotations
from pocketdet.errors import UsageError
from pocketdet.evaluation import Detections, VocAccuracy, voc_accuracy
from pocketdet.evaluation.detections import covered, iou

Box = tuple[float, float, float, float]
AnnotatedBox = tuple[Box, int, bool]


def annotations(*objects: AnnotatedBox) -> ImageAnnotations:
    return image_annotations(Path("x.jpg"), (1000, 1000), list(objects), image_id=0)


def found(*detections: tuple[Box, int, float]) -> Detections:
    return Detections(
        np.array([box for box, _, _ in detections], np.float32).reshape(-1, 4),
        np.array([score for _, _, score in detections], np.float32),
        np.array([label for _, label, _ in detections], np.int64),
    )


def cell(number: int) -> Box:
    """Boxes that do not overlap."""
    return 20.0 * number, 0, 20.0 * number + 10, 10


def one_class(
    truths: list[AnnotatedBox], *detections: tuple[Box, int, float], at: float = 0.5
) -> VocAccuracy:
    return voc_accuracy(Dataset(("bolt",), (annotations(*truths),)), [found(*detections)], at)


# The example of Padilla, Netto and da Silva, "A survey on performance metrics for object-detection
# algorithms" (2020): 7 images, 15 objects, 24 detections A to Y, hit or not at IoU 0.3.
PADILLA = {
    1: "A88- B70+ C80-",
    2: "D71- E54+ F74-",
    3: "G18+ H67- I38- J91+ K44-",
    4: "L35- M78- N45- O14-",
    5: "P62+ Q44- R95+ S23-",
    6: "T45- U84- V43-",
    7: "X48+ Y95-",
}
PADILLA_OBJECTS = (2, 2, 3, 1, 3, 2, 2)


def test_the_example_of_padilla_comes_out_as_published() -> None:
    # By descending score: R+ Y- J+ A- U- C- M- F- D- B+ H- P+ E+ X+ N- T- K- Q- V- I- L- S- G+ O-, hits at
    # ranks 1, 3, 10, 12, 13, 14, 23, so the precision there is 1, 2/3, 3/10, 4/12, 5/13, 6/14, 7/23 at the
    # recalls 1/15 .. 7/15. Made monotone: 1, 2/3, 3/7, 3/7, 3/7, 3/7, 7/23.
    # 11 points: 1 at recall 0, 2/3 at 0.1, 3/7 at 0.2, 0.3 and 0.4, nothing from 0.5 on.
    images, detections = [], []
    for number, objects in enumerate(PADILLA_OBJECTS, start=1):
        images.append(annotations(*((cell(k), 0, False) for k in range(objects))))
        marks, boxes = PADILLA[number].split(), []
        for mark in marks:
            hits = sum(m.endswith("+") for m in marks[: marks.index(mark)])
            # a hit covers 4 of 10 columns of the next object: IoU 0.4
            x = cell(hits)[0]
            box = (x, 0, x + 4, 10) if mark.endswith("+") else cell(30 + len(boxes))
            boxes.append((box, 0, int(mark[1:3]) / 100))
        detections.append(found(*boxes))
    assert sum(len(one.scores) for one in detections) == 24
    data = Dataset(("object",), tuple(images))
    assert data.objects == 15
    accuracy = voc_accuracy(data, detections, 0.3)
    assert accuracy.map_11 == pytest.approx((1 + 2 / 3 + 3 * 3 / 7) / 11)
    assert accuracy.map_area == pytest.approx((1 + 2 / 3 + 4 * 3 / 7 + 7 / 23) / 15)
    assert f"{accuracy.map_11:.4f}" == "0.2684"
    assert int(accuracy.map_area * 10_000) == 2456  # published cut, not rounded
    assert voc_accuracy(data, detections, 0.5).map_area == 0  # and at 0.5 nothing hits


def test_a_perfect_detector_has_one() -> None:
    truths: list[AnnotatedBox] = [(cell(k), k % 2, False) for k in range(7)]
    data = Dataset(("bolt", "nut"), (annotations(*truths), annotations(*truths)))
    detections = [found(*((box, label, 0.9) for box, label, _ in truths))] * 2
    accuracy = voc_accuracy(data, detections)
    assert (accuracy.map_11, accuracy.map_area) == (1.0, 1.0)
    assert [(one.name, one.ap_11, one.ap_area) for one in accuracy.per_class] == [
        ("bolt", 1.0, 1.0),
        ("nut", 1.0, 1.0),
    ]


def test_half_of_the_objects_without_a_mistake() -> None:
    # precision 1 up to recall 0.5: the levels 0, 0.1 .. 0.5 of 11, and half of the area
    accuracy = one_class([(cell(0), 0, False), (cell(1), 0, False)], (cell(0), 0, 0.9))
    assert accuracy.map_11 == pytest.approx(6 / 11)
    assert accuracy.map_area == pytest.approx(1 / 2)


@pytest.mark.parametrize("objects", range(1, 41))
def test_a_recall_level_that_is_reached_exactly_counts(objects: int) -> None:
    for hits in range(objects + 1):
        truths: list[AnnotatedBox] = [(cell(k), 0, False) for k in range(objects)]
        accuracy = one_class(truths, *((cell(k), 0, 0.9) for k in range(hits)))
        levels = sum(Fraction(hits, objects) >= Fraction(level, 10) for level in range(11)) if hits else 0
        assert accuracy.map_11 == pytest.approx(levels / 11, abs=1e-12)
        assert accuracy.map_area == pytest.approx(hits / objects, abs=1e-12)


def test_a_second_detection_of_an_object_is_a_false_positive() -> None:
    truths: list[AnnotatedBox] = [(cell(0), 0, False), (cell(1), 0, False)]
    # hit, duplicate, hit: precision 1 at recall 1/2, 2/3 at recall 1
    accuracy = one_class(truths, (cell(0), 0, 0.9), (cell(0), 0, 0.8), (cell(1), 0, 0.7))
    assert accuracy.map_area == pytest.approx((1 + 2 / 3) / 2)
    assert accuracy.map_11 == pytest.approx((6 + 5 * 2 / 3) / 11)


def test_difficult_objects_are_neither_counted_nor_punished() -> None:
    truths: list[AnnotatedBox] = [(cell(0), 0, False), (cell(1), 0, True), (cell(2), 0, True)]
    on_difficult = [(cell(1), 0, 0.99), (cell(1), 0, 0.98), (cell(1), 0, 0.3)]
    assert one_class(truths, *on_difficult, (cell(0), 0, 0.9)).map_area == 1.0
    assert one_class(truths, *on_difficult).map_area == 0.0


def test_a_detection_claims_the_object_that_it_overlaps_most_even_if_that_is_taken() -> None:
    # The second could claim B at 0.3, but it overlaps A more, and A is taken: false, as in VOCevaldet.m.
    a, b = (0.0, 0.0, 100.0, 100.0), (0.0, 45.0, 100.0, 145.0)
    second = (0.0, 5.0, 100.0, 100.0)
    assert iou(np.array([second]), np.array([a, b])).tolist()[0] == pytest.approx([0.95, 55 / 140])
    accuracy = one_class([(a, 0, False), (b, 0, False)], (a, 0, 0.9), (second, 0, 0.8), at=0.3)
    assert accuracy.map_area == pytest.approx(0.5)


@pytest.mark.parametrize(("threshold", "expected"), [(0.49, 1.0), (0.5, 1.0), (0.51, 0.0)])
def test_an_overlap_of_exactly_the_threshold_hits(threshold: float, expected: float) -> None:
    accuracy = one_class([((0, 0, 10, 10), 0, False)], ((0, 0, 10, 5), 0, 0.9), at=threshold)
    assert accuracy.map_11 == accuracy.map_area == expected


def test_classes_are_apart_and_one_without_objects_is_left_out() -> None:
    data = Dataset(("bolt", "nut", "pin"), (annotations((cell(0), 0, False), (cell(1), 1, False)),))
    accuracy = voc_accuracy(data, [found((cell(0), 1, 0.9), (cell(1), 1, 0.8), (cell(2), 2, 0.9))])
    # bolt: missed; nut: false (on the bolt), then right; pin: no object
    np.testing.assert_allclose([one.ap_area for one in accuracy.per_class], [0, 0.5, np.nan])
    np.testing.assert_allclose([one.ap_11 for one in accuracy.per_class], [0, 0.5, np.nan])
    assert accuracy.map_area == pytest.approx(0.25)
    assert accuracy.map_11 == pytest.approx(0.25)


@pytest.mark.parametrize("threshold", [0.0, -0.5, 1.01, float("nan")])
def test_a_threshold_outside_its_range_is_refused(threshold: float) -> None:
    with pytest.raises(UsageError, match="IoU threshold above 0 and at most 1"):
        one_class([(cell(0), 0, False)], at=threshold)


def test_bad_detections_and_images_without_objects_are_refused() -> None:
    with pytest.raises(UsageError, match="expected detections of 1 images, found 0"):
        voc_accuracy(Dataset(("bolt",), (annotations((cell(0), 0, False)),)), [])
    with pytest.raises(UsageError, match="no object that counts"):
        one_class([(cell(0), 0, True)])


corner = st.integers(0, 6)
score = st.integers(0, 1000).map(lambda n: n / 1000)


@st.composite
def boxes_of(draw: st.DrawFn) -> Box:
    x, y = draw(corner), draw(corner)
    return float(x), float(y), float(x + draw(st.integers(1, 6))), float(y + draw(st.integers(1, 6)))


truths_of = st.lists(st.tuples(boxes_of(), st.integers(0, 1), st.booleans()), max_size=5)
detections_of = st.lists(st.tuples(boxes_of(), st.integers(0, 1), score), max_size=6)
cases = st.lists(st.tuples(truths_of, detections_of), min_size=1, max_size=4)
Case = list[tuple[list[AnnotatedBox], list[tuple[Box, int, float]]]]


def records(case: Case) -> tuple[Dataset, list[Detections]]:
    """A case as records, with an object that counts in any case."""
    case = [*case, ([(cell(40), 0, False)], [])]
    return Dataset(("a", "b"), tuple(annotations(*t) for t, _ in case)), [found(*d) for _, d in case]


def reference(data: Dataset, detections: list[Detections], label: int) -> tuple[Fraction, Fraction]:
    """(11-point, area) for one class, detection by detection, in exact arithmetic."""
    taken: set[tuple[int, int]] = set()
    queue = [
        (-float(s), i, d)
        for i, one in enumerate(detections)
        for d, s in enumerate(one.scores)
        if one.labels[d] == label
    ]
    objects = sum(int((~image.ignored[image.labels == label]).sum()) for image in data.images)
    hits = wrong = 0
    points = []
    for _, i, d in sorted(queue):
        image, best, at = data.images[i], Fraction(0), None
        for t in np.flatnonzero(image.labels == label):
            share = exact_iou(detections[i].boxes[d], image.boxes[t])
            if share > best:
                best, at = share, int(t)
        if at is not None and best >= Fraction(1, 2):
            if image.ignored[at]:
                continue
            hits, wrong = (hits, wrong + 1) if (i, at) in taken else (hits + 1, wrong)
            taken.add((i, at))
        else:
            wrong += 1
        points.append((Fraction(hits, objects), Fraction(hits, hits + wrong)))
    levels = [max([p for r, p in points if r >= Fraction(k, 10)], default=Fraction(0)) for k in range(11)]
    area = Fraction(0)
    for r in sorted({r for r, _ in points} - {Fraction(0)}):
        area += Fraction(1, objects) * max(p for q, p in points if q >= r)
    return sum(levels, Fraction(0)) / 11, area


def exact_iou(a: NDArray[Any], b: NDArray[Any]) -> Fraction:
    ax1, ay1, ax2, ay2 = map(Fraction, a.tolist())
    bx1, by1, bx2, by2 = map(Fraction, b.tolist())
    common = max(Fraction(0), min(ax2, bx2) - max(ax1, bx1)) * max(Fraction(0), min(ay2, by2) - max(ay1, by1))
    return common / ((ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - common)


@settings(max_examples=150)
@given(cases)
def test_it_equals_a_plain_writing_of_the_kit(case: Case) -> None:
    data, detections = records(case)
    accuracy = voc_accuracy(data, detections)
    for label, one in enumerate(accuracy.per_class):
        if any((image.labels[~image.ignored] == label).any() for image in data.images):
            eleven, area = reference(data, detections, label)
            assert one.ap_11 == pytest.approx(float(eleven), abs=1e-12)
            assert one.ap_area == pytest.approx(float(area), abs=1e-12)
            assert 0 <= one.ap_11 <= 1
            assert 0 <= one.ap_area <= 1
        else:
            assert np.isnan(one.ap_11)
            assert np.isnan(one.ap_area)


@given(cases, boxes_of(), st.integers(0, 1), st.integers(0, 3))
def test_a_detection_of_nothing_below_all_others_never_helps(
    case: Case, box: Box, label: int, where: int
) -> None:
    away = (box[0] + 500, box[1], box[2] + 500, box[3])
    truths, others = case[where % len(case)]
    more = list(case)
    more[where % len(case)] = (truths, [*others, (away, label, -1.0)])
    before, after = voc_accuracy(*records(case)), voc_accuracy(*records(more))
    assert after.map_11 <= before.map_11
    assert after.map_area <= before.map_area


def with_distinct_scores(case: Case) -> Case:
    """The same order of scores without ties, which the order of the images would break."""
    number, result = 0, []
    for truths, detections in case:
        changed = []
        for box, label, value in detections:
            number += 1
            changed.append((box, label, float(round(1000 * value) * 64 + number)))
        result.append((truths, changed))
    return result


@given(cases, st.randoms(use_true_random=False))
def test_the_order_of_images_does_not_matter(case: Case, random: Any) -> None:
    case = with_distinct_scores(case)
    shuffled = random.sample(case, len(case))
    np.testing.assert_equal(voc_accuracy(*records(case)), voc_accuracy(*records(shuffled)))


@given(cases)
def test_only_the_order_of_the_scores_matters(case: Case) -> None:
    squared = [
        (t, [(box, label, round(1000 * value) ** 2 - 7.0) for box, label, value in d]) for t, d in case
    ]
    np.testing.assert_equal(voc_accuracy(*records(case)), voc_accuracy(*records(squared)))


@given(st.lists(boxes_of(), max_size=5), st.lists(boxes_of(), max_size=5))
def test_overlap_equals_exact_arithmetic(one: list[Box], other: list[Box]) -> None:
    a, b = np.array(one).reshape(-1, 4), np.array(other).reshape(-1, 4)
    shares, parts = iou(a, b), covered(a, b)
    assert shares.shape == parts.shape == (len(a), len(b))
    for i in range(len(a)):
        for j in range(len(b)):
            assert shares[i, j] == pytest.approx(float(exact_iou(a[i], b[j])), abs=1e-15)
            assert shares[i, j] <= parts[i, j] <= 1


@given(boxes_of(), boxes_of())
def test_edges_give_the_kits_overlap_of_whole_pixels(one: Box, other: Box) -> None:
    # As `read_voc` does: pixels first..last, counted from 1, have the edges first - 1 and last.
    (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = (
        (int(x1) + 1, int(y1) + 1, int(x2), int(y2)) for x1, y1, x2, y2 in (one, other)
    )
    width, height = min(ax2, bx2) - max(ax1, bx1) + 1, min(ay2, by2) - max(ay1, by1) + 1
    common = width * height if width > 0 and height > 0 else 0
    union = (ax2 - ax1 + 1) * (ay2 - ay1 + 1) + (bx2 - bx1 + 1) * (by2 - by1 + 1) - common
    assert iou(np.array([one]), np.array([other]))[0, 0] == pytest.approx(common / union, abs=1e-15)


def test_boxes_without_area_overlap_nothing() -> None:
    point = np.array([[5.0, 5.0, 5.0, 5.0]])
    assert iou(point, point).tolist() == [[0.0]]
    assert covered(point, np.array([[0.0, 0.0, 9.0, 9.0]])).tolist() == [[0.0]]
