"""Signed distance functions: the shapes that every object of a scene is built from.

Coordinates are separate float32 arrays in millimetres, all of one shape (N,). A distance is negative
inside. Some functions return a lower bound of the true distance outside corners, which only makes the
sphere tracer take shorter steps.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Distance2 = Callable[[Array, Array], Array]


def length2(x: Array, y: Array) -> Array:
    """Euclidean length of (x, y); several times faster than `np.hypot` on float32."""
    return np.sqrt(x * x + y * y)


def rotate2(x: Array, y: Array, degrees: float) -> tuple[Array, Array]:
    """Coordinates of the points in a frame that is turned by `degrees` counter-clockwise."""
    c, s = float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees)))
    return c * x + s * y, c * y - s * x


def box2(x: Array, y: Array, half_x: float, half_y: float, radius: float = 0.0) -> Array:
    """Rectangle centred at the origin with corners of the given radius."""
    qx, qy = np.abs(x) - (half_x - radius), np.abs(y) - (half_y - radius)
    outside = length2(np.maximum(qx, 0), np.maximum(qy, 0))
    return outside + np.minimum(np.maximum(qx, qy), 0) - radius


def segment2(x: Array, y: Array, a: tuple[float, float], b: tuple[float, float]) -> tuple[Array, Array]:
    """Distance to the segment a-b, and the position of the nearest point along it in [0, 1]."""
    ux, uy = b[0] - a[0], b[1] - a[1]
    along = ((x - a[0]) * ux + (y - a[1]) * uy) / max(ux * ux + uy * uy, 1e-9)
    along = np.clip(along, 0, 1)
    return length2(x - a[0] - along * ux, y - a[1] - along * uy), along


def ngon(x: Array, y: Array, sides: int, apothem: float, degrees: float = 0.0) -> Array:
    """Regular polygon with an even number of sides; a side faces the direction `degrees`."""
    distance: Array | None = None
    for k in range(sides // 2):
        angle = np.radians(degrees + 360.0 * k / sides)
        d = np.abs(x * float(np.cos(angle)) + y * float(np.sin(angle)))
        distance = d if distance is None else np.maximum(distance, d)
    assert distance is not None
    return distance - apothem


def polygon(x: Array, y: Array, vertices: Sequence[tuple[float, float]]) -> Array:
    """Simple polygon of any winding, by the crossing rule."""
    nearest = np.full_like(x, np.inf)
    inside = np.zeros(x.shape, dtype=np.bool_)
    for a, b in zip(vertices, [*vertices[1:], vertices[0]], strict=True):
        nearest = np.minimum(nearest, segment2(x, y, a, b)[0])
        if a[1] != b[1]:
            crosses = (y >= min(a[1], b[1])) & (y < max(a[1], b[1]))
            inside ^= crosses & (x < a[0] + (y - a[1]) * ((b[0] - a[0]) / (b[1] - a[1])))
    return np.where(inside, -nearest, nearest).astype(np.float32)


def extrude(flat: Array, height: Array, half: float, radius: float = 0.0) -> Array:
    """A 2-D shape given a thickness of 2 * half about height 0, with edges of the given radius."""
    a, b = flat + radius, np.abs(height) - (half - radius)
    outside = length2(np.maximum(a, 0), np.maximum(b, 0))
    inside: Array = np.minimum(np.maximum(a, b), 0)
    return outside + inside - radius


def union(*distances: Array) -> Array:
    """The nearest of several shapes."""
    return reduce(np.minimum, distances)


def intersection(*distances: Array) -> Array:
    """What lies inside all of several shapes; pass -b to cut b away."""
    return reduce(np.maximum, distances)


def shorten(distance: Array, factor: float) -> Array:
    """A field that grows faster than true distance, scaled so that no traced step is too long."""
    return (distance * factor).astype(np.float32)


def smooth_union(a: Array, b: Array, blend: float) -> Array:
    """Union whose seam is filled over about `blend` millimetres (polynomial smooth minimum)."""
    h = np.maximum(blend - np.abs(a - b), 0) / blend
    return np.minimum(a, b) - h * h * (blend * 0.25)


def smooth_cut(a: Array, b: Array, blend: float) -> Array:
    """A without b, the edge rounded over about `blend` millimetres."""
    return -smooth_union(-a, b, blend)


def lathe(axis: Array, rho: Array, profile: Sequence[tuple[float, float]], cap: float = 0.6) -> Array:
    """Solid of revolution through (axis, radius) points; `cap` rounds its two ends."""
    stations = np.array([p[0] for p in profile], dtype=np.float32)
    radii = np.array([p[1] for p in profile], dtype=np.float32)
    radius = np.interp(axis, stations, radii).astype(np.float32)
    middle, half = float(stations[0] + stations[-1]) / 2, float(stations[-1] - stations[0]) / 2
    return extrude((rho - radius) * 0.85, axis - middle, half, cap)


def triangle_wave(phase: Array) -> Array:
    """Periodic in 1, values in [0, 1], peak at phase 0.5."""
    return 1 - np.abs(2 * (phase - np.floor(phase)) - 1)


@dataclass(frozen=True)
class Baked:
    """A 2-D function sampled once on a grid and then read bilinearly; clamped outside the grid.

    Attributes:
        values: (H, W) float32 samples.
        x0, y0: coordinates of sample (0, 0) in millimetres.
        step: distance between samples in millimetres.
    """

    values: Array
    x0: float
    y0: float
    step: float

    def __call__(self, x: Array, y: Array) -> Array:
        """The function at points x, y (N,)."""
        height, width = self.values.shape
        u = np.clip((x - self.x0) / self.step, 0, width - 1.001)
        v = np.clip((y - self.y0) / self.step, 0, height - 1.001)
        i, j = v.astype(np.int32), u.astype(np.int32)
        fu, fv = u - j, v - i
        flat, at = self.values.ravel(), i * width + j
        top = flat[at] * (1 - fu) + flat[at + 1] * fu
        bottom = flat[at + width] * (1 - fu) + flat[at + width + 1] * fu
        return np.asarray(top * (1 - fv) + bottom * fv, np.float32)


def grid(
    lo: tuple[float, float], hi: tuple[float, float], step: float
) -> tuple[Array, Array, tuple[int, int]]:
    """Flat x and y of a regular grid over [lo, hi], and its (rows, columns)."""
    xs = np.arange(lo[0], hi[0] + step, step, dtype=np.float32)
    ys = np.arange(lo[1], hi[1] + step, step, dtype=np.float32)
    x, y = np.meshgrid(xs, ys)
    return x.ravel(), y.ravel(), (len(ys), len(xs))


def bake(
    shape: Distance2, lo: tuple[float, float], hi: tuple[float, float], step: float = 0.5, soften: float = 0.0
) -> Baked:
    """Sample `shape` over [lo, hi]; the box must hold the zero level with a margin.

    `soften` rounds all corners over about that many millimetres by blurring the distances.
    """
    x, y, size = grid(lo, hi, step)
    values = shape(x, y).reshape(size)
    if soften > 0:
        values = np.asarray(cv2.GaussianBlur(values, (0, 0), soften / step), np.float32)
    return Baked(values, lo[0], lo[1], step)


def spline(points: Sequence[tuple[float, float]], pieces: int = 6) -> list[tuple[float, float]]:
    """Catmull-Rom curve through the points, `pieces` segments between each two."""
    p = np.array([points[0], *points, points[-1]], np.float64)
    out = []
    for k in range(1, len(p) - 2):
        for t in np.arange(pieces) / pieces:
            a = 2 * p[k] + (p[k + 1] - p[k - 1]) * t
            b = (2 * p[k - 1] - 5 * p[k] + 4 * p[k + 1] - p[k + 2]) * t**2
            c = (3 * p[k] - p[k - 1] - 3 * p[k + 1] + p[k + 2]) * t**3
            out.append((float((a + b + c)[0] / 2), float((a + b + c)[1] / 2)))
    return [*out, (float(points[-1][0]), float(points[-1][1]))]


def polyline2(x: Array, y: Array, points: Sequence[tuple[float, float]]) -> tuple[Array, Array]:
    """Distance to a polyline, and the arc length (mm) of the nearest point on it."""
    nearest, where, done = np.full_like(x, np.inf), np.zeros_like(x), 0.0
    for a, b in pairwise(points):
        distance, along = segment2(x, y, a, b)
        length = float(np.hypot(b[0] - a[0], b[1] - a[1]))
        where = np.where(distance < nearest, done + along * np.float32(length), where)
        nearest, done = np.minimum(nearest, distance), done + length
    return nearest, where
