"""Augmented boxes stay on the pixels of their objects, whatever was done to the image."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketdet.training.augment import AugmentPipeline, make_sample
from pocketdet.training.augment.photometric import degrade, recolour, ssd_distort
from pocketdet.training.augment.pipeline import mosaic_share, plain_view, ssd_view
from pocketdet.training.augment.strong import bare_ground, mosaic, object_crop, paste_objects, zoomed_view
from pocketdet.training.config import Augment
from pocketdet.training.sample import (
    ImageCache,
    Sample,
    build_cache,
    map_boxes,
    orientation,
    similarity,
    touches,
    warp,
)

NONE = np.zeros((0, 4), np.float32)
GROUND, OBJECT = 60, 240
seeds = st.integers(0, 2**32)


def scene(seed: int, count: int = 1, size: tuple[int, int] = (100, 80)) -> Sample:
    """Bright rectangles on dark ground: where the object is can be read from the pixels."""
    rng = np.random.default_rng(seed)
    width, height = size
    image = np.full((height, width, 3), GROUND, np.uint8)
    boxes: list[list[int]] = []
    while len(boxes) < count:
        x, y = int(rng.integers(0, width - 14)), int(rng.integers(0, height - 14))
        box = [x, y, min(x + int(rng.integers(8, 30)), width), min(y + int(rng.integers(8, 30)), height)]
        if touches(np.add(box, (-4, -4, 4, 4)), np.array(boxes, np.float32).reshape(-1, 4)):
            continue
        boxes.append(box)
        image[box[1] : box[3], box[0] : box[2]] = OBJECT
    return Sample(image, np.array(boxes, np.float32), np.arange(count, dtype=np.int64), NONE)


def cache(count: int = 1) -> ImageCache:
    return build_cache([scene(seed, count) for seed in range(8)], count, 0.0)


def seen(view: Sample) -> np.ndarray:
    """The box around all bright pixels, at half of the contrast."""
    bright = view.image[..., 0] > (GROUND + OBJECT) / 2
    ys, xs = bright.any(axis=1).nonzero()[0], bright.any(axis=0).nonzero()[0]
    return np.array([xs[0], ys[0], xs[-1] + 1, ys[-1] + 1])


def assert_on_pixels(view: Sample, tolerance: float = 1.0) -> None:
    """The one box, annotated or ignored, is where the bright pixels are."""
    assert len(view.occupied) <= 1
    if len(view.occupied) and (view.occupied[0, 2:] - view.occupied[0, :2]).min() > 3:
        np.testing.assert_allclose(view.occupied[0], seen(view), atol=tolerance)


def assert_sound(view: Sample, side: int) -> None:
    assert view.image.shape == (side, side, 3)
    assert view.image.dtype == np.uint8
    assert view.boxes.dtype == np.float32
    assert view.boxes.shape == (len(view.labels), 4)
    assert (view.occupied >= 0).all()
    assert (view.occupied <= side).all()
    assert ((view.boxes[:, 2:] - view.boxes[:, :2]) > 0).all()


@given(seeds, st.floats(0.3, 3))
def test_warp_moves_boxes_with_pixels(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    source = scene(seed % 50)
    matrix = similarity(orientation(rng), (50, 40), (64, 64), (scale, scale))
    assert_on_pixels(warp(source, matrix, (128, 128), least_visible=0.0))


def test_identity_and_mirror_are_exact() -> None:
    source = scene(3, 3)
    same = warp(source, np.array([[1.0, 0, 0], [0, 1, 0]]), (100, 80), least_visible=0.5)
    np.testing.assert_array_equal(same.image, source.image)
    np.testing.assert_array_equal(same.boxes, source.boxes)
    mirrored = warp(source, np.array([[-1.0, 0, 100], [0, 1, 0]]), (100, 80), least_visible=0.5)
    np.testing.assert_array_equal(mirrored.image, source.image[:, ::-1])
    np.testing.assert_array_equal(mirrored.boxes[:, 0], 100 - source.boxes[:, 2])


def test_there_are_eight_orientations_and_all_are_drawn() -> None:
    rng = np.random.default_rng(0)
    drawn = {tuple(orientation(rng).ravel()) for _ in range(200)}
    assert len(drawn) == 8
    for matrix in drawn:
        assert abs(np.linalg.det(np.array(matrix).reshape(2, 2))) == 1


def test_cut_objects_are_kept_by_share_or_centre() -> None:
    source = Sample(
        np.zeros((40, 40, 3), np.uint8), np.array([[0, 0, 20, 20]], np.float32), np.array([7]), NONE
    )
    left = np.array([[1.0, 0, -12], [0, 1, 0]])  # 8 of 20 columns stay, the centre does not
    visible = warp(source, left, (40, 40), least_visible=0.3)
    np.testing.assert_array_equal(visible.boxes, [[0, 0, 8, 20]])
    assert visible.labels.tolist() == [7]
    for rule in (0.5, None):
        cut = warp(source, left, (40, 40), least_visible=rule)
        assert len(cut.boxes) == 0
        np.testing.assert_array_equal(cut.ignored, [[0, 0, 8, 20]])


def test_ignored_boxes_move_along() -> None:
    source = replace(scene(1), ignored=np.array([[10, 10, 20, 20], [90, 70, 100, 80]], np.float32))
    moved = warp(source, np.array([[1.0, 0, 20], [0, 1, 0]]), (100, 80), least_visible=0.5)
    np.testing.assert_array_equal(moved.ignored[0], [30, 10, 40, 20])
    assert len(moved.ignored) <= 2


@settings(deadline=None)
@given(seeds)
def test_views_keep_their_one_box_on_its_pixels(seed: int) -> None:
    one, rng = cache(), np.random.default_rng(seed)
    zoomed = zoomed_view(one, rng, 96)
    assert_sound(zoomed, 96)
    assert_on_pixels(zoomed, 1.5)
    assert len(zoomed.boxes) == 1
    crop = object_crop(one, rng, (70, 50))
    assert_on_pixels(crop, 1.5)
    assert len(crop.boxes) == 1
    cut = ssd_view(one.draw(rng)[0], rng, 96)
    assert_sound(cut, 96)
    assert_on_pixels(cut, 1.5)


@settings(deadline=None)
@given(seeds)
def test_pasted_objects_lie_apart_and_where_their_boxes_say(seed: int) -> None:
    one, rng = cache(), np.random.default_rng(seed)
    bare = bare_ground(one, rng, 128)
    assert len(bare.occupied) == 0
    assert (np.abs(bare.image.astype(int) - GROUND) <= 2).all() or len(np.unique(bare.image)) == 1
    pasted = paste_objects(bare, one, rng, 4)
    assert_sound(pasted, 128)
    for index, box in enumerate(pasted.boxes):
        assert not touches(box, np.delete(pasted.boxes, index, axis=0))
        x1, y1, x2, y2 = np.rint(box).astype(int)
        inside = float(pasted.image[y1:y2, x1:x2].mean())
        ring = pasted.image[max(y1 - 2, 0) : y2 + 2, max(x1 - 2, 0) : x2 + 2].astype(float)
        assert inside > float(ring.mean()) - 1e-9
        assert inside > float(bare.image.mean()) + 20


@settings(deadline=None)
@given(seeds)
def test_mosaics_hold_an_object_in_each_tile(seed: int) -> None:
    rng = np.random.default_rng(seed)
    made = mosaic([cache(), cache()], [0.5, 0.5], rng, 128)
    assert_sound(made, 128)
    assert len(made.boxes) in (4, 9)


@pytest.mark.parametrize("change", [ssd_distort, recolour, degrade])
def test_colour_changes_leave_shape_and_type(change: object) -> None:
    image = np.random.default_rng(1).integers(0, 256, (20, 30, 3), np.uint8)
    before, different = image.copy(), 0
    for seed in range(60):
        out = change(image, np.random.default_rng(seed))  # type: ignore[operator]
        assert (out.shape, out.dtype) == (image.shape, np.uint8)
        different += bool((out != image).any())
    assert different > 10
    np.testing.assert_array_equal(image, before)


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(["ssd", "strong", "none"]), seeds, st.integers(0, 10**9), st.floats(0, 1))
def test_an_image_depends_on_its_number_alone(kind: str, seed: int, index: int, progress: float) -> None:
    pipeline = AugmentPipeline([cache(3), cache(3)], [0.9, 0.1], Augment(kind=kind))
    first = make_sample(pipeline, seed, index, progress, 64)
    again = make_sample(pipeline, seed, index, progress, 64)
    assert_sound(first, 64)
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.boxes, again.boxes)
    np.testing.assert_array_equal(first.labels, again.labels)


def test_images_differ_from_number_to_number() -> None:
    pipeline = AugmentPipeline([cache(3)], [1.0], Augment(kind="strong"))
    made = {make_sample(pipeline, 1, index, 0.5, 64).image.tobytes() for index in range(30)}
    assert len(made) == 30


def test_mosaics_fade_out() -> None:
    rule = Augment(kind="strong", mosaic=0.6, mosaic_until=0.75)
    assert [mosaic_share(rule, p) for p in (0, 0.5, 0.75, 1)] == pytest.approx([0.6, 0.6, 0, 0])
    assert mosaic_share(rule, 0.625) == pytest.approx(0.3)
    assert mosaic_share(replace(rule, mosaic_until=0.0), 0.0) == 0


def test_the_plain_view_stretches() -> None:
    view = plain_view(scene(2), 64)
    np.testing.assert_allclose(view.boxes, scene(2).boxes * [0.64, 0.8, 0.64, 0.8], rtol=1e-6)


def test_map_boxes_of_a_turn() -> None:
    turn = np.array([[0.0, -1, 80], [1, 0, 0]])
    np.testing.assert_array_equal(map_boxes(np.array([[1, 2, 5, 10]], np.float32), turn), [[70, 1, 78, 5]])


def test_rare_classes_are_drawn_as_often_as_the_power_says() -> None:
    boxes = np.array([[1, 1, 9, 9]], np.float32)
    image = np.zeros((10, 10, 3), np.uint8)
    common = [Sample(image, boxes, np.array([0]), NONE)] * 90
    rare = [Sample(image, boxes, np.array([1]), NONE)] * 10
    for power, expected in ((0.0, 0.1), (-1.0, 0.5)):
        made = build_cache([*common, *rare], 2, power)
        rng = np.random.default_rng(0)
        share = np.mean([made.draw(rng)[0].labels[0] for _ in range(4000)])
        assert share == pytest.approx(expected, abs=0.03)
