"""Sphere tracing of one placed object: first hit, normals, soft shadow and ambient occlusion."""

from dataclasses import dataclass

import numpy as np

from .sdf import Array, rotate2
from .solid import Hit, Solid

MAX_STEPS = 90
SHADOW_STEPS = 36


@dataclass(frozen=True)
class Instance:
    """A solid lying on the ground: its origin at world (x, y), turned by `angle` degrees, then scaled."""

    solid: Solid
    x: float
    y: float
    angle: float
    scale: float

    def to_local(self, points: Array) -> Array:
        """World points (3, N) in the object's frame."""
        x, y = rotate2(points[0] - self.x, points[1] - self.y, self.angle)
        return np.stack([x, y, points[2]]) / np.float32(self.scale)

    def turn_local(self, vectors: Array) -> Array:
        """World directions (3, N) in the object's frame."""
        x, y = rotate2(vectors[0], vectors[1], self.angle)
        return np.stack([x, y, vectors[2]])

    def turn_world(self, vectors: Array) -> Array:
        """Directions (3, N) of the object's frame in the world."""
        x, y = rotate2(vectors[0], vectors[1], -self.angle)
        return np.stack([x, y, vectors[2]])

    def corners(self) -> Array:
        """(8, 3) world corners of the bounding box."""
        ends = np.array([self.solid.lo, self.solid.hi], np.float32)
        index = np.array([[i & 1, i >> 1 & 1, i >> 2 & 1] for i in range(8)])
        local = ends[index, np.arange(3)] * np.float32(self.scale)
        x, y = rotate2(local[:, 0], local[:, 1], -self.angle)
        return np.stack([x + self.x, y + self.y, local[:, 2]], axis=1)

    def close_to(self, other: "Instance", reach: float) -> bool:
        """Whether the two bounding boxes come within `reach` millimetres of each other."""
        a, b = self.corners(), other.corners()
        return bool(
            (a.min(axis=0) - reach <= b.max(axis=0)).all() and (b.min(axis=0) - reach <= a.max(axis=0)).all()
        )

    def span(self, origin: Array, direction: Array, margin: float = 0.0) -> tuple[Array, Array]:
        """Entry and exit (N,) of local rays through the bounding box grown by `margin`; entry >= 0."""
        safe = np.where(np.abs(direction) < 1e-6, np.float32(1e-6), direction)
        near, far = np.zeros(direction.shape[1], np.float32), np.full(direction.shape[1], np.inf, np.float32)
        for axis in range(3):
            a = (self.solid.lo[axis] - margin - origin[axis]) / safe[axis]
            b = (self.solid.hi[axis] + margin - origin[axis]) / safe[axis]
            near = np.maximum(near, np.minimum(a, b))
            far = np.minimum(far, np.maximum(a, b))
        return near, far

    def first_hit(self, origin: Array, rays: Array, pixel_mm: float) -> Array:
        """Distance (N,) along unit world rays from `origin` (3,) to the surface; infinite for a miss."""
        o = self.to_local(origin[:, None])
        d = self.turn_local(rays)
        near, far = self.span(o, d)
        result = np.full(rays.shape[1], np.inf, np.float32)
        at = np.flatnonzero(near < far)
        t, far, d = near[at], far[at], d[:, at]
        eps = np.float32(0.12 * pixel_mm / self.scale)
        for _ in range(MAX_STEPS):
            distance = self.solid.distance(o[0] + t * d[0], o[1] + t * d[1], o[2] + t * d[2])
            hit = distance < eps
            result[at[hit]] = t[hit] * np.float32(self.scale)
            t = t + distance * np.float32(0.9)
            alive = ~hit & (t < far)
            if not alive.any():
                break
            at, t, far, d = at[alive], t[alive], far[alive], d[:, alive]
        return result

    def hit_at(self, points: Array, pixel_mm: float) -> Hit:
        """Local positions and normals of world points (3, N) on the surface; tetrahedral differences."""
        p = self.to_local(points)
        eps = np.float32(max(0.5 * pixel_mm / self.scale, 0.04))
        normal = np.zeros_like(p)
        for corner in ((1, -1, -1), (-1, -1, 1), (-1, 1, -1), (1, 1, 1)):
            e = np.array(corner, np.float32)[:, None]
            q = p + e * eps
            normal += e * self.solid.distance(q[0], q[1], q[2])
        normal /= np.maximum(np.sqrt((normal * normal).sum(axis=0)), 1e-9)
        return Hit(p[0], p[1], p[2], normal[0], normal[1], normal[2])

    def sunlight(self, points: Array, sun: Array, sun_radius: float) -> Array:
        """Share (N,) of a sun of angular radius `sun_radius` that points (3, N) see past this object.

        The cone is followed through the distance field; a sample at distance h and ray length t covers
        the sun by h / (t * sun_radius) in [-1, 1], and the darkest sample wins.
        """
        p = self.to_local(points)
        slope = self.turn_local(sun[:, None])
        margin = 0.25 * max(self.solid.hi[2], 4.0)
        near, far = self.span(p, np.broadcast_to(slope, p.shape), margin)
        light = np.ones(p.shape[1], np.float32)
        at = np.flatnonzero(near < far)
        p, t, far = p[:, at], near[at] + np.float32(0.25), far[at]
        seen = np.ones(at.size, np.float32)
        for _ in range(SHADOW_STEPS):
            h = self.solid.distance(p[0] + t * slope[0], p[1] + t * slope[1], p[2] + t * slope[2])
            seen = np.minimum(seen, h / (np.maximum(t, 1.0) * sun_radius))
            t = t + np.clip(np.abs(h) * 0.85, 0.25, None)
            light[at] = np.minimum(light[at], np.maximum(seen, -1))
            alive = (t < far) & (seen > -1)
            if not alive.any():
                break
            at, t, far, seen, p = at[alive], t[alive], far[alive], seen[alive], p[:, alive]
        return (0.25 * (1 + light) ** 2 * (2 - light)).astype(np.float32)

    def openness(self, points: Array, normals: Array, reach: float) -> Array:
        """Share (N,) of the sky that this object leaves free at points (3, N) with normals (3, N).

        Four samples along the normal up to `reach` millimetres: a free one measures its own height.
        """
        p, n = self.to_local(points), self.turn_local(normals)
        covered = np.zeros(p.shape[1], np.float32)
        for share, weight in ((0.08, 0.20), (0.25, 0.28), (0.55, 0.30), (1.0, 0.22)):
            s = np.float32(share * reach / self.scale)
            h = self.solid.distance(p[0] + n[0] * s, p[1] + n[1] * s, p[2] + n[2] * s)
            covered += np.float32(weight) * np.clip(1 - h / s, 0, 1)
        return 1 - covered


def centred(solid: Solid, x: float, y: float, angle: float, scale: float) -> Instance:
    """An instance whose bounding box, not its origin, has its middle at world (x, y)."""
    middle = scale * (np.array(solid.lo) + np.array(solid.hi)) / 2
    c, s = float(np.cos(np.radians(angle))), float(np.sin(np.radians(angle)))
    dx, dy = float(c * middle[0] - s * middle[1]), float(s * middle[0] + c * middle[1])
    return Instance(solid, x - dx, y - dy, angle, scale)
