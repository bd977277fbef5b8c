"""Proposals and detections of the core against the torch reference."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from pocketdet.models.config import Anchors, Postprocessing, Proposals
from pocketdet.models.ops import detect, propose
from pocketdet.runtime import _core

F = np.float32
Floats = NDArray[np.float32]
Size = tuple[int, int]
STD = (0.1, 0.1, 0.2, 0.2)
ONE_ANCHOR = Anchors(stride=8, scales=(24.0,), ratios=(1.0,))
# Few different values, so that ties are common, and some that are no numbers.
LEVELS = st.sampled_from(
    [0.0, -0.0, 0.5, 1.0, 1.0, 2.0, -3.0, 1e30, float("nan"), float("inf"), float("-inf")]
)


def check_proposals(scores: Floats, deltas: Floats, anchors: Anchors, rule: Proposals, size: Size) -> int:
    """Equal to the bit; returns how many there are."""
    expected = propose(torch.from_numpy(scores), torch.from_numpy(deltas), anchors, rule, size)
    limits = (rule.pre_nms_top_n, rule.post_nms_top_n, rule.nms_iou, rule.min_size)
    sizes = np.array(anchors.sizes(), F)
    boxes, indices, logits = _core.propose(scores, deltas, sizes, anchors.stride, size, *limits)
    np.testing.assert_array_equal(indices, expected.indices.numpy())
    np.testing.assert_array_equal(boxes, expected.boxes.numpy(), strict=True)
    np.testing.assert_array_equal(logits, expected.logits.numpy(), strict=True)
    return len(boxes)


@pytest.mark.parametrize("grid", [(1, 1), (20, 20), (3, 10)])
@pytest.mark.parametrize("anchors", [Anchors(), ONE_ANCHOR], ids=["25", "1"])
@pytest.mark.parametrize(
    "rule",
    [
        Proposals(),
        Proposals(pre_nms_top_n=10, post_nms_top_n=100),
        Proposals(pre_nms_top_n=5000, post_nms_top_n=7, nms_iou=0.3, min_size=20.0),
        Proposals(nms_iou=1.0, min_size=0.0),
    ],
    ids=["paper", "few", "strict", "lax"],
)
@pytest.mark.parametrize("levels", [0, 3], ids=["distinct", "ties"])
def test_proposals(grid: Size, anchors: Anchors, rule: Proposals, levels: int) -> None:
    rng = np.random.default_rng(grid[1] + levels)
    count = len(anchors.sizes())
    scores = rng.normal(size=(2 * count, *grid)).astype(F)
    if levels:
        scores = np.round(scores * levels) / F(levels)
    deltas = (0.5 * rng.normal(size=(4 * count, *grid))).astype(F)
    scores[0, 0, 0] = np.nan
    scores[-1, -1, -1] = np.inf
    deltas[1, 0, -1] = np.nan
    deltas[-1, 0, 0] = np.inf
    size = (grid[0] * anchors.stride, grid[1] * anchors.stride)
    found = check_proposals(scores, deltas, anchors, rule, size)
    assert found > 0 or grid == (1, 1)


@settings(max_examples=150, deadline=None)
@given(st.data(), st.integers(1, 4), st.integers(1, 4), st.integers(1, 20), st.integers(1, 20))
def test_proposals_of_any_number(data: st.DataObject, h: int, w: int, pre: int, post: int) -> None:
    scores = data.draw(arrays(F, (2, h, w), elements=LEVELS))
    deltas = data.draw(arrays(F, (4, h, w), elements=LEVELS))
    check_proposals(scores, deltas, ONE_ANCHOR, Proposals(pre, post, 0.5, 0.0), (8 * h, 8 * w))


def check_detections(logits: Floats, deltas: Floats, rois: Floats, rule: Postprocessing, size: Size) -> int:
    """The same boxes, labels and RoIs in the same order, scores within 1e-6; returns how many there are."""
    tensors = torch.from_numpy(logits), torch.from_numpy(deltas), torch.from_numpy(rois)
    expected = detect(*tensors, STD, rule, size)
    options = (rule.score_threshold, rule.nms, rule.nms_iou, rule.sigma, rule.max_detections, rule.per_class)
    boxes, scores, labels, indices = _core.detect(logits, deltas, rois, STD, size, *options)
    np.testing.assert_array_equal(indices, expected.rois.numpy())
    np.testing.assert_array_equal(labels, expected.labels.numpy())
    np.testing.assert_array_equal(boxes, expected.boxes.numpy(), strict=True)
    np.testing.assert_allclose(scores, expected.scores.numpy(), rtol=0, atol=1e-6, strict=True)
    return len(boxes)


def head_outputs(count: int, classes: int, sharpness: float) -> tuple[Floats, Floats, Floats]:
    """Clustered RoIs and confident logits; some rows are not finite, one RoI is a point."""
    rng = np.random.default_rng(count + classes)
    corners = rng.uniform(0, 200, (max(count // 10, 1), 2))[rng.integers(0, max(count // 10, 1), count)]
    corners = corners + rng.normal(0, 5, (count, 2))
    rois = np.concatenate([corners, corners + rng.uniform(20, 120, (count, 2))], axis=1).astype(F)
    logits = (sharpness * rng.normal(size=(count, classes))).astype(F)
    deltas = rng.normal(size=(count, 4)).astype(F)
    if count > 10:
        logits[3, 1], deltas[4, 2], rois[5, 0] = np.nan, np.inf, np.nan
        rois[6, 2:] = rois[6, :2]
    return logits, deltas, rois


@pytest.mark.parametrize("method", ["hard", "linear", "gaussian"])
@pytest.mark.parametrize("threshold", [0.0, 0.05, 0.6])
@pytest.mark.parametrize("limit", [1, 20, 1000])
@pytest.mark.parametrize(("count", "classes"), [(0, 3), (1, 2), (60, 2), (60, 21)])
@pytest.mark.parametrize("per_class", [True, False])
def test_detections(
    method: str, threshold: float, limit: int, count: int, classes: int, per_class: bool
) -> None:
    rule = Postprocessing(threshold, method, 0.5, 0.5, limit, per_class)
    found = check_detections(*head_outputs(count, classes, 3.0), rule, (256, 320))
    assert found > 0 or count < 60


@pytest.mark.parametrize("method", ["hard", "gaussian"])
def test_detections_of_thundernet_on_coco(method: str) -> None:
    rule = Postprocessing(nms=method)
    assert check_detections(*head_outputs(200, 81, 3.0), rule, (320, 320)) > 50


@settings(max_examples=150, deadline=None)
@given(st.data(), st.integers(0, 6), st.sampled_from(["hard", "linear", "gaussian"]), st.booleans())
def test_detections_of_any_number(data: st.DataObject, count: int, method: str, per_class: bool) -> None:
    logits, deltas, rois = (data.draw(arrays(F, (count, n), elements=LEVELS)) for n in (3, 4, 4))
    rule = Postprocessing(0.1, method, 0.3, 0.5, 5, per_class)
    check_detections(logits, deltas, rois, rule, (60, 80))
