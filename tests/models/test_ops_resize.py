"""Integer resize, letterbox, NV21 and normalisation against worked values and floating point."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pocketdet.models.ops import (
    normalise,
    nv21_to_rgb,
    resize_bilinear,
    resize_geometry,
    resize_image,
    to_original,
)

untimed = settings(deadline=None)  # a slow moment of the machine is no finding
length = st.integers(1, 2000)


def noise(height: int, width: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (height, width, 3), generator=generator, dtype=torch.uint8)


def row(*values: int) -> Tensor:
    """An image (1, W, 1)."""
    return torch.tensor(values, dtype=torch.uint8)[None, :, None]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ((0, 100), (0, 25, 75, 100)),  # twice as wide: samples at -0.25, 0.25, 0.75, 1.25
        ((10, 20, 30, 50), (15, 40)),  # half: the mean of each pair
        ((0, 1), (0, 1)),
        ((7,), (7, 7, 7)),
        ((0, 90, 180), (90,)),  # to one: the middle
        ((0, 1, 0, 0), (1, 0)),  # a half rounds up
    ],
)
def test_resize_by_hand(source: tuple[int, ...], expected: tuple[int, ...]) -> None:
    wide = resize_bilinear(row(*source), (1, len(expected)))
    tall = resize_bilinear(row(*source).transpose(0, 1), (len(expected), 1))
    assert wide.flatten().tolist() == list(expected)
    assert tall.flatten().tolist() == list(expected)


def test_resize_mixes_both_axes() -> None:
    square = torch.tensor([[0, 80], [160, 240]], dtype=torch.uint8)[:, :, None]
    assert resize_bilinear(square, (1, 1)).item() == 120
    assert resize_bilinear(square, (4, 4))[1, 1].item() == 60  # 0.25 of the way on both axes


@pytest.mark.parametrize("size", [(5, 7), (64, 96), (97, 31)])
def test_resize_to_the_same_size_changes_nothing(size: tuple[int, int]) -> None:
    image = noise(*size)
    assert torch.equal(resize_bilinear(image, size), image)


@pytest.mark.parametrize("source", [(1, 1), (2, 3), (37, 53), (320, 320), (201, 640)])
@pytest.mark.parametrize("size", [(1, 1), (32, 64), (96, 96), (320, 320)])
def test_resize_is_within_one_step_of_floating_point(source: tuple[int, int], size: tuple[int, int]) -> None:
    image = noise(*source, seed=source[0] + size[0])
    planes = image.permute(2, 0, 1)[None].double()
    expected = F.interpolate(planes, size, mode="bilinear", align_corners=False)[0].permute(1, 2, 0)
    found = resize_bilinear(image, size)
    assert found.dtype == torch.uint8
    assert (found.double() - expected).abs().max() <= 1


def test_resize_keeps_the_extremes() -> None:
    white = torch.full((13, 17, 3), 255, dtype=torch.uint8)
    assert torch.equal(resize_bilinear(white, (40, 9)), torch.full((40, 9, 3), 255, dtype=torch.uint8))


@pytest.mark.parametrize(
    ("source", "size", "expected"),
    [
        ((480, 640), (320, 320), (0, 40, 320, 240)),
        ((640, 480), (320, 320), (40, 0, 240, 320)),
        ((100, 100), (320, 320), (0, 0, 320, 320)),
        ((100, 100), (64, 96), (16, 0, 64, 64)),
        ((10, 1000), (320, 320), (0, 158, 320, 3)),  # 3.2 rounds to 3; 317 // 2 above it
        ((9, 10), (32, 32), (0, 1, 32, 29)),  # 28.8 rounds to 29
        ((10, 9), (32, 32), (1, 0, 29, 32)),
        ((5, 64), (32, 32), (0, 14, 32, 3)),  # a half rounds up
        ((1, 5000), (32, 32), (0, 15, 32, 1)),  # never thinner than a pixel
        ((5000, 1), (32, 32), (15, 0, 1, 32)),
        ((3, 2), (1, 96), (47, 0, 1, 1)),
    ],
)
def test_letterbox_by_hand(
    source: tuple[int, int], size: tuple[int, int], expected: tuple[int, int, int, int]
) -> None:
    place = resize_geometry(source, size, "letterbox")
    assert (place.x0, place.y0, place.width, place.height) == expected
    corner = resize_geometry(source, size, "letterbox_top_left")
    assert (corner.x0, corner.y0, corner.width, corner.height) == (0, 0, *expected[2:])


@untimed
@given(st.tuples(length, length), st.tuples(length, length))
def test_letterbox_lies_inside_fills_one_axis_and_keeps_the_aspect(
    source: tuple[int, int], size: tuple[int, int]
) -> None:
    place = resize_geometry(source, size, "letterbox")
    (h, w), (height, width) = source, size
    assert place.x0 >= 0
    assert place.y0 >= 0
    assert place.x0 + place.width <= width
    assert place.y0 + place.height <= height
    assert place.width == width or place.height == height
    scale = min(width / w, height / h)
    assert abs(place.width - w * scale) <= 1
    assert abs(place.height - h * scale) <= 1
    assert abs(place.x0 - (width - place.width - place.x0)) <= 1
    assert abs(place.y0 - (height - place.height - place.y0)) <= 1


@untimed
@given(st.tuples(length, length), st.tuples(length, length))
def test_stretch_fills_the_input(source: tuple[int, int], size: tuple[int, int]) -> None:
    place = resize_geometry(source, size, "stretch")
    assert (place.x0, place.y0, place.width, place.height) == (0, 0, size[1], size[0])


def test_the_other_letterbox_pads_on_the_right_and_at_the_bottom() -> None:
    wide, tall = noise(10, 20), noise(20, 10)
    below = resize_image(wide, (20, 20), "letterbox_top_left", "RGB", (1, 2, 3))
    assert torch.equal(below[:10], wide)
    assert (below[10:] == torch.tensor([1, 2, 3])).all()
    beside = resize_image(tall, (20, 20), "letterbox_top_left", "BGR", (1, 2, 3))
    assert torch.equal(beside[:, :10], tall.flip(2))
    assert (beside[:, 10:] == torch.tensor([1, 2, 3])).all()
    boxes = to_original(torch.tensor([[2.0, 3.0, 30.0, 40.0]]), (480, 640), (320, 320), "letterbox_top_left")
    assert boxes.tolist() == [[4.0, 6.0, 60.0, 80.0]]


def test_letterbox_pads_in_the_networks_channel_order() -> None:
    red = torch.tensor([200, 0, 0], dtype=torch.uint8).repeat(20, 40, 1)
    rgb = resize_image(red, (32, 32), "letterbox", "RGB", (1, 2, 3))
    bgr = resize_image(red, (32, 32), "letterbox", "BGR", (1, 2, 3))
    assert rgb[16, 16].tolist() == [200, 0, 0]
    assert bgr[16, 16].tolist() == [0, 0, 200]
    for resized in (rgb, bgr):
        assert resized.shape == (32, 32, 3)
        assert (resized[:8] == torch.tensor([1, 2, 3])).all()
        assert (resized[24:] == torch.tensor([1, 2, 3])).all()
        assert (resized[8:24].sum(dim=2) == 200).all()


def test_stretch_ignores_the_pad_and_does_not_touch_the_image() -> None:
    image = noise(20, 40)
    kept = image.clone()
    assert torch.equal(
        resize_image(image, (32, 64), "stretch", "RGB", (1, 2, 3)), resize_bilinear(image, (32, 64))
    )
    assert torch.equal(image, kept)


def nv21(y: int, u: int, v: int, height: int = 2, width: int = 4) -> Tensor:
    frame = torch.full((height * 3 // 2, width), y, dtype=torch.uint8)
    frame[height:, 0::2], frame[height:, 1::2] = v, u
    return frame


@pytest.mark.parametrize("y", [0, 1, 127, 128, 255])
def test_nv21_without_colour_is_grey(y: int) -> None:
    found = nv21_to_rgb(nv21(y, 128, 128))
    assert torch.equal(found, torch.full((2, 4, 3), y, dtype=torch.uint8))


@pytest.mark.parametrize(
    ("y", "u", "v", "colour"),
    [
        (76, 85, 255, (254, 0, 0)),  # full-range BT.601 of (255, 0, 0), (0, 255, 0), (0, 0, 255)
        (150, 44, 21, (0, 255, 1)),
        (29, 255, 107, (0, 0, 254)),
        (255, 0, 0, (76, 255, 28)),  # green is clamped from 390
    ],
)
def test_nv21_of_primary_colours(y: int, u: int, v: int, colour: tuple[int, int, int]) -> None:
    assert nv21_to_rgb(nv21(y, u, v))[1, 3].tolist() == list(colour)


def test_nv21_is_within_one_step_of_floating_point() -> None:
    grid = torch.stack(torch.meshgrid(*[torch.arange(0, 256, 15)] * 3, indexing="ij"), -1).reshape(-1, 3)
    y, u, v = grid.double().unbind(1)
    expected = torch.stack(
        [y + 1.402 * (v - 128), y - 0.344136 * (u - 128) - 0.714136 * (v - 128), y + 1.772 * (u - 128)], 1
    ).clamp(0, 255)
    frame = torch.empty(3, 2 * len(grid), dtype=torch.uint8)  # one 2 x 2 block per colour
    frame[:2] = grid[:, 0].repeat_interleave(2)
    frame[2, 0::2], frame[2, 1::2] = grid[:, 2].to(torch.uint8), grid[:, 1].to(torch.uint8)
    found = nv21_to_rgb(frame)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[:, 0::2], found[:, 1::2])
    assert (found[0, 0::2].double() - expected).abs().max() <= 1


def test_nv21_gives_each_block_of_four_its_colour() -> None:
    frame = torch.full((6, 4), 100, dtype=torch.uint8)
    frame[4:] = 128
    frame[5, 2] = 228  # V of the lower right block
    found = nv21_to_rgb(frame)
    tinted = (found != 100).any(dim=2)
    assert tinted.nonzero().tolist() == [[2, 2], [2, 3], [3, 2], [3, 3]]


def test_normalise_by_hand() -> None:
    image = torch.tensor([[[10, 20, 30], [0, 255, 128]]], dtype=torch.uint8)
    found = normalise(image, (10.0, 10.0, 10.0), (1.0, 2.0, 4.0))
    assert found.shape == (3, 1, 2)
    assert found.is_contiguous()
    assert found.tolist() == [[[0, -10]], [[5, 122.5]], [[5, 29.5]]]


@pytest.mark.parametrize("rule", ["stretch", "letterbox"])
def test_boxes_return_to_the_original(rule: str) -> None:
    assert rule in ("stretch", "letterbox")
    source, size = (480, 640), (320, 320)
    place = resize_geometry(source, size, rule)
    whole = torch.tensor([[place.x0, place.y0, place.x0 + place.width, place.y0 + place.height]]).float()
    assert to_original(whole, source, size, rule).tolist() == [[0, 0, 640, 480]]
    outside = torch.tensor([[-50.0, -50, 400, 400]])
    assert to_original(outside, source, size, rule).tolist() == [[0, 0, 640, 480]]
    assert to_original(torch.zeros(0, 4), source, size, rule).shape == (0, 4)


def test_boxes_return_through_a_letterbox_by_hand() -> None:
    found = to_original(torch.tensor([[10.0, 50, 60, 100]]), (480, 640), (320, 320), "letterbox")
    assert found.tolist() == [[20, 20, 120, 120]]  # scale 2, 40 rows of padding above
    found = to_original(torch.tensor([[10.0, 50, 60, 100]]), (480, 640), (320, 320), "stretch")
    assert found.tolist() == [[20, 75, 120, 150]]
