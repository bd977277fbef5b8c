"""What an object is to the renderer: parts with a distance and a surface, inside a bounding box."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .sdf import Array

Distance3 = Callable[[Array, Array, Array], Array]


@dataclass(frozen=True)
class Hit:
    """Points on an object in its own frame: positions in millimetres and unit normals, each (N,)."""

    x: Array
    y: Array
    z: Array
    nx: Array
    ny: Array
    nz: Array


@dataclass(frozen=True)
class Surface:
    """How N surface points answer to light.

    Attributes:
        albedo: (N, 3) linear RGB; the reflectance at normal incidence where `metal` is 1.
        metal: (N,) 0 for a dielectric, 1 for a bare metal.
        rough: (N,) GGX roughness in (0, 1].
        bump: (N, 3) vector in the object's frame that is added to the unit normal.
    """

    albedo: Array
    metal: Array
    rough: Array
    bump: Array


Painter = Callable[[Hit], Surface]


@dataclass(frozen=True)
class Part:
    """One piece of an object that has one kind of surface."""

    distance: Distance3
    surface: Painter


@dataclass(frozen=True)
class Solid:
    """An object that lies on the plane z = 0 of its own frame.

    Attributes:
        parts: pieces; the object is their union.
        lo, hi: corners (x, y, z) of a box that holds all of it, millimetres; lo z is 0.
    """

    parts: tuple[Part, ...]
    lo: tuple[float, float, float]
    hi: tuple[float, float, float]

    def distance(self, x: Array, y: Array, z: Array) -> Array:
        """Signed distance (N,) to the nearest part."""
        nearest = self.parts[0].distance(x, y, z)
        for part in self.parts[1:]:
            nearest = np.minimum(nearest, part.distance(x, y, z))
        return nearest

    def surface(self, hit: Hit) -> Surface:
        """The surface of whichever part each point lies on."""
        distances = np.stack([part.distance(hit.x, hit.y, hit.z) for part in self.parts])
        owner = distances.argmin(axis=0)
        n = hit.x.shape[0]
        albedo, bump = np.zeros((n, 3), np.float32), np.zeros((n, 3), np.float32)
        metal, rough = np.zeros(n, np.float32), np.ones(n, np.float32)
        for k, part in enumerate(self.parts):
            at = np.flatnonzero(owner == k)
            if at.size == 0:
                continue
            piece = part.surface(Hit(hit.x[at], hit.y[at], hit.z[at], hit.nx[at], hit.ny[at], hit.nz[at]))
            albedo[at], bump[at], metal[at], rough[at] = piece.albedo, piece.bump, piece.metal, piece.rough
        return Surface(albedo, metal, rough, bump)
