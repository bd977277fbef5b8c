"""What holds for every input of the core, the degenerate ones included, without a reference."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from pocketdet.runtime import _core

F = np.float32
Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

SIDES = st.integers(1, 24)
ANY_FLOAT = st.floats(width=32, allow_nan=True, allow_infinity=True)
WILD_BOXES = st.integers(0, 24).flatmap(lambda n: arrays(F, (n, 4), elements=ANY_FLOAT))


def as_format(rgb: Bytes, name: str) -> Bytes:
    pixels = rgb if name.startswith("RGB") else rgb[:, :, ::-1]
    if len(name) == 4:
        pixels = np.concatenate([pixels, np.full((*rgb.shape[:2], 1), 99, np.uint8)], axis=2)
    return np.ascontiguousarray(pixels)


def random_boxes(rng: np.random.Generator, count: int, extent: float = 300.0) -> Floats:
    corners = rng.uniform(0, extent, (count, 2))
    return np.concatenate([corners, corners + rng.uniform(1, extent / 3, (count, 2))], axis=1).astype(F)


@settings(max_examples=60, deadline=None)
@given(st.data(), SIDES, SIDES, SIDES, SIDES, st.sampled_from(["stretch", "letterbox", "letterbox_top_left"]))
def test_all_packed_formats_and_row_strides_give_the_same_pixels(
    data: st.DataObject, h: int, w: int, out_h: int, out_w: int, rule: str
) -> None:
    rgb = data.draw(arrays(np.uint8, (h, w, 3)))
    expected = _core.resize_image(rgb, "RGB", (out_h, out_w), rule, "RGB", (1, 2, 3))
    for name in ("RGB", "BGR", "RGBA", "BGRA"):
        image = as_format(rgb, name)
        padded = np.zeros((2 * h, w + 3, image.shape[2]), np.uint8)
        padded[::2, 1 : w + 1] = image
        for view in (image, padded[::2, 1 : w + 1], np.ascontiguousarray(image[::-1])[::-1]):
            found = _core.resize_image(view, name, (out_h, out_w), rule, "RGB", (1, 2, 3))
            np.testing.assert_array_equal(found, expected)
        swapped = _core.resize_image(image, name, (out_h, out_w), rule, "BGR", (3, 2, 1))
        np.testing.assert_array_equal(swapped[:, :, ::-1], expected)


@settings(max_examples=60, deadline=None)
@given(st.data(), SIDES, SIDES, SIDES, SIDES)
def test_resize_stays_within_the_range_of_its_channel(
    data: st.DataObject, h: int, w: int, out_h: int, out_w: int
) -> None:
    image = data.draw(arrays(np.uint8, (h, w, 3)))
    resized = _core.resize_image(image, "RGB", (out_h, out_w))
    assert (resized.min(axis=(0, 1)) >= image.min(axis=(0, 1))).all()
    assert (resized.max(axis=(0, 1)) <= image.max(axis=(0, 1))).all()
    np.testing.assert_array_equal(_core.resize_image(image, "RGB", (h, w)), image)


@settings(deadline=None)
@given(*[st.integers(1, _core.MAX_IMAGE_SIDE)] * 4)
def test_letterbox_fits_and_touches_one_axis(h: int, w: int, out_h: int, out_w: int) -> None:
    x0, y0, width, height = _core.resize_geometry((h, w), (out_h, out_w), "letterbox")
    assert 1 <= width <= out_w
    assert 1 <= height <= out_h
    assert width == out_w or height == out_h
    assert x0 == (out_w - width) // 2
    assert y0 == (out_h - height) // 2
    assert _core.resize_geometry((h, w), (out_h, out_w), "letterbox_top_left") == (0, 0, width, height)
    assert _core.resize_geometry((h, w), (out_h, out_w), "stretch") == (0, 0, out_w, out_h)


@pytest.mark.parametrize("rule", ["stretch", "letterbox", "letterbox_top_left"])
@pytest.mark.parametrize("size", [(1, 1), (1, 50), (33, 20)])
def test_one_pixel_images_become_one_colour(size: tuple[int, int], rule: str) -> None:
    pixel = np.array([[[10, 20, 30]]], np.uint8)
    resized = _core.resize_image(pixel, "RGB", size, rule, "RGB", (10, 20, 30))
    assert (resized == pixel).all()
    assert resized.shape == (*size, 3)
    yuv = np.array([[77, 77], [77, 77], [128, 128]], np.uint8)
    assert (_core.resize_image(yuv, "NV21", size, rule, "BGR", (77, 77, 77)) == 77).all()


@settings(max_examples=100, deadline=None)
@given(WILD_BOXES, WILD_BOXES)
def test_iou_is_a_number_for_any_input(a: Floats, b: Floats) -> None:
    overlaps = _core.iou_matrix(a, b)
    assert overlaps.shape == (len(a), len(b))
    assert not np.isnan(overlaps).any()
    np.testing.assert_array_equal(overlaps, _core.iou_matrix(b, a).T)


@settings(max_examples=100, deadline=None)
@given(st.data(), WILD_BOXES, st.floats(0, 1, width=32))
def test_greedy_nms_keeps_exactly_the_boxes_without_a_better_overlapping_one(
    data: st.DataObject, boxes: Floats, threshold: float
) -> None:
    scores = data.draw(arrays(F, (len(boxes),), elements=ANY_FLOAT))
    _check_greedy(boxes, scores, threshold, _core.nms(boxes, scores, threshold).tolist())


def test_greedy_nms_of_ten_thousand_boxes() -> None:
    rng = np.random.default_rng(5)
    boxes = random_boxes(rng, 10_000)
    scores = (rng.integers(0, 50, 10_000) / 50).astype(F)  # many ties
    keep = _core.nms(boxes, scores, 0.5)
    _check_greedy(boxes, scores, 0.5, keep.tolist())
    np.testing.assert_array_equal(_core.nms(boxes, scores, 0.5, max_keep=7), keep[:7])


def _check_greedy(boxes: Floats, scores: Floats, threshold: float, keep: list[int]) -> None:
    usable = np.flatnonzero(np.isfinite(scores) & np.isfinite(boxes).all(axis=1))
    order = usable[np.lexsort((usable, -scores[usable]))]
    rank = np.full(len(boxes), len(boxes))
    rank[order] = np.arange(len(order))
    kept = np.array(keep, dtype=np.intp)
    assert (np.diff(rank[kept]) > 0).all()
    assert np.isin(kept, usable).all()
    covers = (_core.iou_matrix(boxes[kept], boxes) > threshold) & (rank[kept][:, None] < rank)
    np.testing.assert_array_equal(np.flatnonzero(~covers.any(axis=0) & (rank < len(boxes))), np.sort(kept))


@settings(max_examples=100, deadline=None)
@given(st.data(), WILD_BOXES, st.sampled_from(["linear", "gaussian"]), st.floats(0, 1, width=32))
def test_soft_nms_only_lowers_scores(
    data: st.DataObject, boxes: Floats, method: str, threshold: float
) -> None:
    scores = data.draw(arrays(F, (len(boxes),), elements=ANY_FLOAT))
    indices, decayed = _core.soft_nms(boxes, scores, method, 0.5, 0.5, threshold)
    assert len(set(indices.tolist())) == len(indices) == len(decayed)
    assert (np.diff(decayed) <= 0).all()
    assert (decayed > threshold).all()
    assert (decayed <= scores[indices]).all()


@settings(max_examples=100, deadline=None)
@given(WILD_BOXES, st.integers(1, 3), st.integers(1, 3))
def test_ps_roi_align_of_ones_is_the_share_of_samples_inside(rois: Floats, p: int, n: int) -> None:
    features = np.ones((2 * p * p, 5, 4), F)
    pooled = _core.ps_roi_align(features, rois, 16.0, p, n)
    shares = np.round(pooled * n * n)
    assert pooled.shape == (len(rois), 2 * p * p)
    np.testing.assert_allclose(pooled, shares / (n * n), atol=1e-6)
    assert (pooled[~np.isfinite(rois).all(axis=1)] == 0).all()


@settings(max_examples=100, deadline=None)
@given(st.data(), WILD_BOXES, st.sampled_from(["hard", "linear", "gaussian"]))
def test_detections_of_any_input_are_sorted_and_inside(data: st.DataObject, rois: Floats, nms: str) -> None:
    logits = data.draw(arrays(F, (len(rois), 3), elements=ANY_FLOAT))
    deltas = data.draw(arrays(F, (len(rois), 4), elements=ANY_FLOAT))
    std = (0.1, 0.1, 0.2, 0.2)
    boxes, scores, labels, indices = _core.detect(logits, deltas, rois, std, (60, 80), 0.1, nms)
    assert (np.diff(scores) <= 0).all()
    assert (scores > 0.1).all()
    assert (scores <= 1).all()
    assert np.isin(labels, (0, 1)).all()
    assert (indices < len(rois)).all()
    usable = np.isfinite(np.concatenate([logits, deltas, rois], axis=1)).all(axis=1)
    assert usable[indices].all()
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] <= (80, 60)).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    mapped = _core.to_original(boxes, (480, 640), (60, 80), "letterbox")
    assert (mapped[:, :2] >= 0).all()
    assert (mapped[:, 2:] <= (640, 480)).all()


def test_empty_proposals_and_rois() -> None:
    sizes = np.array([[32, 32]], F)
    options = {"stride": 16.0, "image_size": (32, 32), "pre_nms_top_n": 9, "post_nms_top_n": 9}
    nothing = np.full((2, 2, 2), np.nan, F)
    found = _core.propose(nothing, np.zeros((4, 2, 2), F), sizes, nms_iou=0.7, min_size=1.0, **options)
    assert [(a.shape, a.dtype) for a in found] == [((0, 4), F), ((0,), np.int32), ((0,), F)]
    none = np.zeros((0, 4), F)
    assert _core.ps_roi_align(np.zeros((4, 2, 2), F), none, 16.0, 2, 2).shape == (0, 4)
    detected = _core.detect(np.zeros((0, 21), F), none, none, (1.0, 1.0, 1.0, 1.0), (32, 32), 0.5)
    assert [(a.shape, a.dtype) for a in detected] == [
        ((0, 4), F),
        ((0,), F),
        ((0,), np.int32),
        ((0,), np.int32),
    ]
    assert _core.nms(none, np.zeros(0, F), 0.5).shape == (0,)
    assert _core.decode_boxes(none, none, (1.0, 1.0, 1.0, 1.0)).shape == (0, 4)
    assert _core.to_original(none, (1, 1), (1, 1), "stretch").shape == (0, 4)


def test_maps_with_padded_planes_equal_packed_ones() -> None:
    rng = np.random.default_rng(2)
    padded = rng.normal(size=(8, 32)).astype(F)  # planes of 30, as ncnn pads them
    strided = np.lib.stride_tricks.as_strided(padded, (8, 5, 6), (128, 24, 4))
    packed = np.ascontiguousarray(strided)
    rois = random_boxes(rng, 20, 90.0)
    np.testing.assert_array_equal(
        _core.ps_roi_align(strided, rois, 16.0, 2, 2), _core.ps_roi_align(packed, rois, 16.0, 2, 2)
    )
    sizes = np.array([[32, 32], [20, 50]], F)
    for a, b in zip(
        _core.propose(strided[:4], strided, sizes, 16.0, (80, 96), 60, 20, 0.7, 1.0),
        _core.propose(packed[:4], packed, sizes, 16.0, (80, 96), 60, 20, 0.7, 1.0),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


def test_slices_of_one_head_matrix_equal_copies() -> None:
    rng = np.random.default_rng(4)
    head = rng.normal(size=(30, 9)).astype(F)
    rois = random_boxes(rng, 30)
    options = (rois, (0.1, 0.1, 0.2, 0.2), (300, 300), 0.1)
    sliced = _core.detect(head[:, :5], head[:, 5:], *options)
    copied = _core.detect(head[:, :5].copy(), head[:, 5:].copy(), *options)
    assert len(sliced[0]) > 10
    for a, b in zip(sliced, copied, strict=True):
        np.testing.assert_array_equal(a, b)


def test_threads_get_equal_results() -> None:
    rng = np.random.default_rng(3)
    image = rng.integers(0, 256, (120, 160, 3), dtype=np.uint8)
    scores, deltas = (rng.normal(size=(c, 10, 10)).astype(F) for c in (10, 20))
    sizes = rng.uniform(10, 90, (5, 2)).astype(F)
    features = rng.normal(size=(245, 10, 10)).astype(F)
    logits = (3 * rng.normal(size=(100, 21))).astype(F)

    def everything(_: int) -> list[bytes]:
        planes = _core.preprocess(
            image, "RGB", (160, 160), "letterbox", "BGR", (0, 0, 0), (1, 2, 3), (4, 5, 6)
        )
        boxes, indices, _logits = _core.propose(scores, deltas, sizes, 16.0, (160, 160), 400, 100, 0.7, 1.0)
        pooled = _core.ps_roi_align(features, boxes, 16.0, 7, 2)
        few = len(boxes)
        found = _core.detect(
            logits[:few], pooled[:, :4].copy(), boxes, (0.1, 0.1, 0.2, 0.2), (160, 160), 0.05, "gaussian"
        )
        return [a.tobytes() for a in (planes, boxes, indices, pooled, *found)]

    expected = everything(0)
    with ThreadPoolExecutor(8) as pool:
        assert all(answer == expected for answer in pool.map(everything, range(64)))
