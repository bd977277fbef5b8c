"""Every mistake gets its kind, its severity and its words."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketdet.datasets import Dataset
from pocketdet.datasets.records import image_annotations
from pocketdet.errors import UsageError
from pocketdet.evaluation import Detections, Miss, worst_misses

Box = tuple[float, float, float, float]
AnnotatedBox = tuple[Box, int, bool]
Detection = tuple[Box, int, float]

NAMES = ("Bolt", "Nut")
BOLT, NUT = 0, 1
HERE: Box = (100, 100, 148, 148)  # 48 pixels a side: half of what is large
HALF: Box = (100, 100, 148, 112)  # a quarter of it
AWAY: Box = (300, 300, 340, 340)


def found(*detections: Detection) -> Detections:
    return Detections(
        np.array([box for box, _, _ in detections], np.float32).reshape(-1, 4),
        np.array([score for _, _, score in detections], np.float32),
        np.array([label for _, label, _ in detections], np.int64),
    )


def data(*images: list[AnnotatedBox]) -> Dataset:
    return Dataset(
        NAMES, tuple(image_annotations(Path("x.jpg"), (400, 400), objects, 0) for objects in images)
    )


def misses(truths: list[AnnotatedBox], *detections: Detection) -> tuple[Miss, ...]:
    return worst_misses(data(truths), [found(*detections)], 100)


def described(result: tuple[Miss, ...]) -> list[tuple[str, float]]:
    return [(miss.words(NAMES), round(miss.severity, 6)) for miss in result]


BOLT_HERE: AnnotatedBox = (HERE, BOLT, False)


@pytest.mark.parametrize(
    ("detections", "expected"),
    [
        ([(HERE, BOLT, 0.9)], []),
        ([(HERE, BOLT, 0.3)], []),
        # one unseen, one seen wrongly: 1 x 48/96, then what softens it
        ([], [("Bolt missed", 0.5)]),
        ([(HERE, BOLT, 0.25)], [("Bolt missed", 0.375)]),
        ([(HERE, NUT, 0.25)], [("Bolt missed", 0.5)]),
        ([(HERE, NUT, 0.875)], [("Bolt taken for Nut 0.88", 0.875)]),
        ([(HERE, NUT, 0.75), (HERE, BOLT, 0.5)], [("Bolt taken for Nut 0.75", 0.375)]),
        ([(HALF, BOLT, 0.5)], [("Bolt with a poor box 0.50", 0.375)]),
        ([(HALF, NUT, 0.5)], [("Nut where none is 0.50", 0.5), ("Bolt missed", 0.5)]),
        ([(AWAY, NUT, 0.75)], [("Nut where none is 0.75", 0.75), ("Bolt missed", 0.5)]),
        ([(HERE, BOLT, 0.75), (HERE, BOLT, 0.5)], [("Bolt found twice 0.50", 0.5)]),
        ([(HERE, BOLT, 0.75), (HALF, BOLT, 0.5)], [("Bolt where none is 0.50", 0.5)]),
        # a poor box with a higher score takes no object from a hit
        ([(HALF, BOLT, 0.75), (HERE, BOLT, 0.5)], [("Bolt where none is 0.75", 0.75)]),
        # of two poor boxes the first stands for the object
        (
            [(HALF, BOLT, 0.75), (HALF, BOLT, 0.5)],
            [("Bolt with a poor box 0.75", 0.5625), ("Bolt where none is 0.50", 0.5)],
        ),
    ],
)
def test_each_mistake_by_kind_severity_and_words(
    detections: list[Detection], expected: list[tuple[str, float]]
) -> None:
    assert described(misses([BOLT_HERE], *detections)) == expected


def test_a_miss_says_what_is_concerned() -> None:
    (miss,) = misses([BOLT_HERE], (AWAY, BOLT, 0.1), (HERE, NUT, 0.75))
    assert miss == Miss("wrong class", 0, 0.75, HERE, BOLT, HERE, NUT, 0.75)
    (ghost, missed) = worst_misses(data([], [BOLT_HERE]), [found((AWAY, NUT, 0.75)), found()], 9)
    assert ghost == Miss("ghost", 0, 0.75, None, None, AWAY, NUT, 0.75)
    assert missed == Miss("missed", 1, 0.5, HERE, BOLT, None, None, None)


def test_large_objects_count_fully() -> None:
    (miss,) = misses([((0, 0, 300, 300), NUT, False)])
    assert (miss.kind, miss.severity) == ("missed", 1.0)


def test_ignored_objects_are_not_missed_and_forgive_detections_of_their_class() -> None:
    crowd: AnnotatedBox = ((200, 200, 400, 400), BOLT, True)
    assert misses([crowd]) == ()
    assert misses([crowd], (AWAY, BOLT, 0.9)) == ()
    assert described(misses([crowd], (AWAY, NUT, 0.5))) == [("Nut where none is 0.50", 0.5)]
    assert described(misses([crowd], (HERE, BOLT, 0.5))) == [("Bolt where none is 0.50", 0.5)]


def test_each_object_is_hit_once_by_the_best_fit() -> None:
    beside: Box = (110, 100, 158, 148)
    truths: list[AnnotatedBox] = [BOLT_HERE, (beside, BOLT, False)]
    assert misses(truths, (beside, BOLT, 0.5), (HERE, BOLT, 0.9)) == ()
    # two detections at one place: the second takes the other object, which it overlaps by more than half
    assert misses(truths, (HERE, BOLT, 0.9), (HERE, BOLT, 0.5)) == ()


def test_the_worst_come_first_and_no_more_than_asked() -> None:
    ghosts = [found((AWAY, NUT, score)) for score in (0.5, 0.75, 0.5, 0.9375)]
    truths = data([], [], [], [])
    assert [m.image_index for m in worst_misses(truths, ghosts, 100)] == [3, 1, 0, 2]
    assert [m.image_index for m in worst_misses(truths, ghosts, 3)] == [3, 1, 0]
    assert worst_misses(truths, ghosts, 0) == ()
    assert [m.image_index for m in worst_misses(truths, ghosts, 100, seen=0.6)] == [3, 1]


def test_severity_stays_in_its_range_when_scores_do_not() -> None:
    (miss,) = misses([], (AWAY, NUT, 7.5))
    assert (miss.severity, miss.score) == (1.0, 7.5)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(UsageError, match="count of misses from 0, found -1"):
        worst_misses(data([]), [found()], -1)
    with pytest.raises(UsageError, match="expected detections of 1 images, found 2"):
        worst_misses(data([]), [found(), found()], 1)
    with pytest.raises(UsageError, match="NaN"):
        misses([], (AWAY, NUT, float("nan")))


corner = st.integers(0, 8).map(float)
side = st.integers(1, 8).map(float)
boxes = st.builds(lambda x, y, w, h: (x, y, x + w, y + h), corner, corner, side, side)
truths_of = st.lists(st.tuples(boxes, st.integers(0, 1), st.booleans()), max_size=6)
detections_of = st.lists(st.tuples(boxes, st.integers(0, 1), st.floats(0, 1, width=32)), max_size=8)


@given(truths_of, detections_of)
def test_every_object_and_every_detection_is_told_of_at_most_once(
    truths: list[AnnotatedBox], detections: list[Detection]
) -> None:
    result = misses(truths, *detections)
    assert all(0 <= miss.severity <= 1 for miss in result)
    mistaken = [miss for miss in result if miss.kind != "missed"]
    seen = [d for d in detections if d[2] >= np.float32(0.3)]
    counted = [t for t in truths if not t[2]]
    missed = len(result) - len(mistaken)
    assert len(mistaken) <= len(seen)
    assert missed <= len(counted)
    assert all(miss.found_box is not None and miss.score is not None for miss in mistaken)
    assert all(miss.words(NAMES) for miss in result)
    # an object that is not missed has a detection that hits it or stands for it
    assert len(counted) - missed <= len(seen)


@given(truths_of)
def test_the_truth_itself_has_no_mistakes(truths: list[AnnotatedBox]) -> None:
    detections = [(box, label, 0.9) for box, label, ignored in truths if not ignored]
    assert misses(truths, *detections) == ()
