"""Greedy and soft NMS of the core against the torch reference."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from pocketdet.models.ops.boxes import nms, soft_nms
from pocketdet.runtime import _core

F = np.float32
Floats = NDArray[np.float32]
# Few different values, so that ties and exact thresholds are common.
COARSE = st.sampled_from([0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, float("nan"), float("inf"), -1e30])
LEVELS = st.sampled_from([0.0, -0.0, 0.1, 0.25, 0.5, 0.5, 0.9, float("nan"), float("-inf")])


def scene(seed: int, count: int, levels: int = 0) -> tuple[Floats, Floats]:
    """Boxes in clusters, so that many overlap; scores on a grid of `levels` values, or all different."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform(0, 300, (max(count // 8, 1), 2))
    corners = centres[rng.integers(0, len(centres), count)] + rng.normal(0, 6, (count, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(10, 60, (count, 2))], axis=1).astype(F)
    scores = rng.integers(0, levels, count) / levels if levels else rng.uniform(size=count)
    return boxes, scores.astype(F)


def spoil(boxes: Floats, scores: Floats) -> None:
    """Every eleventh box or score is not a number any more, every seventh box is a point."""
    boxes[::7, 2:] = boxes[::7, :2]
    boxes[5::22, 1] = np.nan
    boxes[16::22, 2] = np.inf
    scores[8::22] = np.nan
    scores[19::22] = np.inf


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.7, 1.0])
@pytest.mark.parametrize("count", [0, 1, 2, 16, 17, 300])
@pytest.mark.parametrize("levels", [0, 5])
def test_greedy_nms(threshold: float, count: int, levels: int) -> None:
    boxes, scores = scene(count, count, levels)
    spoil(boxes, scores)
    expected = nms(torch.from_numpy(boxes), torch.from_numpy(scores), threshold).numpy()
    found = _core.nms(boxes, scores, threshold)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(_core.nms(boxes, scores, threshold, max_keep=3), expected[:3])


def test_greedy_nms_of_ten_thousand_boxes() -> None:
    boxes, scores = scene(1, 10_000, 100)
    expected = nms(torch.from_numpy(boxes), torch.from_numpy(scores), 0.1)
    np.testing.assert_array_equal(_core.nms(boxes, scores, 0.1), expected.numpy())


@pytest.mark.parametrize("method", ["linear", "gaussian"])
@pytest.mark.parametrize("count", [0, 1, 40, 300])
@pytest.mark.parametrize("threshold", [0.0, 0.05, 0.4])
@pytest.mark.parametrize("levels", [0, 5])
def test_soft_nms(method: str, count: int, threshold: float, levels: int) -> None:
    boxes, scores = scene(count, count, levels)
    spoil(boxes, scores)
    _check_soft(boxes, scores, method, 0.3, threshold)


def test_thresholds_are_exclusive() -> None:
    boxes = np.array([[0, 0, 2, 1], [0, 0, 1, 1], [9, 9, 10, 10]], F)  # the first two overlap by exactly 1/2
    scores = np.array([0.9, 0.5, 0.25], F)
    assert _core.nms(boxes, scores, 0.5).tolist() == [0, 1, 2]
    kept, decayed = _core.soft_nms(boxes, scores, "linear", 0.5, 0.5, 0.1)
    assert kept.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(decayed, scores)
    kept, _ = _core.soft_nms(boxes, scores, "linear", 0.4, 0.5, 0.25)
    assert kept.tolist() == [0]  # the second decays to 0.25, the third starts there
    for threshold in (0.25, 0.4, 0.5):
        _check_soft(boxes, scores, "linear", threshold, 0.25)


@settings(max_examples=150, deadline=None)
@given(st.data(), st.integers(0, 12), st.sampled_from([0.0, 0.25, 1 / 3, 0.5]))
def test_nms_of_ties_and_special_values_equals_the_reference(
    data: st.DataObject, count: int, threshold: float
) -> None:
    boxes = data.draw(arrays(F, (count, 4), elements=COARSE))
    scores = data.draw(arrays(F, (count,), elements=LEVELS))
    expected = nms(torch.from_numpy(boxes), torch.from_numpy(scores), threshold)
    np.testing.assert_array_equal(_core.nms(boxes, scores, threshold), expected.numpy())
    for method in ("linear", "gaussian"):
        _check_soft(boxes, scores, method, threshold, 0.05)


def _check_soft(boxes: Floats, scores: Floats, method: str, iou: float, threshold: float) -> None:
    tensors = torch.from_numpy(boxes), torch.from_numpy(scores)
    indices, decayed = soft_nms(*tensors, method, iou, 0.5, threshold)
    found, found_scores = _core.soft_nms(boxes, scores, method, iou, 0.5, threshold)
    np.testing.assert_array_equal(found, indices.numpy())
    np.testing.assert_allclose(found_scores, decayed.numpy(), rtol=0, atol=1e-6)
