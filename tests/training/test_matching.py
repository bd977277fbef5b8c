"""Which prior is to find which object: rules of the papers on boxes that can be checked by hand."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pocketdet.models.ops import box_iou
from pocketdet.models.ops.one_stage_boxes import default_boxes
from pocketdet.training.matching import (
    GROUND,
    NEITHER,
    best_iou,
    covered,
    match_by_centre,
    match_priors,
)

NONE = torch.zeros(0, 4)
PRIORS = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 14], [0, 0, 10, 30], [50, 50, 60, 60]])


def test_priors_by_iou() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10]])
    assert match_priors(PRIORS, boxes, NONE, 0.7, 0.4).tolist() == [0, 0, GROUND, GROUND]
    assert match_priors(PRIORS, boxes, NONE, 0.8, 0.4).tolist() == [0, NEITHER, GROUND, GROUND]
    assert match_priors(PRIORS, boxes, NONE, 0.8, 0.8).tolist() == [0, GROUND, GROUND, GROUND]


def test_every_object_has_its_best_prior() -> None:
    boxes = torch.tensor([[40.0, 40, 56, 56]])  # IoU 36/320 with the last
    assert match_priors(PRIORS, boxes, NONE, 0.5, 0.5).tolist() == [GROUND, GROUND, GROUND, 0]


def test_without_objects_all_is_background() -> None:
    ignored = torch.tensor([[50.0, 50, 60, 56]])
    assert match_priors(PRIORS, NONE, ignored, 0.5, 0.4).tolist() == [GROUND, GROUND, GROUND, NEITHER]
    assert match_by_centre(PRIORS, (1, 2), NONE, ignored, 0.3).tolist() == [GROUND] * 3 + [NEITHER]


def test_covered_counts_the_part_of_the_box() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 11], [90, 0, 99, 9]])
    assert covered(boxes, torch.tensor([[0.0, 0, 10, 5.2]])).tolist() == [True, False, False]
    assert covered(boxes, NONE).tolist() == [False] * 3


def test_best_iou_is_zero_without_objects() -> None:
    best, owner = best_iou(PRIORS, NONE)
    assert best.tolist() == [0] * 4
    assert owner.tolist() == [0] * 4


def pyramid() -> Tensor:
    """Anchors of side 32 at stride 8 and of side 64 at stride 16 of an image of 64 pixels."""
    return torch.cat([default_boxes((8, 8), 8, [(32, 32)]), default_boxes((4, 4), 16, [(64, 64)])])


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        # scale 40 in [32, 64]: the finer level; its centres within 6 pixels of (32, 32) are 28 and 36
        ((12.0, 12, 52, 52), [(3, 3), (3, 4), (4, 3), (4, 4)]),
        # smaller than all levels: the finer one; reach 2.4 pixels around (28, 20)
        ((20.0, 12, 36, 28), [(2, 3)]),
        # too small for any centre: the nearest
        ((30.0, 30, 33, 33), [(3, 3)]),
    ],
)
def test_centres_on_the_finer_level(box: tuple[float, ...], expected: list[tuple[int, int]]) -> None:
    matched = match_by_centre(pyramid(), (1, 2), torch.tensor([box]), NONE, 0.3)
    assert [divmod(int(i), 8) for i in (matched[:64] == 0).nonzero()[:, 0]] == expected
    assert (matched[64:] == GROUND).all()


def test_a_large_object_belongs_to_the_coarser_level() -> None:
    matched = match_by_centre(pyramid(), (1, 2), torch.tensor([[0.0, 0, 64, 66]]), NONE, 0.3)
    assert (matched[:64] == GROUND).all()
    # reach 9.6 and 9.9 around (32, 33): centres 24 and 40
    assert [divmod(int(i), 4) for i in (matched[64:] == 0).nonzero()[:, 0]] == [
        (1, 1),
        (1, 2),
        (2, 1),
        (2, 2),
    ]


def test_the_smaller_of_two_objects_is_taken() -> None:
    boxes = torch.tensor([[8.0, 8, 56, 56], [12, 12, 52, 52]])
    matched = match_by_centre(pyramid(), (1, 2), boxes, NONE, 0.3)
    assert matched[matched >= 0].tolist() == [1] * 4  # the four centres in the middle of both


corner = st.floats(0, 60, width=32)
side = st.floats(2, 60, width=32)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(corner, corner, side, side), min_size=1, max_size=5, unique=True))
def test_rules_hold_for_any_objects(rows: list[tuple[float, float, float, float]]) -> None:
    boxes = torch.tensor([[x, y, x + w, y + h] for x, y, w, h in rows])
    priors = pyramid()
    matched = match_priors(priors, boxes, NONE, 0.5, 0.4)
    iou = box_iou(priors, boxes)
    assert ((matched >= 0) | (iou.max(dim=1).values < 0.5)).all()
    assert (iou.max(dim=1).values[matched == GROUND] < 0.4).all()
    by_centre = match_by_centre(priors, (1, 2), boxes, NONE, 0.3)
    assert by_centre.max() < len(boxes)
    assert (by_centre >= 0).any()
