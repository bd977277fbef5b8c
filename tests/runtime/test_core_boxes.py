"""Anchors, box coding and overlap of the core against the torch reference, bit for bit."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from pocketdet.models.ops.boxes import box_iou, clip_boxes, decode_boxes
from pocketdet.models.ops.two_stage import make_anchors
from pocketdet.runtime import _core

F = np.float32
Floats = NDArray[np.float32]
UNIT = (1.0, 1.0, 1.0, 1.0)
HEAD = (0.1, 0.1, 0.2, 0.2)
ANY_FLOAT = st.floats(width=32, allow_nan=True, allow_infinity=True)


def same(found: Floats, expected: torch.Tensor) -> None:
    np.testing.assert_array_equal(found, expected.numpy(), strict=True)


@pytest.mark.parametrize("grid", [(1, 1), (20, 20), (3, 7)])
@pytest.mark.parametrize("stride", [8, 16, 20])
@pytest.mark.parametrize("count", [1, 3, 25])
def test_anchors_equal_the_reference(grid: tuple[int, int], stride: int, count: int) -> None:
    sizes = np.random.default_rng(count).uniform(5, 600, (count, 2)).astype(F)
    same(_core.make_anchors(grid, stride, sizes), make_anchors(grid, stride, sizes.tolist()))


@pytest.mark.parametrize("std", [UNIT, HEAD])
@pytest.mark.parametrize("clip", [None, (320, 320), (97, 480)])
@pytest.mark.parametrize("count", [0, 1, 1000])
def test_decode_equals_the_reference(
    std: tuple[float, float, float, float], clip: tuple[int, int] | None, count: int
) -> None:
    rng = np.random.default_rng(7)
    reference = rng.uniform(-50, 400, (count, 4)).astype(F)  # inverted ones too
    deltas = (4 * rng.normal(size=(count, 4))).astype(F)
    expected = decode_boxes(torch.from_numpy(deltas), torch.from_numpy(reference), std)
    expected = clip_boxes(expected, clip) if clip else expected
    same(_core.decode_boxes(reference, deltas, std, clip), expected)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 8).flatmap(lambda n: arrays(F, (2, n, 4), elements=ANY_FLOAT)))
def test_decode_of_any_number_equals_the_reference(pair: Floats) -> None:
    reference, deltas = pair
    expected = decode_boxes(torch.from_numpy(deltas.copy()), torch.from_numpy(reference.copy()), HEAD)
    same(_core.decode_boxes(reference, deltas, HEAD), expected)
    same(_core.decode_boxes(reference, deltas, HEAD, (60, 80)), clip_boxes(expected, (60, 80)))


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (1, 1), (40, 70)])
def test_iou_equals_the_reference(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(8)
    a, b = (rng.uniform(0, 50, (n, 4)).astype(F) for n in shape)
    same(_core.iou_matrix(a, b), box_iou(torch.from_numpy(a), torch.from_numpy(b)))


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 8).flatmap(lambda n: arrays(F, (2, n, 4), elements=ANY_FLOAT)))
def test_iou_of_any_number_equals_the_reference(pair: Floats) -> None:
    a, b = pair
    same(_core.iou_matrix(a, b), box_iou(torch.from_numpy(a.copy()), torch.from_numpy(b.copy())))
