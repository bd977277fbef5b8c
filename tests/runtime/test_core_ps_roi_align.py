"""PSRoI align of the core against the torch reference."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pocketdet.models.ops.roi_align import ps_roi_align
from pocketdet.runtime import _core

F = np.float32
Floats = NDArray[np.float32]
TOLERANCE = 1e-5


def check(features: Floats, rois: Floats, stride: int, pool_size: int, sampling_ratio: int) -> None:
    batch_index = torch.zeros(len(rois), dtype=torch.long)
    tensors = torch.from_numpy(features)[None], torch.from_numpy(rois), batch_index
    expected = ps_roi_align(*tensors, stride, pool_size, sampling_ratio).numpy()
    found = _core.ps_roi_align(features, rois, stride, pool_size, sampling_ratio)
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE, strict=True)


def odd_rois(width: int, height: int) -> Floats:
    """Whole, partly and wholly outside, empty, inverted, tiny, huge and not finite."""
    w, h = width, height
    rows = [(0, 0, w, h), (-w, -h, 2 * w, 2 * h), (w, h, 2 * w, 2 * h), (-w, 0, -1, h), (w / 2, 0, w / 2, h)]
    rows += [
        (w, h, 0, 0),
        (3, 3, 3.001, 3.001),
        (-16, -16, 0, 0),
        (-8, -8, 8, 8),
        (w - 8, h - 8, w + 24, h + 24),
    ]
    rows += [(1e30, 0, 2e30, h), (-3e38, -3e38, 3e38, 3e38), (float("nan"), 0, w, h), (0, 0, float("inf"), h)]
    return np.array(rows, F)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (20, 20), (7, 30)])
@pytest.mark.parametrize(
    ("alpha", "pool_size", "sampling_ratio"), [(5, 7, 2), (1, 1, 1), (9, 3, 4), (17, 2, 3)]
)
def test_ps_roi_align_equals_the_reference_for_any_roi(
    shape: tuple[int, int], alpha: int, pool_size: int, sampling_ratio: int
) -> None:
    rng = np.random.default_rng(3)
    features = rng.normal(size=(alpha * pool_size**2, *shape)).astype(F)
    height, width = 16 * shape[0], 16 * shape[1]
    corners = rng.uniform(-20, max(height, width), (30, 2))
    some = np.concatenate([corners, corners + rng.uniform(0, 200, (30, 2))], axis=1).astype(F)
    check(features, np.concatenate([odd_rois(width, height), some]), 16, pool_size, sampling_ratio)


@pytest.mark.parametrize("stride", [8, 12, 32])
@pytest.mark.parametrize("count", [0, 1, 200])
def test_ps_roi_align_equals_the_reference_for_strides_and_counts(stride: int, count: int) -> None:
    rng = np.random.default_rng(stride)
    corners = rng.uniform(0, 100, (count, 2))
    rois = np.concatenate([corners, corners + rng.uniform(1, 150, (count, 2))], axis=1).astype(F)
    check(rng.normal(size=(245, 10, 12)).astype(F), rois, stride, 7, 2)
