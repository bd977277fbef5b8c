"""Anchors, IoU and box coding against worked values and double loops in float64."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pocketdet.models.config import Anchors
from pocketdet.models.ops import (
    box_area,
    box_iou,
    clip_boxes,
    decode_boxes,
    encode_boxes,
    make_anchors,
)

UNIT = (1.0, 1.0, 1.0, 1.0)

untimed = settings(deadline=None)  # a slow moment of the machine is no finding
coordinate = st.floats(-500, 500, width=32)
side = st.floats(0.5, 400, width=32)


@st.composite
def boxes(draw: st.DrawFn, count: int | None = None) -> Tensor:
    """Boxes (N, 4) with positive sides."""
    size = draw(st.integers(1, 6)) if count is None else count
    rows = [draw(st.tuples(coordinate, coordinate, side, side)) for _ in range(size)]
    return torch.tensor([(x, y, x + w, y + h) for x, y, w, h in rows])


def plain_iou(a: list[float], b: list[float]) -> float:
    inter = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter
    return inter / union if union > 0 else 0.0


def test_the_default_anchors_are_the_papers_five_scales_by_five_ratios() -> None:
    sizes = Anchors().sizes()
    assert len(sizes) == 25
    assert [round(math.sqrt(w * h)) for w, h in sizes] == [
        s for s in (32, 64, 128, 256, 512) for _ in range(5)
    ]
    ratios = [h / w for w, h in sizes[:5]]
    assert ratios == pytest.approx([1 / 2, 3 / 4, 1, 4 / 3, 2])
    assert sizes[2] == (32, 32)
    assert sizes[0] == pytest.approx((45.254834, 22.627417))


def test_anchors_by_hand() -> None:
    found = make_anchors((2, 3), 16, [(32.0, 32.0), (8.0, 20.0)])
    assert found.shape == (12, 4)
    assert found[0].tolist() == [8 - 16, 8 - 16, 8 + 16, 8 + 16]
    assert found[1].tolist() == [8 - 4, 8 - 10, 8 + 4, 8 + 10]
    assert found[2].tolist() == [24 - 16, 8 - 16, 24 + 16, 8 + 16]  # the next cell lies to the right
    assert found[11].tolist() == [40 - 4, 24 - 10, 40 + 4, 24 + 10]  # the last one down and right


@pytest.mark.parametrize(("grid", "stride", "count"), [((1, 1), 8, 1), ((3, 5), 16, 3), ((7, 2), 32, 25)])
def test_anchors_against_loops(grid: tuple[int, int], stride: int, count: int) -> None:
    sizes = [(10.0 + 3 * a, 40.0 - a) for a in range(count)]
    expected = [
        (
            (x + 0.5) * stride - w / 2,
            (y + 0.5) * stride - h / 2,
            (x + 0.5) * stride + w / 2,
            (y + 0.5) * stride + h / 2,
        )
        for y in range(grid[0])
        for x in range(grid[1])
        for w, h in sizes
    ]
    assert make_anchors(grid, stride, sizes).tolist() == [list(row) for row in expected]


def test_area_and_iou_by_hand() -> None:
    a = torch.tensor([[0.0, 0, 10, 10], [0, 0, 0, 10]])
    b = torch.tensor([[5.0, 5, 15, 15], [0, 0, 10, 10], [20, 20, 30, 30], [10, 0, 20, 10], [2, 2, 7, 8]])
    assert box_area(a).tolist() == [100, 0]
    found = box_iou(a, b)
    assert found[0].tolist() == pytest.approx([25 / 175, 1, 0, 0, 30 / 100])
    assert found[1].tolist() == [0] * 5


def test_iou_of_two_empty_boxes_is_zero() -> None:
    empty = torch.tensor([[3.0, 3, 3, 3]])
    assert box_iou(empty, empty).item() == 0


def test_iou_of_no_boxes_keeps_its_shape() -> None:
    assert box_iou(torch.zeros(0, 4), torch.zeros(3, 4)).shape == (0, 3)


@untimed
@given(boxes(), boxes())
def test_iou_is_symmetric_bounded_and_as_a_double_loop(a: Tensor, b: Tensor) -> None:
    found = box_iou(a, b)
    assert torch.equal(found, box_iou(b, a).T)
    assert found.min() >= 0
    assert found.max() <= 1 + 1e-6
    expected = [[plain_iou(x, y) for y in b.double().tolist()] for x in a.double().tolist()]
    torch.testing.assert_close(found, torch.tensor(expected), rtol=0, atol=1e-6)


@untimed
@given(boxes())
def test_a_box_covers_itself(a: Tensor) -> None:
    torch.testing.assert_close(box_iou(a, a).diagonal(), torch.ones(len(a)), rtol=1e-5, atol=0)


@untimed
@given(boxes(1), st.integers(-64, 64), st.integers(-64, 64))
def test_iou_does_not_move_with_the_image(a: Tensor, dx: int, dy: int) -> None:
    rounded = a.round()
    rounded[:, 2:] += 1  # whole numbers move without rounding
    other = rounded + torch.tensor([3.0, 1, 5, 2])
    shift = torch.tensor([dx, dy, dx, dy], dtype=torch.float32)
    assert torch.equal(box_iou(rounded, other), box_iou(rounded + shift, other + shift))


def test_decode_by_hand() -> None:
    reference = torch.tensor([[10.0, 20, 30, 60]])  # centre (20, 40), 20 x 40
    assert decode_boxes(torch.zeros(1, 4), reference, UNIT).tolist() == [[10, 20, 30, 60]]
    moved = decode_boxes(torch.tensor([[0.5, -0.25, 0.0, 0.0]]), reference, UNIT)
    assert moved.tolist() == [[20, 10, 40, 50]]
    grown = decode_boxes(torch.tensor([[0.0, 0, math.log(2), math.log(0.5)]]), reference, UNIT)
    assert grown[0].tolist() == pytest.approx([0, 30, 40, 50], abs=1e-5)
    scaled = decode_boxes(torch.tensor([[5.0, -2.5, 0, 0]]), reference, (0.1, 0.1, 0.2, 0.2))
    assert scaled[0].tolist() == pytest.approx([20, 10, 40, 50], abs=1e-5)


def test_decode_limits_the_growth_of_a_side() -> None:
    reference = torch.tensor([[0.0, 0, 16, 32]])
    found = decode_boxes(torch.tensor([[0.0, 0, 50, 1e30]]), reference, UNIT)[0]
    assert (found[2] - found[0]).item() == pytest.approx(1000, rel=1e-5)
    assert (found[3] - found[1]).item() == pytest.approx(2000, rel=1e-5)


@untimed
@given(st.data(), st.integers(1, 5), st.sampled_from([UNIT, (0.1, 0.1, 0.2, 0.2)]))
def test_decode_undoes_encode(
    data: st.DataObject, count: int, std: tuple[float, float, float, float]
) -> None:
    reference = data.draw(boxes(count)).double()
    # growth beyond 1000 / 16 is cut off on purpose: keep below it
    target = data.draw(boxes(count)).double()
    target[:, 2:] = torch.minimum(target[:, 2:], target[:, :2] + 50 * (reference[:, 2:] - reference[:, :2]))
    back = decode_boxes(encode_boxes(target, reference, std), reference, std)
    torch.testing.assert_close(back, target, rtol=1e-9, atol=1e-6)


def test_encode_by_hand() -> None:
    reference, target = torch.tensor([[10.0, 20, 30, 60]]), torch.tensor([[20.0, 10, 60, 30]])
    found = encode_boxes(target, reference, (0.1, 0.1, 0.2, 0.2))[0].tolist()
    assert found == pytest.approx([1 / 0.1, -0.5 / 0.1, math.log(2) / 0.2, math.log(0.5) / 0.2], rel=1e-5)


def test_decode_lets_gradients_through_to_the_deltas() -> None:
    reference = torch.tensor([[10.0, 20, 30, 60], [0, 0, 5, 5]], dtype=torch.float64)
    deltas = torch.tensor([[0.1, -0.3, 0.2, 0.4], [0, 0.5, -1, 0.3]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda d: decode_boxes(d, reference, (0.1, 0.1, 0.2, 0.2)), (deltas,))


def test_clip_is_per_axis() -> None:
    found = clip_boxes(torch.tensor([[-5.0, -5, 500, 500], [3, 4, 5, 6], [150, 90, 160, 95]]), (80, 120))
    assert found.tolist() == [[0, 0, 120, 80], [3, 4, 5, 6], [120, 80, 120, 80]]
