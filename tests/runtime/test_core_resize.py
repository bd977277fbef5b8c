"""Resize, colour conversion, normalisation and the way back, against the torch reference, bit for bit."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pocketdet.models.ops import normalise, nv21_to_rgb, resize_geometry, resize_image, to_original
from pocketdet.runtime import _core

F = np.float32
MAX_IMAGE_SIDE = _core.MAX_IMAGE_SIDE
PAD = (124, 116, 104)
MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)
SIZES = [(1, 1), (1, 7), (32, 32), (20, 31), (64, 48)]
RULES = ["stretch", "letterbox", "letterbox_top_left"]


def random_image(height: int, width: int, channels: int = 3) -> NDArray[np.uint8]:
    rng = np.random.default_rng(height * 1000 + width)
    return rng.integers(0, 256, (height, width, channels), dtype=np.uint8)


@pytest.mark.parametrize("source", [(1, 1), (1, 9), (9, 1), (2, 2), (24, 40), (33, 17), (130, 170)])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("order", ["RGB", "BGR"])
def test_resize_and_normalise(source: tuple[int, int], size: tuple[int, int], rule: str, order: str) -> None:
    image = random_image(*source)
    expected = resize_image(torch.from_numpy(image), size, rule, order, PAD)
    found = _core.resize_image(image, "RGB", size, rule, order, PAD)
    np.testing.assert_array_equal(found, expected.numpy(), strict=True)
    planes = _core.preprocess(image, "RGB", size, rule, order, PAD, MEAN, STD)
    np.testing.assert_array_equal(planes, normalise(expected, MEAN, STD).numpy(), strict=True)


@pytest.mark.parametrize("source", [(2, 2), (2, 8), (8, 2), (24, 40), (34, 18)])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("order", ["RGB", "BGR"])
def test_nv21(source: tuple[int, int], size: tuple[int, int], rule: str, order: str) -> None:
    frame = random_image(source[0] * 3 // 2, source[1], 1)[:, :, 0]
    rgb = nv21_to_rgb(torch.from_numpy(frame))
    expected = resize_image(rgb, size, rule, order, PAD)
    found = _core.resize_image(frame, "NV21", size, rule, order, PAD)
    np.testing.assert_array_equal(found, expected.numpy(), strict=True)
    padded = np.zeros((frame.shape[0], frame.shape[1] + 5), np.uint8)
    padded[:, : frame.shape[1]] = frame
    strided = _core.resize_image(padded[:, : frame.shape[1]], "NV21", size, rule, order, PAD)
    np.testing.assert_array_equal(strided, found)


def test_every_yuv_value() -> None:
    levels = np.arange(0, 256, 5, dtype=np.uint8)
    u, v = np.meshgrid(levels, levels, indexing="ij")
    chroma = np.stack([v, u], axis=-1).reshape(len(levels), -1)
    for luma in (0, 16, 77, 128, 235, 255):
        frame = np.concatenate([np.full((2 * len(levels), 2 * len(levels)), luma, np.uint8), chroma])
        expected = nv21_to_rgb(torch.from_numpy(frame)).numpy()
        found = _core.resize_image(frame, "NV21", expected.shape[:2])
        np.testing.assert_array_equal(found, expected)


def test_the_largest_sides() -> None:
    for source in ((1, MAX_IMAGE_SIDE), (MAX_IMAGE_SIDE, 1)):
        image = random_image(*source)
        expected = resize_image(torch.from_numpy(image), (3, 5), "letterbox", "RGB", PAD)
        found = _core.resize_image(image, "RGB", (3, 5), "letterbox", "RGB", PAD)
        np.testing.assert_array_equal(found, expected.numpy())
        large = _core.resize_image(image[:2, :2], "RGB", source)
        expected = resize_image(torch.from_numpy(image[:2, :2].copy()), source, "stretch", "RGB", PAD)
        np.testing.assert_array_equal(large, expected.numpy())


@given(
    st.tuples(*[st.integers(1, MAX_IMAGE_SIDE)] * 2),
    st.tuples(*[st.integers(1, 2000)] * 2),
    st.sampled_from(RULES),
)
@settings(deadline=None)
def test_geometry(source: tuple[int, int], size: tuple[int, int], rule: str) -> None:
    place = resize_geometry(source, size, rule)
    expected = (place.x0, place.y0, place.width, place.height)
    assert _core.resize_geometry(source, size, rule) == expected


@given(st.tuples(*[st.integers(1, 8000)] * 2), st.tuples(*[st.integers(1, 2000)] * 2), st.sampled_from(RULES))
@settings(deadline=None)
def test_boxes_go_back_to_the_original(source: tuple[int, int], size: tuple[int, int], rule: str) -> None:
    boxes = np.random.default_rng(source[0]).uniform(-10, 2010, (20, 4)).astype(F)
    expected = to_original(torch.from_numpy(boxes), source, size, rule)
    found = _core.to_original(boxes, source, size, rule)
    np.testing.assert_array_equal(found, expected.numpy(), strict=True)
