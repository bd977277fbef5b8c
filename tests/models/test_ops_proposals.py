"""Proposals worked by hand on small maps, and every reason to drop one."""

import math

import pytest
import torch
from torch import Tensor

from pocketdet.models.config import Anchors, Proposals
from pocketdet.models.ops import decode_boxes, make_anchors, propose

ONE = Anchors(scales=(16.0,), ratios=(1.0,))  # one 16 x 16 anchor a cell: the anchors tile the image
RULE = Proposals(pre_nms_top_n=100, post_nms_top_n=100, nms_iou=0.7, min_size=1.0)


def maps(foreground: list[list[float]]) -> tuple[Tensor, Tensor]:
    """Scores and zero deltas of one anchor a cell; the background logit is 0."""
    grid = torch.tensor(foreground)
    return torch.stack([torch.zeros_like(grid), grid]), torch.zeros(4, *grid.shape)


def test_by_hand() -> None:
    scores, deltas = maps([[0.5, 2.0, -1.0], [3.0, 0.1, 0.2]])
    scores[0, 1, 0] = 5.0  # the logit is foreground minus background: 3 - 5
    found = propose(scores, deltas, ONE, RULE, (32, 48))
    assert found.indices.tolist() == [1, 0, 5, 4, 2, 3]
    assert found.logits.tolist() == pytest.approx([2.0, 0.5, 0.2, 0.1, -1.0, -2.0])
    assert found.boxes[0].tolist() == [16, 0, 32, 16]
    assert found.boxes[2].tolist() == [32, 16, 48, 32]


def test_channels_of_several_anchors() -> None:
    anchors = Anchors(scales=(16.0, 8.0), ratios=(1.0,))
    scores, deltas = torch.zeros(4, 2, 2), torch.zeros(8, 2, 2)
    scores[2 + 1, 1, 0] = 4.0  # foreground of the second size in the lower left cell
    deltas[4 * 1 + 0, 1, 0] = 0.5  # dx of that anchor
    deltas[4 * 1 + 3, 1, 0] = math.log(2)  # its dh
    found = propose(scores, deltas, anchors, RULE, (32, 32))
    assert found.indices[0].item() == (1 * 2 + 0) * 2 + 1
    assert found.boxes[0].tolist() == pytest.approx([4 + 4, 24 - 8, 12 + 4, 24 + 8])


def test_ties_go_to_the_lower_anchor() -> None:
    scores, deltas = maps([[1.0, 1.0], [1.0, 2.0]])
    assert propose(scores, deltas, ONE, RULE, (32, 32)).indices.tolist() == [3, 0, 1, 2]


def test_top_n_before_and_after_nms() -> None:
    scores, deltas = maps([[6.0, 5.0, 4.0, 3.0]])
    deltas[0, 0, 1] = -1.0  # the second box falls on the first
    size = (16, 64)
    assert propose(scores, deltas, ONE, RULE, size).indices.tolist() == [0, 2, 3]
    before = Proposals(pre_nms_top_n=2, post_nms_top_n=100)
    assert propose(scores, deltas, ONE, before, size).indices.tolist() == [0]
    after = Proposals(pre_nms_top_n=100, post_nms_top_n=2)
    assert propose(scores, deltas, ONE, after, size).indices.tolist() == [0, 2]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("channel", [0, 1])
def test_a_logit_that_is_not_finite_does_not_take_a_place(bad: float, channel: int) -> None:
    scores, deltas = maps([[6.0, 5.0, 4.0]])
    scores[channel, 0, 0] = bad
    rule = Proposals(pre_nms_top_n=2, post_nms_top_n=2)
    assert propose(scores, deltas, ONE, rule, (16, 48)).indices.tolist() == [1, 2]


def test_logits_that_are_both_infinite_are_dropped() -> None:
    scores, deltas = maps([[math.inf, 1.0]])
    scores[0, 0, 0] = math.inf
    assert propose(scores, deltas, ONE, RULE, (16, 32)).indices.tolist() == [1]


@pytest.mark.parametrize("channel", range(4))
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_deltas_that_are_not_finite_leave_only_finite_boxes(bad: float, channel: int) -> None:
    scores, deltas = maps([[6.0, 5.0]])
    deltas[channel, 0, 0] = bad
    found = propose(scores, deltas, ONE, RULE, (16, 32))
    assert 1 in found.indices
    assert torch.isfinite(found.boxes).all()
    if math.isnan(bad) or channel < 2:
        assert found.indices.tolist() == [1]


@pytest.mark.parametrize(
    ("min_size", "expected"), [(0.0, [0, 1, 2]), (4.0, [0, 1, 2]), (4.01, [1, 2]), (17.0, [])]
)
def test_min_size_is_of_the_shorter_side_after_clipping(min_size: float, expected: list[int]) -> None:
    scores, deltas = maps([[6.0, 5.0, 4.0]])
    deltas[0, 0, 0] = -0.75  # from -12 to 4: 4 pixels remain
    rule = Proposals(min_size=min_size)
    assert propose(scores, deltas, ONE, rule, (16, 48)).indices.tolist() == expected


def test_boxes_are_clipped_to_the_input() -> None:
    scores, deltas = maps([[6.0]])
    deltas[2:] = 3.0
    assert propose(scores, deltas, ONE, RULE, (16, 16)).boxes.tolist() == [[0, 0, 16, 16]]


def test_nothing_is_left_when_all_are_damaged() -> None:
    scores, deltas = torch.full((2, 3, 3), math.nan), torch.zeros(4, 3, 3)
    found = propose(scores, deltas, ONE, RULE, (48, 48))
    assert (found.boxes.shape, found.indices.shape, found.logits.shape) == ((0, 4), (0,), (0,))


@pytest.mark.parametrize("grid", [(2, 3), (6, 4)])
def test_each_box_is_its_anchor_decoded_and_they_do_not_overlap(grid: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(grid[0])
    anchors, size = Anchors(), (16 * grid[0], 16 * grid[1])
    scores = torch.randn(50, *grid, generator=generator)
    deltas = 0.3 * torch.randn(100, *grid, generator=generator)
    found = propose(scores, deltas, anchors, Proposals(post_nms_top_n=30), size)
    assert 1 < len(found.boxes) <= 30
    assert (found.logits.diff() <= 0).all()
    flat = deltas.reshape(25, 4, -1).permute(2, 0, 1).reshape(-1, 4)
    boxes = decode_boxes(flat, make_anchors(grid, 16, anchors.sizes()), (1.0, 1.0, 1.0, 1.0))[found.indices]
    inside = torch.stack([boxes[:, 0::2].clamp(0, size[1]), boxes[:, 1::2].clamp(0, size[0])], dim=2).flatten(
        1
    )
    assert torch.equal(found.boxes, inside)


def test_no_gradient_runs_through_the_coordinates_of_proposals() -> None:
    scores, deltas = maps([[6.0, 5.0]])
    found = propose(scores.requires_grad_(), deltas.requires_grad_(), ONE, RULE, (16, 32))
    assert not found.boxes.requires_grad
    assert not found.logits.requires_grad
