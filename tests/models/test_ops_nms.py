"""Greedy and soft NMS against worked values and loops over Python floats."""

import math
from typing import Literal

import pytest
import torch
from torch import Tensor

from pocketdet.models.ops import nms, soft_nms

INF, NAN = math.inf, math.nan

# overlaps of A with B: 80 / 120 = 2/3, of B with C: 80 / 120, of A with C: 60 / 140 = 3/7; D is apart
A, B, C, D = (0.0, 0.0, 10.0, 10.0), (2.0, 0.0, 12.0, 10.0), (4.0, 0.0, 14.0, 10.0), (50.0, 50.0, 60.0, 60.0)
ROWS = torch.tensor([A, B, C, D])


def scattered(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Boxes that overlap much, and scores with many ties."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * 40
    boxes = torch.cat([corner, corner + 5 + 30 * torch.rand(count, 2, generator=generator)], dim=1)
    return boxes, torch.randint(0, 12, (count,), generator=generator) / 12


def iou(a: list[float], b: list[float]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    inter = max(width, 0.0) * max(height, 0.0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter
    return inter / union if union > 0 else 0.0


def plain_nms(boxes: Tensor, scores: Tensor, threshold: float) -> list[int]:
    rows, values = boxes.double().tolist(), scores.tolist()
    order = sorted(range(len(rows)), key=lambda i: (-values[i], i))
    keep: list[int] = []
    for i in order:
        if all(iou(rows[i], rows[k]) <= threshold for k in keep):
            keep.append(i)
    return keep


def plain_soft_nms(
    boxes: Tensor, scores: Tensor, method: str, threshold: float, sigma: float, floor: float
) -> tuple[list[int], list[float]]:
    rows, current = boxes.double().tolist(), dict(enumerate(scores.tolist()))
    taken: list[tuple[int, float]] = []
    while current := {i: s for i, s in current.items() if s > floor}:
        best = min(current, key=lambda i: (-current[i], i))
        taken.append((best, current.pop(best)))
        for i in current:
            overlap = iou(rows[best], rows[i])
            if method == "gaussian":
                current[i] *= math.exp(-(overlap**2) / sigma)
            elif overlap > threshold:
                current[i] *= 1 - overlap
    return [i for i, _ in taken], [s for _, s in taken]


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [
        (0.0, [0, 3]),
        (0.4, [0, 3]),
        (0.5, [0, 2, 3]),  # B falls to A, so it no longer removes C
        (0.7, [0, 1, 2, 3]),
        (1.0, [0, 1, 2, 3]),
    ],
)
def test_nms_by_hand(threshold: float, expected: list[int]) -> None:
    assert nms(ROWS, torch.tensor([0.9, 0.8, 0.7, 0.1]), threshold).tolist() == expected


def test_nms_returns_the_best_first() -> None:
    assert nms(ROWS, torch.tensor([0.1, 0.8, 0.7, 0.9]), 0.7).tolist() == [3, 1, 2, 0]


def test_an_overlap_of_exactly_the_threshold_survives() -> None:
    half = torch.tensor([(0.0, 0.0, 10.0, 10.0), (0.0, 0.0, 10.0, 5.0)])
    assert nms(half, torch.tensor([0.9, 0.8]), 0.5).tolist() == [0, 1]
    _, values = soft_nms(half, torch.tensor([0.9, 0.8]), "linear", 0.5, 0.5, 0.0)
    assert values.tolist() == pytest.approx([0.9, 0.8])


def test_ties_go_to_the_lower_index() -> None:
    same = torch.tensor([A, A, D, D])
    assert nms(same, torch.tensor([0.5, 0.5, 0.7, 0.7]), 0.5).tolist() == [2, 0]
    indices, _ = soft_nms(same, torch.tensor([0.5, 0.5, 0.7, 0.7]), "linear", 0.5, 0.5, 0.0)
    assert indices.tolist() == [2, 0]  # the doubles decay to exactly 0, which is not above 0


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_what_is_not_finite_takes_no_part(bad: float) -> None:
    boxes = ROWS.clone()
    boxes[3, 2] = bad
    scores = torch.tensor([bad, 0.8, 0.7, 0.9])
    assert nms(boxes, scores, 0.5).tolist() == [1]
    indices, values = soft_nms(boxes, scores, "linear", 0.5, 0.5, 0.01)
    assert indices.tolist() == [1, 2]
    assert values.tolist() == pytest.approx([0.8, 0.7 * (1 - 2 / 3)])


def test_boxes_whose_area_overflows_do_not_remove_each_other() -> None:
    huge = torch.tensor([(-1e30, -1e30, 1e30, 1e30)] * 2)
    assert nms(huge, torch.tensor([0.9, 0.8]), 0.5).tolist() == [0, 1]


def test_empty_boxes_do_not_overlap() -> None:
    points = torch.tensor([(5.0, 5.0, 5.0, 5.0)] * 3)
    assert nms(points, torch.tensor([0.1, 0.3, 0.2]), 0.0).tolist() == [1, 2, 0]


def test_nothing_in_nothing_out() -> None:
    none = nms(torch.zeros(0, 4), torch.zeros(0), 0.5)
    assert (none.shape, none.dtype) == ((0,), torch.int64)
    indices, values = soft_nms(torch.zeros(0, 4), torch.zeros(0), "gaussian", 0.5, 0.5, 0.0)
    assert (indices.shape, indices.dtype, values.shape) == ((0,), torch.int64, (0,))


def test_soft_nms_linear_by_hand() -> None:
    indices, values = soft_nms(ROWS, torch.tensor([0.9, 0.8, 0.7, 0.1]), "linear", 0.3, 0.5, 0.05)
    # A decays B by 1/3 and C by 4/7; then C (0.4) decays B (0.2667) by 1/3 more, to 0.0889
    assert indices.tolist() == [0, 2, 3, 1]
    assert values.tolist() == pytest.approx([0.9, 0.7 * 4 / 7, 0.1, 0.8 / 9])


def test_soft_nms_linear_spares_what_overlaps_little() -> None:
    indices, values = soft_nms(ROWS, torch.tensor([0.9, 0.8, 0.7, 0.1]), "linear", 0.5, 0.5, 0.05)
    assert indices.tolist() == [0, 2, 3, 1]
    assert values.tolist() == pytest.approx([0.9, 0.7, 0.1, 0.8 / 9])


def test_soft_nms_gaussian_by_hand() -> None:
    indices, values = soft_nms(ROWS, torch.tensor([0.9, 0.8, 0.7, 0.1]), "gaussian", 0.9, 0.5, 0.05)
    near, far = math.exp(-((2 / 3) ** 2) / 0.5), math.exp(-((3 / 7) ** 2) / 0.5)
    assert indices.tolist() == [0, 2, 1, 3]
    assert values.tolist() == pytest.approx([0.9, 0.7 * far, 0.8 * near * near, 0.1])


def test_soft_nms_drops_at_its_threshold_before_and_during() -> None:
    scores = torch.tensor([0.9, 0.8, 0.7, 0.25])
    indices, values = soft_nms(
        ROWS, scores, "linear", 0.5, 0.5, 0.25
    )  # D is not above 0.25; B decays to 0.267
    assert indices.tolist() == [0, 2]
    assert values.tolist() == pytest.approx([0.9, 0.7])


def test_soft_nms_leaves_its_input_alone() -> None:
    scores = torch.tensor([0.9, 0.8, 0.7, 0.1])
    soft_nms(ROWS, scores, "gaussian", 0.5, 0.5, 0.0)
    assert scores.tolist() == pytest.approx([0.9, 0.8, 0.7, 0.1])


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.7])
@pytest.mark.parametrize(("count", "seed"), [(1, 0), (17, 1), (60, 2), (60, 3)])
def test_nms_against_loops(count: int, seed: int, threshold: float) -> None:
    boxes, scores = scattered(count, seed)
    assert nms(boxes, scores, threshold).tolist() == plain_nms(boxes, scores, threshold)


@pytest.mark.parametrize("method", ["linear", "gaussian"])
@pytest.mark.parametrize("floor", [0.0, 0.2])
@pytest.mark.parametrize(("count", "seed"), [(1, 0), (17, 1), (40, 2)])
def test_soft_nms_against_loops(
    count: int, seed: int, floor: float, method: Literal["linear", "gaussian"]
) -> None:
    boxes, scores = scattered(count, seed)
    # distinct scores: after rounding, ties of decayed ones fall differently in float32 and float64
    scores = scores + torch.arange(count) / 997
    indices, values = soft_nms(boxes, scores, method, 0.3, 0.4, floor)
    expected_indices, expected_values = plain_soft_nms(boxes, scores, method, 0.3, 0.4, floor)
    assert indices.tolist() == expected_indices
    assert values.tolist() == pytest.approx(expected_values, rel=1e-4)
