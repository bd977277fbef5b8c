"""Long bent things: wire and hose."""

import numpy as np

from .materials import BRASS, COPPER, STEEL, Rgb, layered, metal, plastic
from .noise import NoiseTile, uniform
from .sdf import Array, Baked, bake, extrude, length2, ngon, polyline2, rotate2, shorten, spline
from .solid import Part, Solid

Path = list[tuple[float, float]]


def _wander(rng: np.random.Generator, count: int, step: float, turn: float) -> Path:
    """Centred spline through a walk of `count` steps whose heading drifts by up to `turn` radians."""
    at, heading, bend, points = np.zeros(2), 0.0, 0.0, []
    for _ in range(count):
        points.append((float(at[0]), float(at[1])))
        bend = 0.6 * bend + uniform(rng, -turn, turn)
        heading += bend
        at = at + step * np.array([np.cos(heading), np.sin(heading)])
    path = np.array(spline(points, 4))
    path -= (path.min(axis=0) + path.max(axis=0)) / 2
    return [(float(x), float(y)) for x, y in path]


def _bake_path(path: Path, margin: float, step: float) -> tuple[Baked, Baked, tuple[float, float]]:
    """Distance to the path and arc length along it as baked maps, and the half extents with `margin`."""
    reach = np.abs(np.array(path)).max(axis=0) + margin
    low, high = (float(-reach[0]), float(-reach[1])), (float(reach[0]), float(reach[1]))
    distance = bake(lambda x, y: polyline2(x, y, path)[0], low, high, step)
    along = bake(lambda x, y: polyline2(x, y, path)[1], low, high, step)
    return distance, along, high


def _arc_length(path: Path) -> float:
    return float(np.sqrt((np.diff(np.array(path), axis=0) ** 2).sum(axis=1)).sum())


def wire(rng: np.random.Generator) -> Solid:
    """A bent length of wire: bare copper or steel, or insulated with stripped ends."""
    noise, radius = NoiseTile.draw(rng), uniform(rng, 1.3, 2.2)
    path = _wander(rng, int(rng.integers(7, 12)), 20.0, 0.75)
    total = _arc_length(path)
    distance, along, high = _bake_path(path, 4 * radius + 2, 0.7)
    insulated = rng.random() < 0.65
    rise = uniform(rng, 0.0, 2.0)

    def strand(x: Array, y: Array, z: Array) -> Array:
        s = along(x, y)
        core = np.where((s < 11) | (s > total - 11), radius * 0.55, radius) if insulated else radius
        lift = radius + rise * (1 - np.cos(s * np.float32(9.4 / total)))
        return shorten((length2(distance(x, y), z - lift) - core), 0.8)

    colors: tuple[Rgb, ...] = (
        (0.45, 0.02, 0.02),
        (0.02, 0.02, 0.022),
        (0.50, 0.40, 0.02),
        (0.02, 0.10, 0.38),
    )
    bare = metal(noise, COPPER if insulated or rng.random() < 0.5 else STEEL, 0.3, 0.0, 0.04, 0.3)
    if insulated:
        sleeve = plastic(noise, colors[int(rng.integers(0, 4))], 0.35, 0.01)
        finish = layered(
            bare,
            sleeve,
            lambda hit: ((along(hit.x, hit.y) > 10.5) & (along(hit.x, hit.y) < total - 10.5)) * np.float32(1),
        )
    else:
        finish = bare
    top = 2 * radius + 2 * rise + 0.5
    return Solid((Part(strand, finish),), (-high[0], -high[1], 0.0), (high[0], high[1], top))


def hose(rng: np.random.Generator) -> Solid:
    """A bent rubber hose with crimped ferrules and a hex fitting at each end."""
    noise, radius = NoiseTile.draw(rng), uniform(rng, 7.5, 10.5)
    path = _wander(rng, 5, uniform(rng, 42, 62), 0.22)
    distance, along, high = _bake_path(path, radius + 4, 0.8)
    level = radius * 1.12

    def tube(x: Array, y: Array, z: Array) -> Array:
        weave = 0.12 * np.sin(along(x, y) * 1.6)
        return shorten((length2(distance(x, y), z - level) - radius + weave), 0.92)

    def end_frame(x: Array, y: Array, last: bool) -> tuple[Array, Array]:
        tip, inner = (path[-1], path[-3]) if last else (path[0], path[2])
        degrees = float(np.degrees(np.arctan2(tip[1] - inner[1], tip[0] - inner[0])))
        return rotate2(x - tip[0], y - tip[1], degrees)

    def fittings(x: Array, y: Array, z: Array) -> Array:
        nearest = np.full_like(x, np.inf)
        for last in (False, True):
            u, v = end_frame(x, y, last)
            rho = length2(v, z - level)
            crimp = 0.4 * np.cos(u * 1.1)
            ferrule = extrude(rho - radius * 1.12 + crimp * 0.6, u + 5, 11.0, 0.8)
            hexagon = extrude(ngon(v, z - level, 6, radius * 0.9, 90.0), u - 10, 4.5, 0.6)
            spout = extrude(np.maximum(rho - radius * 0.62, radius * 0.38 - rho), u - 18, 5.0, 0.4)
            nearest = np.minimum(nearest, np.minimum(np.minimum(ferrule, hexagon), spout))
        return shorten(nearest, 0.85)

    colors: tuple[Rgb, ...] = ((0.20, 0.035, 0.025), (0.024, 0.024, 0.026), (0.02, 0.06, 0.17))
    rubber = plastic(noise, colors[int(rng.integers(0, 3))], 0.48, 0.03)
    plated = metal(noise, BRASS if rng.random() < 0.4 else STEEL, 0.26, 0.0, 0.02, 0.3)
    wide = (high[0] + 22, high[1] + 22)
    parts = (Part(tube, rubber), Part(fittings, plated))
    return Solid(parts, (-wide[0], -wide[1], 0.0), (*wide, 2.3 * radius + 0.5))
