"""`compare` by hand-worked values and by what must hold for any arrays; `compare_detections` as a set."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from pocketdet.runtime.parity import compare
from pocketdet.runtime.pipeline import Boxes
from pocketdet.runtime.verification import TOLERANCES, compare_detections

NAN, INF = float("nan"), float("inf")
ARRAYS = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=1, max_dims=3, max_side=5),
    elements=st.floats(-(2.0**99), 2.0**99, width=32),
)


def f32(*values: float) -> NDArray[np.float32]:
    return np.array(values, np.float32)


def test_check_figures_equal_computed_values() -> None:
    check = compare("x", f32(3, 4), f32(3, 3.5), relative=0.1, absolute=0.03)
    assert check.shape == (2,)
    assert check.max_abs == 0.5
    assert check.tolerance == pytest.approx(0.43)
    assert check.snr_db == pytest.approx(20)  # 25 / 0.25
    assert check.cosine == pytest.approx(23 / (5 * np.hypot(3, 3.5)))
    assert not check.ok
    assert str(check) == "-[x] x (2,) max abs 5.0e-01 (tolerance 4e-01)"
    assert compare("x", f32(3, 4), f32(3, 3.5), absolute=0.5).ok


def test_default_tolerance_requires_equality() -> None:
    assert compare("x", f32(1), f32(1)).ok
    assert not compare("x", f32(1), np.nextafter(f32(1), f32(2))).ok


def test_least_snr_limits_noise_power() -> None:
    reference = np.ones(100, np.float32)
    spread, single = reference + np.float32(0.3), reference.copy()
    single[7] += 0.9
    for subject, ok in ((spread, False), (single, True), (reference, True)):
        found = compare("x", reference, subject, relative=1.0, least_snr_db=14.0)
        assert found.ok is ok
        assert (found.note == "SNR 10.5 dB, expected 14 or more") is not ok
    assert not compare("x", reference, single, relative=0.5, least_snr_db=14.0).ok


def test_figures_of_zero_references() -> None:
    same = compare("x", f32(0, 0), f32(0, 0), relative=1)
    assert (same.ok, same.max_abs, same.snr_db, same.cosine) == (True, 0, None, 1)
    other = compare("x", f32(0, 0), f32(0, 1), relative=1)
    assert (other.ok, other.max_abs, other.tolerance, other.cosine) == (False, 1, 0, 0)
    opposite = compare("x", f32(1, -2), f32(-1, 2))
    assert opposite.cosine == pytest.approx(-1)


def test_unsigned_values_do_not_wrap() -> None:
    assert compare("x", np.array([1], np.uint8), np.array([2], np.uint8)).max_abs == 1


def test_empty_arrays_agree() -> None:
    check = compare("x", np.zeros((0, 4)), np.zeros((0, 4)))
    assert (check.ok, check.max_abs, check.shape) == (True, 0, (0, 4))


@pytest.mark.parametrize("shape", [(3, 1), (1, 3), (4,), (0,)])
def test_a_different_shape_fails(shape: tuple[int, ...]) -> None:
    check = compare("x", f32(1, 2, 3), np.ones(shape, np.float32), absolute=100)
    assert not check.ok
    assert check.max_abs == INF
    assert check.note == f"expected shape (3,), found {shape}"


@pytest.mark.parametrize(
    ("reference", "subject", "ok"),
    [
        ((1, NAN), (1, NAN), True),
        ((1, INF), (1, INF), True),
        ((1, INF), (1, -INF), False),
        ((1, INF), (1, NAN), False),
        ((1, 2), (1, NAN), False),
        ((1, 2), (1, INF), False),
        ((1, NAN), (1, 2), False),
        ((NAN, NAN), (NAN, NAN), True),
    ],
)
def test_non_finite_values_must_be_equal(reference: Any, subject: Any, ok: bool) -> None:
    check = compare("x", f32(*reference), f32(*subject), absolute=1e9)
    assert check.ok is ok
    assert ("NaN or infinite" in check.note) is not ok
    assert json.loads(json.dumps(check.to_json(), allow_nan=False))["ok"] is ok


@given(ARRAYS)
def test_an_array_agrees_with_itself(array: NDArray[np.float32]) -> None:
    check = compare("x", array, array.copy())
    assert check.ok
    assert check.snr_db is None
    assert check.cosine == pytest.approx(1)


@given(ARRAYS, st.data())
def test_figures_are_in_range_and_serializable(array: NDArray[np.float32], data: st.DataObject) -> None:
    any_float = st.floats(width=32)
    other = data.draw(hnp.arrays(np.float32, array.shape, elements=any_float))
    relative = data.draw(st.floats(0, 1))
    check = compare("x", array, other, relative=relative)
    assert -1 - 1e-9 <= check.cosine <= 1 + 1e-9
    assert check.max_abs >= 0
    if check.ok:
        assert np.isfinite(other).all()
        assert np.all(np.abs(array.astype(float) - other) <= check.tolerance)
    json.dumps(check.to_json(), allow_nan=False)


@given(ARRAYS, st.floats(0, 1e6), st.floats(0, 1e6))
def test_a_wider_tolerance_accepts_what_passed(array: NDArray[np.float32], low: float, more: float) -> None:
    subject = array + np.float32(1)
    narrow, wide = (compare("x", array, subject, absolute=t) for t in (low, low + more))
    assert wide.ok or not narrow.ok


REFERENCE = {
    "boxes": np.array([[0, 0, 10, 10], [20, 20, 30, 40], [50, 5, 60, 9]], np.float32),
    "scores": np.array([0.9, 0.8, 0.7], np.float32),
    "labels": np.array([1, 0, 1], np.int32),
}


def subject(order: tuple[int, ...] = (0, 1, 2), **changes: Any) -> Boxes:
    values = {k: v[list(order)].copy() for k, v in REFERENCE.items()}
    for name, (index, value) in changes.items():
        values[name][index] += value
    return Boxes(values["boxes"], values["scores"], values["labels"])


@pytest.mark.parametrize(
    ("found", "note"),
    [
        (subject(), "3/3 agree"),
        (subject((2, 0, 1)), "3/3 agree"),
        (subject(boxes=(1, 0.09), scores=(1, 9e-4)), "3/3 agree"),
        (subject((0, 1)), "2/3 agree"),
        (subject((0, 1, 2, 2)), "3/4 agree"),
        (subject(()), "0/3 agree"),
        (subject(labels=(1, 1)), "2/3 agree"),
        (subject(boxes=((1, 3), 0.2)), "2/3 agree"),
        (subject(scores=(2, 0.01)), "2/3 agree"),
        (subject(boxes=(0, NAN)), "2/3 agree"),
        (subject(scores=(0, NAN)), "2/3 agree"),
    ],
)
def test_compare_detections_counts_matches(found: Boxes, note: str) -> None:
    check = compare_detections("boxes", REFERENCE, found, TOLERANCES["fp32"])
    assert check.note == note
    assert check.ok is (note == "3/3 agree")
    assert check.max_abs <= 0.1


def test_a_detection_is_matched_once() -> None:
    twice = {k: v[[0, 0]] for k, v in REFERENCE.items()}
    assert compare_detections("boxes", twice, subject((0, 1)), TOLERANCES["fp32"]).note == "1/2 agree"
    assert compare_detections("boxes", twice, subject((0, 0)), TOLERANCES["fp32"]).ok


def test_empty_detections_match() -> None:
    nothing = {k: v[:0] for k, v in REFERENCE.items()}
    assert compare_detections("boxes", nothing, subject(()), TOLERANCES["fp32"]).ok
    assert not compare_detections("boxes", nothing, subject((0,)), TOLERANCES["fp32"]).ok


@pytest.mark.parametrize(("count", "ok"), [(10, True), (8, True), (7, False)])
def test_half_precision_permits_a_fifth_unmatched(count: int, ok: bool) -> None:
    corners = np.arange(10, dtype=np.float32)[:, None] * 100
    boxes = np.concatenate([corners, corners, corners + 50, corners + 50], axis=1)
    many = {"boxes": boxes, "scores": np.full(10, 0.5, np.float32), "labels": np.zeros(10, np.int32)}
    found = Boxes(boxes[:count], many["scores"][:count], many["labels"][:count])
    assert compare_detections("boxes", many, found, TOLERANCES["fp16"]).ok is ok
    assert compare_detections("boxes", many, found, TOLERANCES["fp32"]).ok is (count == 10)
