"""The scene renderer: what it draws is repeatable, labelled truly and inside its own bounds."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from pocketdet.datasets.scenes import (
    GroundSpec,
    Placement,
    SceneSpec,
    demo_scene,
    kinds,
    random_scene,
    render_scene,
)
from pocketdet.datasets.scenes.__main__ import main
from pocketdet.datasets.scenes.camera import Camera
from pocketdet.datasets.scenes.catalog import build
from pocketdet.datasets.scenes.materials import rust
from pocketdet.datasets.scenes.noise import NoiseTile, smooth_field
from pocketdet.datasets.scenes.sdf import bake, box2, extrude, length2, ngon, polygon, polyline2, smooth_union
from pocketdet.datasets.scenes.solid import Hit
from pocketdet.datasets.scenes.spec import GROUND_KINDS
from pocketdet.datasets.scenes.trace import Instance, centred
from pocketdet.errors import UsageError

FOD_A = frozenset(
    [
        "AdjustableClamp",
        "AdjustableWrench",
        "Battery",
        "Bolt",
        "BoltNutSet",
        "BoltWasher",
        "ClampPart",
        "Cutter",
        "FuelCap",
        "Hammer",
        "Hose",
        "Label",
        "LuggagePart",
        "LuggageTag",
        "MetalPart",
        "MetalSheet",
        "Nail",
        "Nut",
        "PaintChip",
        "Pen",
        "PlasticPart",
        "Pliers",
        "Rock",
        "Screw",
        "Screwdriver",
        "SodaCan",
        "Tape",
        "Washer",
        "Wire",
        "Wood",
        "Wrench",
    ]
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def alone(kind: str, size: tuple[int, int], seed: int = 3) -> tuple[SceneSpec, Camera]:
    """A scene of one object that fills about half of the image."""
    solid = build(kind, rng(seed))
    longest = max(solid.hi[0] - solid.lo[0], solid.hi[1] - solid.lo[1])
    view = longest * 2.0 * size[0] / min(size)
    spec = SceneSpec(
        size=size, placements=(Placement(kind, 0.5, 0.5, 33.0, 1.0, seed),), view_mm=view, tilt=18
    )
    return spec, Camera(size[0], size[1], view, 18)


def hits(spec: SceneSpec, camera: Camera) -> np.ndarray:
    """(H, W) mask of the only object, one ray through each quarter of every pixel."""
    p = spec.placements[0]
    x, y = camera.ground(p.x * camera.width, p.y * camera.height)
    item = centred(build(p.kind, rng(p.seed)), x, y, p.angle, p.scale)
    fine = Camera(camera.width * 2, camera.height * 2, camera.view_mm, camera.tilt)
    u, v = np.meshgrid(
        np.arange(fine.width, dtype=np.float32) + 0.5, np.arange(fine.height, dtype=np.float32) + 0.5
    )
    rays = fine.rays(u.ravel(), v.ravel())
    t = item.first_hit(fine.origin, rays, fine.mm_per_pixel)
    seen = t < -(fine.origin[2] / rays[2])
    return seen.reshape(camera.height, 2, camera.width, 2).any(axis=(1, 3))


def test_every_kind_is_a_fod_a_class() -> None:
    assert set(kinds()) <= FOD_A
    assert len(kinds()) == len(set(kinds())) >= 25


@pytest.mark.parametrize("kind", kinds())
def test_box_is_tight_around_the_object(kind: str) -> None:
    spec, camera = alone(kind, (96, 80))
    scene = render_scene(spec, rng())
    mask = hits(spec, camera)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    assert scene.labels == (kind,)
    truth = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    np.testing.assert_allclose(scene.boxes[0], truth, atol=0.5)
    assert mask.sum() > 60, "too little of the object is visible"


@pytest.mark.parametrize("kind", kinds())
def test_object_shows_against_the_ground(kind: str) -> None:
    spec, camera = alone(kind, (96, 80))
    bare = SceneSpec(size=spec.size, view_mm=spec.view_mm, tilt=spec.tilt)
    with_it = render_scene(spec, rng()).image.astype(int)
    without = render_scene(bare, rng()).image.astype(int)
    changed = np.abs(with_it - without).max(axis=2)
    assert np.median(changed[hits(spec, camera)]) > 12


@pytest.mark.parametrize("size", [(33, 47), (64, 48), (121, 75)])
def test_every_kind_renders_at_odd_sizes(size: tuple[int, int]) -> None:
    for kind in kinds():
        scene = render_scene(alone(kind, size, seed=11)[0], rng(1))
        assert scene.image.shape == (size[1], size[0], 3)
        assert scene.image.dtype == np.uint8
        assert scene.image.std() > 3
        assert scene.boxes.dtype == np.float32
        assert scene.boxes.shape == (1, 4)


@pytest.mark.parametrize("kind", kinds())
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_bounds_hold_the_whole_object(kind: str, seed: int) -> None:
    solid = build(kind, rng(seed))
    lo, hi = np.array(solid.lo), np.array(solid.hi)
    assert lo[2] == 0.0
    assert (hi > lo).all()
    points = rng(5).uniform(lo, hi, (6000, 3))
    face = rng(6).integers(0, 5, 6000)
    side = np.array([0, 0, 1, 1, 2])[face]
    points[np.arange(6000), side] = np.where(face % 2 == 0, hi[side], lo[side])
    points[face == 4, 2] = hi[2]
    x, y, z = points.astype(np.float32).T
    assert solid.distance(x, y, z).min() > -0.05, "the bounding box cuts the object"


@pytest.mark.parametrize("kind", kinds())
def test_object_rests_on_the_ground(kind: str) -> None:
    solid = build(kind, rng(2))
    lo, hi = np.array(solid.lo), np.array(solid.hi)
    x, y, _ = rng(7).uniform(lo, hi, (40000, 3)).astype(np.float32).T
    assert solid.distance(x, y, np.full_like(x, 0.3)).min() < 0.8, "it floats"


@pytest.mark.parametrize("kind", kinds())
def test_distance_grows_no_faster_than_the_step_factor_allows(kind: str) -> None:
    solid = build(kind, rng(4))
    lo, hi = np.array(solid.lo), np.array(solid.hi)
    points = rng(8).uniform(lo, hi, (20000, 3)).astype(np.float32)
    moved = points + (rng(9).standard_normal((20000, 3)) * 0.3).astype(np.float32)
    outside = solid.distance(*points.T) > 0.5
    rise = np.abs(solid.distance(*moved.T) - solid.distance(*points.T))[outside]
    slope = rise / np.sqrt(((moved - points) ** 2).sum(axis=1))[outside]
    assert np.quantile(slope, 0.995) < 1.12


def test_same_seed_same_bytes_and_another_seed_another_image() -> None:
    spec = random_scene(rng(3), (80, 64), 3)
    first, second, other = (render_scene(spec, rng(s)) for s in (5, 5, 6))
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.boxes, second.boxes)
    assert first.labels == second.labels
    assert not np.array_equal(first.image, other.image)
    assert np.array_equal(first.boxes, other.boxes), "the generator of the ground must not move objects"
    assert random_scene(rng(3), (80, 64), 3) == spec


@pytest.mark.parametrize("seed", range(12))
def test_random_scene_properties(seed: int) -> None:
    size = [(96, 96), (120, 80), (75, 101)][seed % 3]
    spec = random_scene(rng(seed), size, 4)
    scene = render_scene(spec, rng(seed))
    assert 1 <= len(spec.placements) <= 4
    assert scene.image.shape == (size[1], size[0], 3)
    assert len(scene.boxes) == len(scene.labels) >= 1
    assert set(scene.labels) <= FOD_A
    x1, y1, x2, y2 = scene.boxes.T
    assert (x1 >= 0).all()
    assert (y1 >= 0).all()
    assert (x1 < x2).all()
    assert (y1 < y2).all()
    assert (x2 <= size[0]).all()
    assert (y2 <= size[1]).all()
    assert 15 < scene.image.mean() < 235


def test_random_scenes_vary() -> None:
    specs = [random_scene(rng(seed), (96, 96), 5) for seed in range(60)]
    assert {s.ground.kind for s in specs} == set(GROUND_KINDS)
    assert {len(s.placements) for s in specs} == {1, 2, 3, 4, 5}
    assert len({p.kind for s in specs for p in s.placements}) > 20


@pytest.mark.parametrize("kind", GROUND_KINDS)
def test_ground_without_objects(kind: str) -> None:
    ground = GroundSpec(kind=kind, cracks=2, joint=True, marking=True, stains=1.0)  # type: ignore[arg-type]
    scene = render_scene(SceneSpec(size=(90, 70), ground=ground), rng())
    assert scene.boxes.shape == (0, 4)
    assert scene.labels == ()
    assert scene.image.std() > 4


def test_sun_casts_a_shadow_away_from_itself() -> None:
    can = Placement("SodaCan", 0.5, 0.5, 90.0)
    spec = SceneSpec(
        size=(120, 90), placements=(can,), view_mm=400, sun_azimuth=180, sun_elevation=25, haze=0
    )
    bare = SceneSpec(size=(120, 90), view_mm=400, sun_azimuth=180, sun_elevation=25, haze=0)
    scene, empty = render_scene(spec, rng()), render_scene(bare, rng())
    x1, y1, x2, y2 = scene.boxes[0].astype(int)
    change = scene.image.mean(axis=2) / empty.image.mean(axis=2)
    level = change[(y1 + y2) // 2 - 4 : (y1 + y2) // 2 + 4]
    lit, dark = level[:, x1 - 12 : x1 - 4].mean(), level[:, x2 + 3 : x2 + 11].mean()
    assert dark < 0.75 * lit


def test_demo_scene_shows_all_its_objects_apart() -> None:
    spec = demo_scene((240, 180))
    scene = render_scene(spec, rng(9))
    assert scene.labels == tuple(p.kind for p in spec.placements)
    assert demo_scene().size == (640, 480)
    for i, a in enumerate(scene.boxes):
        assert a.min() >= 1, "an object is cut off at the left or top"
        assert (a[2:] <= (239, 179)).all(), "an object is cut off at the right or bottom"
        for b in scene.boxes[i + 1 :]:
            wide = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
            tall = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
            smaller = min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))
            assert wide * tall < 0.15 * smaller


@pytest.mark.parametrize(
    "make",
    [
        lambda: SceneSpec(size=(8, 100)),
        lambda: SceneSpec(size=(100, 100_000)),
        lambda: SceneSpec(haze=float("nan")),
        lambda: SceneSpec(sun_elevation=0.0),
        lambda: Placement("Bolt", 1.5, 0.5),
        lambda: Placement("Bolt", 0.5, 0.5, scale=0.0),
        lambda: Placement("Bolt", 0.5, 0.5, angle=float("nan")),
        lambda: Placement("Bolt", 0.5, 0.5, seed=-1),
        lambda: GroundSpec(stains=2.0),
        lambda: GroundSpec(cracks=-1),
        lambda: GroundSpec(tint=(1.0, 0.0, 1.0)),
        lambda: GroundSpec(kind="lava"),  # type: ignore[arg-type]
        lambda: random_scene(rng(), (96, 96), 0),
    ],
)
def test_bad_values_are_refused(make) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError):
        make()


def test_unknown_kind_suggests_the_nearest() -> None:
    spec = SceneSpec(size=(40, 40), placements=(Placement("Wrnch", 0.5, 0.5),))
    with pytest.raises(UsageError, match="did you mean Wrench"):
        render_scene(spec, rng())


def test_command_writes_an_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "scene.png"
    assert main([str(out), "--random", "--seed", "4", "--size", "80x60", "--boxes"]) == 0
    assert cv2.imread(str(out)).shape == (60, 80, 3)
    truth = tmp_path / "scene.json"
    assert main([str(out), "--random", "--seed", "4", "--size", "80x60", "--coco", str(truth)]) == 0
    content = json.loads(truth.read_text())
    assert content["images"] == [{"id": 0, "file_name": out.name, "width": 80, "height": 60}]
    same = rng(4)
    assert len(content["annotations"]) == len(render_scene(random_scene(same, (80, 60)), same).boxes)
    assert main([str(tmp_path / "scene.gif"), "--random", "--size", "80x60"]) == 2
    assert main([str(tmp_path / "none" / "scene.png"), "--random", "--size", "80x60"]) == 2
    assert "scene.gif" in capsys.readouterr().err


def test_camera_projects_what_it_looks_at() -> None:
    camera = Camera(120, 90, 300.0, 25.0)
    for u, v in [(60.0, 45.0), (3.0, 88.0), (117.5, 0.5)]:
        x, y = camera.ground(u, v)
        np.testing.assert_allclose(camera.project(np.array([[x, y, 0.0]]))[0], (u, v), atol=0.02)
    left, right = camera.ground(0.0, 45.0), camera.ground(120.0, 45.0)
    assert right[0] - left[0] == pytest.approx(300.0, rel=1e-3)


def test_instance_turns_and_scales() -> None:
    item = Instance(build("Nut", rng()), 10.0, -5.0, 90.0, 2.0)
    point = np.array([[10.0], [-1.0], [3.0]], np.float32)
    np.testing.assert_allclose(item.to_local(point)[:, 0], (2.0, 0.0, 1.5), atol=1e-5)
    direction = np.array([[0.6], [0.0], [0.8]], np.float32)
    np.testing.assert_allclose(item.turn_world(item.turn_local(direction)), direction, atol=1e-6)


def test_distance_functions_against_geometry() -> None:
    x, y = rng(1).uniform(-10, 10, (2, 5000)).astype(np.float32)
    square = ((-3.0, -2.0), (3.0, -2.0), (3.0, 2.0), (-3.0, 2.0))
    np.testing.assert_allclose(polygon(x, y, square), box2(x, y, 3, 2), atol=1e-5)
    hexagon = ngon(x, y, 6, 4.0)
    assert ((length2(x, y) < 4.0) <= (hexagon < 0)).all()
    assert ((hexagon < 0) <= (length2(x, y) < 4.0 / np.cos(np.pi / 6) + 1e-4)).all()
    distance, along = polyline2(x, y, [(-4.0, 0.0), (4.0, 0.0), (4.0, 6.0)])
    assert along.min() >= 0
    assert along.max() <= 14.0 + 1e-4
    np.testing.assert_allclose(
        distance[(x > -4) & (x < 3) & (y < 0)], -y[(x > -4) & (x < 3) & (y < 0)], atol=1e-5
    )
    np.testing.assert_allclose(extrude(np.float32([-5.0]), np.float32([3.0]), 2.0), [1.0])
    a, b = length2(x - 3, y) - 2, length2(x + 3, y) - 2
    blended = smooth_union(a, b, 1.0)
    assert (blended <= np.minimum(a, b) + 1e-6).all()
    assert (blended >= np.minimum(a, b) - 0.25 - 1e-6).all()


def test_baked_function_reads_back() -> None:
    disc = bake(lambda x, y: length2(x, y) - 5, (-10.0, -10.0), (10.0, 10.0), 0.25)
    x, y = rng(2).uniform(-9, 9, (2, 2000)).astype(np.float32)
    away = length2(x, y) > 1
    np.testing.assert_allclose(disc(x, y)[away], (length2(x, y) - 5)[away], atol=0.02)


def test_noise_is_periodic_bounded_and_smooth() -> None:
    tile = NoiseTile.draw(rng(3))
    u, v = rng(4).uniform(0, 256, (2, 4000)).astype(np.float32)
    np.testing.assert_allclose(tile(u, v), tile(u + 256, v - 256), atol=2e-3)
    assert np.abs(tile(u, v)).max() <= 1
    assert np.abs(tile(u + 0.01, v) - tile(u, v)).max() < 0.05
    field = smooth_field(rng(5), (70, 90), 12.0)
    assert field.shape == (70, 90)
    assert 0.3 < field.std() < 1.6


def test_rust_is_finite_where_the_noise_is_lowest() -> None:
    zero, one = np.zeros(1), np.ones(1)
    surface = rust(NoiseTile(np.full((256, 256), -1, np.float32)))(Hit(zero, zero, zero, zero, zero, one))
    assert np.isfinite(surface.albedo).all()
    assert surface.albedo.min() > 0
