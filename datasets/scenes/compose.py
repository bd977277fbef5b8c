"""From a description to an image: trace the objects, light them and the ground, develop, label."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .camera import Camera, develop
from .catalog import build
from .ground import GroundMap, draw_ground
from .noise import NoiseTile
from .sdf import Array
from .shading import Light, daylight, shade
from .solid import Surface
from .spec import Scene, SceneSpec
from .trace import Instance, centred

OVERSAMPLE = 2
AO_REACH = 16.0


@dataclass(frozen=True)
class _View:
    """A camera and, for every pixel, its ray and the ground point it would see.

    rays and ground are (3, H * W) float32, the second in world millimetres.
    """

    camera: Camera
    rays: Array
    ground: Array

    @staticmethod
    def of(camera: Camera) -> "_View":
        u, v = np.meshgrid(
            np.arange(camera.width, dtype=np.float32) + 0.5, np.arange(camera.height, dtype=np.float32) + 0.5
        )
        rays = camera.rays(u.ravel(), v.ravel())
        return _View(camera, rays, camera.origin[:, None] - rays * (camera.origin[2] / rays[2]))

    def pixels_of(self, points: NDArray[np.floating], margin: float = 1.0) -> NDArray[np.intp]:
        """Flat indices of the pixels in the bounding rectangle of projected world points (N, 3)."""
        uv = self.camera.project(points)
        low, high = np.floor(uv.min(axis=0) - margin), np.ceil(uv.max(axis=0) + margin)
        x0, x1 = np.clip([low[0], high[0]], 0, self.camera.width).astype(int)
        y0, y1 = np.clip([low[1], high[1]], 0, self.camera.height).astype(int)
        return (np.arange(y0, y1)[:, None] * self.camera.width + np.arange(x0, x1)[None]).ravel()


def _instances(spec: SceneSpec, camera: Camera) -> list[Instance]:
    placed = []
    for p in spec.placements:
        solid = build(p.kind, np.random.default_rng(p.seed))
        x, y = camera.ground(p.x * camera.width, p.y * camera.height)
        placed.append(centred(solid, x, y, p.angle, p.scale))
    return placed


def _trace(view: _View, instances: list[Instance]) -> tuple[Array, NDArray[np.int32]]:
    """Ray length (P,) and index of the object seen (P,), -1 for the ground."""
    mm = view.camera.mm_per_pixel
    depth = -(view.camera.origin[2] / view.rays[2])
    owner = np.full(depth.shape, -1, np.int32)
    for k, instance in enumerate(instances):
        at = view.pixels_of(instance.corners())
        t = instance.first_hit(view.camera.origin, view.rays[:, at], mm)
        nearer = t < depth[at]
        depth[at[nearer]] = t[nearer]
        owner[at[nearer]] = k
    return depth, owner


def _warp_ground(spec: SceneSpec, view: _View, rng: np.random.Generator) -> tuple[Surface, Array, Array]:
    """The ground as the camera sees it: surface, normals (3, P) and sky openness (P,)."""
    camera = view.camera
    corners = np.array(
        [camera.ground(u, v) for u in (0, camera.width) for v in (0, camera.height)], np.float64
    )
    low, high, mm = corners.min(axis=0), corners.max(axis=0), camera.mm_per_pixel
    shape = (int((high[1] - low[1]) / mm) + 2, int((high[0] - low[0]) / mm) + 2)
    flat = draw_ground(spec.ground, shape, mm, rng)
    map_x = ((view.ground[0] - low[0]) / mm).reshape(camera.height, camera.width).astype(np.float32)
    map_y = ((high[1] - view.ground[1]) / mm).reshape(camera.height, camera.width).astype(np.float32)

    def look(image: Array) -> Array:
        seen = cv2.remap(image, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        return np.asarray(seen, np.float32).reshape(map_x.size, -1)

    return _ground_surface(flat, look(flat.albedo), look(np.dstack([flat.slope, flat.open_sky, flat.rough])))


def _ground_surface(flat: GroundMap, albedo: Array, rest: Array) -> tuple[Surface, Array, Array]:
    n = albedo.shape[0]
    up = 1 / np.sqrt(1 + rest[:, 0] ** 2 + rest[:, 1] ** 2)
    normal = np.stack([-rest[:, 0] * up, -rest[:, 1] * up, up]).astype(np.float32)
    surface = Surface(albedo, np.zeros(n, np.float32), rest[:, 3], np.zeros((n, 0), np.float32))
    return surface, normal, rest[:, 2]


def _shadow_on_ground(view: _View, instances: list[Instance], light: Light) -> tuple[Array, Array]:
    """Shares of sun and sky (P,) that the objects leave to each ground point."""
    n = view.ground.shape[1]
    sunlit, openness = np.ones(n, np.float32), np.ones(n, np.float32)
    up = np.array([0, 0, 1], np.float32)[:, None]
    for instance in instances:
        corners = instance.corners()
        reach = min(AO_REACH, 1.1 * float(corners[:, 2].max()) + 1.5)
        base = corners[:4].copy()
        margin = reach / view.camera.mm_per_pixel
        at = view.pixels_of(base, margin)
        openness[at] *= instance.openness(view.ground[:, at], np.repeat(up, at.size, axis=1), reach)
        cast = corners - light.sun * (corners[:, 2] / light.sun[2])[:, None]
        soft = float(np.linalg.norm(cast - corners, axis=1).max()) * light.sun_radius * 2
        at = view.pixels_of(np.concatenate([base, cast]), 2 + soft / view.camera.mm_per_pixel)
        sunlit[at] *= instance.sunlight(view.ground[:, at], light.sun, light.sun_radius)
    return sunlit, openness


def _shade_object(
    view: _View, instances: list[Instance], k: int, at: NDArray[np.intp], depth: Array, light: Light
) -> Array:
    """Radiance (N, 3) of object k at the pixels `at` that see it."""
    instance, mm = instances[k], view.camera.mm_per_pixel
    rays = view.rays[:, at]
    points = view.camera.origin[:, None] + rays * depth[at]
    hit = instance.hit_at(points, mm)
    surface = instance.solid.surface(hit)
    smooth = instance.turn_world(np.stack([hit.nx, hit.ny, hit.nz]))
    rough = instance.turn_world(np.stack([hit.nx, hit.ny, hit.nz]) + surface.bump.T)
    normal = (rough / np.maximum(np.sqrt((rough * rough).sum(axis=0)), 1e-6)).astype(np.float32)
    raised = points + smooth * np.float32(0.5 * mm)
    sunlit, openness = np.ones(at.size, np.float32), np.ones(at.size, np.float32)
    for other in instances:
        sunlit *= other.sunlight(raised, light.sun, light.sun_radius)
        if other.close_to(instance, AO_REACH):
            openness *= other.openness(raised, smooth, 7.0 if other is instance else AO_REACH)
    near_ground = np.clip(points[2] / AO_REACH, 0, 1) * 0.35 + 0.65
    openness *= np.where(smooth[2] < 0.5, near_ground, 1)
    return shade(surface, normal, -rays, light, sunlit, openness.astype(np.float32))


def _boxes(
    owner: NDArray[np.int32], count: int, spec: SceneSpec
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    boxes, labels = [], []
    for k in range(count):
        seen = owner == k
        rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
        if rows.size == 0:
            continue
        boxes.append([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
        labels.append(spec.placements[k].kind)
    found = np.array(boxes, np.float32).reshape(-1, 4) / np.float32(OVERSAMPLE)
    return found.astype(np.float32), tuple(labels)


def render_scene(spec: SceneSpec, rng: np.random.Generator) -> Scene:
    """Render a scene; the same spec and the same generator state give the same bytes.

    Takes about 1 kB of memory per pixel of the image.

    Args:
        spec: what to draw.
        rng: draws the ground, the clouds and the sensor noise.

    Raises:
        UsageError: a placement names a kind that `kinds()` does not list.
    """
    width, height = spec.size
    view = _View.of(Camera(width * OVERSAMPLE, height * OVERSAMPLE, spec.view_mm, spec.tilt))
    instances = _instances(spec, view.camera)
    clouds = NoiseTile.draw(rng)
    surface, normal, open_sky = _warp_ground(spec, view, rng)
    mean = surface.albedo.mean(axis=0).astype(np.float32)
    light = daylight(spec.sun_azimuth, spec.sun_elevation, spec.haze, mean, clouds)
    sunlit, openness = _shadow_on_ground(view, instances, light)
    radiance = shade(surface, normal, -view.rays, light, sunlit, openness * open_sky)
    depth, owner = _trace(view, instances)
    for k in range(len(instances)):
        at = np.flatnonzero(owner == k)
        if at.size:
            radiance[at] = _shade_object(view, instances, k, at, depth, light)
    shape = (view.camera.height, view.camera.width)
    boxes, labels = _boxes(owner.reshape(shape), len(instances), spec)
    image = develop(radiance.reshape(*shape, 3), spec.size, spec.exposure, spec.tilt, rng)
    return Scene(image, boxes, labels)
