"""Which objects lie where: the demo image, and random scenes for training."""

import cv2
import numpy as np

from pocketdet.errors import UsageError

from .camera import Camera
from .catalog import build, kinds
from .noise import uniform
from .spec import GROUND_KINDS, GroundSpec, Placement, SceneSpec
from .trace import Instance, centred

SMALLEST, LARGEST = 0.07, 0.80
GAP_MM = 5.0
TRIES = 40


def demo_scene(size: tuple[int, int] = (640, 480)) -> SceneSpec:
    """The image of the README: tools and small parts on concrete in low evening sun; made for 4:3."""
    placements = (
        Placement("Wrench", 0.25, 0.26, 28, 1.0, 1),
        Placement("Hammer", 0.66, 0.22, -14, 0.95, 1),
        Placement("Screwdriver", 0.13, 0.67, -57, 1.0, 0),
        Placement("Pliers", 0.53, 0.52, 62, 1.0, 0),
        Placement("AdjustableWrench", 0.80, 0.58, -52, 1.0, 0),
        Placement("SodaCan", 0.36, 0.84, -24, 0.9, 3),
        Placement("Bolt", 0.62, 0.85, 24, 1.2, 0),
        Placement("Nut", 0.33, 0.52, 10, 1.3, 3),
        Placement("Washer", 0.645, 0.66, 0, 0.8, 0),
        Placement("Battery", 0.88, 0.88, 66, 1.2, 0),
    )
    ground = GroundSpec("concrete", (1.02, 1.0, 0.98), cracks=1, joint=True, stains=0.7)
    return SceneSpec(
        size=size,
        placements=placements,
        view_mm=660,
        tilt=24,
        sun_azimuth=152,
        sun_elevation=26,
        haze=0.06,
        ground=ground,
        exposure=1.12,
    )


def _footprint(item: Instance) -> tuple[tuple[float, float], tuple[float, float], float]:
    """The bounding box on the ground as OpenCV's rotated rectangle: centre, size, degrees."""
    base = item.corners()[:4, :2].astype(np.float64)
    middle = base.mean(axis=0)
    size = [item.scale * (item.solid.hi[k] - item.solid.lo[k]) + GAP_MM for k in (0, 1)]
    return (float(middle[0]), float(middle[1])), (size[0], size[1]), item.angle


def _overlaps(item: Instance, others: list[Instance]) -> bool:
    mine = _footprint(item)
    return any(
        cv2.rotatedRectangleIntersection(mine, _footprint(other))[0] != cv2.INTERSECT_NONE for other in others
    )


def _inside(item: Instance, camera: Camera) -> bool:
    uv = camera.project(item.corners())
    return bool((uv >= 0).all() and (uv <= (camera.width, camera.height)).all())


def _try_place(
    rng: np.random.Generator, camera: Camera, placed: list[Instance], cut_off: bool
) -> tuple[Placement, Instance] | None:
    """One random object of a fitting size in a free place, or None where there is none."""
    kind = str(rng.choice(kinds()))
    seed, scale = int(rng.integers(0, 2**31)), uniform(rng, 0.85, 1.2)
    solid = build(kind, np.random.default_rng(seed))
    longest = scale * max(solid.hi[k] - solid.lo[k] for k in (0, 1))
    view = camera.mm_per_pixel * min(camera.width, camera.height)
    if not SMALLEST * view <= longest <= LARGEST * view:
        return None
    for _ in range(TRIES):
        p = Placement(
            kind, uniform(rng, 0.05, 0.95), uniform(rng, 0.05, 0.95), uniform(rng, 0, 360), scale, seed
        )
        x, y = camera.ground(p.x * camera.width, p.y * camera.height)
        item = centred(solid, x, y, p.angle, p.scale)
        if (cut_off or _inside(item, camera)) and not _overlaps(item, placed):
            return p, item
    return None


def _random_ground(rng: np.random.Generator) -> GroundSpec:
    kind = GROUND_KINDS[int(rng.choice(len(GROUND_KINDS), p=[0.4, 0.25, 0.2, 0.15]))]
    level, warm = uniform(rng, 0.7, 1.45), uniform(rng, -0.07, 0.07)
    return GroundSpec(
        kind=kind,
        tint=(level * (1 + warm), level, level * (1 - warm)),
        cracks=int(rng.poisson(0.5)),
        joint=bool(rng.random() < 0.2),
        marking=bool(rng.random() < 0.2),
        stains=uniform(rng, 0, 0.9),
    )


def random_scene(rng: np.random.Generator, size: tuple[int, int], max_objects: int = 5) -> SceneSpec:
    """A random scene of 1 to `max_objects` objects that do not overlap.

    Each object's longer side takes 7% to 80% of the image's shorter side; one in eight may be cut
    off by the image's edge. Ground, sun, haze, slant and exposure are drawn too.

    Args:
        rng: source of all choices.
        size: (width, height) in pixels.
        max_objects: at least 1.

    Raises:
        UsageError: `max_objects` below 1, or a size outside the limits of `SceneSpec`.
    """
    if max_objects < 1:
        raise UsageError(f"max_objects must be at least 1, got {max_objects}")
    width, height = size
    view = float(np.exp(uniform(rng, np.log(140.0), np.log(650.0)))) * width / min(width, height)
    camera = Camera(width, height, view, uniform(rng, 0, 32))
    wanted = int(rng.integers(1, max_objects + 1))
    placements: list[Placement] = []
    items: list[Instance] = []
    for _ in range(TRIES * 3):
        found = _try_place(rng, camera, items, cut_off=bool(rng.random() < 0.125))
        if found is not None:
            placements.append(found[0])
            items.append(found[1])
        if len(placements) == wanted:
            break
    overcast = rng.random() < 0.3
    return SceneSpec(
        size=size,
        placements=tuple(placements),
        view_mm=view,
        tilt=camera.tilt,
        sun_azimuth=uniform(rng, 0, 360),
        sun_elevation=uniform(rng, 18, 80),
        haze=uniform(rng, 0.6, 1.0) if overcast else uniform(rng, 0.0, 0.4),
        ground=_random_ground(rng),
        exposure=float(np.exp(uniform(rng, -0.3, 0.25))),
    )
