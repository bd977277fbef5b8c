"""Bolts, nuts, washers, screws and nails."""

from collections.abc import Callable

import numpy as np

from .materials import BRASS, STEEL, YELLOW_ZINC, ZINC, Rgb, metal, rusted
from .noise import NoiseTile, uniform
from .sdf import (
    Array,
    box2,
    extrude,
    intersection,
    length2,
    ngon,
    rotate2,
    shorten,
    smooth_cut,
    triangle_wave,
    union,
)
from .solid import Distance3, Painter, Part, Solid


def thread(axis: Array, a: Array, b: Array, radius: float, pitch: float) -> Array:
    """Distance to a threaded rod of outer `radius` about the axis a = b = 0 (without its ends)."""
    turn = np.arctan2(b, a) / np.float32(2 * np.pi)
    ridge = triangle_wave(axis / pitch + turn)
    return (length2(a, b) - radius + 0.55 * pitch * (1 - ridge)) * 0.72


def plated(rng: np.random.Generator, noise: NoiseTile) -> Painter:
    """Zinc, yellow zinc or plain steel, some of it rusting."""
    finishes: tuple[Rgb, ...] = (ZINC, ZINC, YELLOW_ZINC, STEEL)
    finish = metal(noise, finishes[int(rng.integers(0, 4))], rough=uniform(rng, 0.22, 0.38), brushed=0.02)
    amount = uniform(rng, -0.5, 0.45)
    return rusted(finish, noise, amount, 7.0) if amount > 0 else finish


def hex_prism(axis: Array, a: Array, b: Array, apothem: float, half: float, both: bool) -> Array:
    """Hexagon about `axis`, its corners chamfered at the +axis end or at both, edges slightly round."""
    prism = extrude(ngon(a, b, 6, apothem, 90.0), axis, half, 0.3)
    reach = np.abs(axis) if both else axis
    cone = (length2(a, b) - apothem * 1.02 + (reach - half) * 1.75) * 0.49
    return np.maximum(prism, cone)


def _leaning(distance: Distance3, length: float, head: float, tip: float) -> Distance3:
    """Turn a shape along +x so that a head of radius `head` at x = 0 and a thin tip both touch z = 0."""
    degrees = float(np.degrees(np.arcsin(min((head - tip) / length, 0.5))))

    def leaned(x: Array, y: Array, z: Array) -> Array:
        u, w = rotate2(x, z - head * float(np.cos(np.radians(degrees))), -degrees)
        return distance(u, y, w)

    return leaned


def _bolt_shape(size: float, length: float, threaded: float) -> Distance3:
    apothem, tall, pitch = 0.79 * size, 0.66 * size, 0.16 * size

    def shape(x: Array, y: Array, z: Array) -> Array:
        head = hex_prism(-x - tall / 2, z, y, apothem, tall / 2, both=False)
        plain = extrude(length2(y, z) - size / 2 * 0.97, x - length / 2, length / 2, 0.2)
        ridged = np.maximum(
            thread(x, y, z, size / 2, pitch), np.abs(x - length + threaded / 2) - threaded / 2
        )
        ridged = np.maximum(ridged, (length2(y, z) + x - length - size / 2 + 0.14 * size) * 0.7)
        rod = np.where(x > length - threaded, ridged, np.maximum(plain, x - length + threaded))
        flange = extrude(length2(y, z) - apothem * 0.95, x + 0.2, 0.4, 0.2)
        return union(head, rod, flange)

    return shape


def _bolt_with(rng: np.random.Generator, extra: Callable[[float, float], Distance3] | None) -> Solid:
    """A hex bolt along x, its head at the left; `extra(size, length)` adds a part on its rod."""
    noise, size = NoiseTile.draw(rng), uniform(rng, 10, 16)
    length = size * uniform(rng, 3.2, 5.5)
    apothem, tall = 0.79 * size, 0.66 * size
    rest = apothem if extra is None else size * 1.02
    finish = plated(rng, noise)
    shapes = [_bolt_shape(size, length, length * uniform(rng, 0.45, 0.8))]
    if extra is not None:
        shapes.append(extra(size, length))
    parts = tuple(Part(_leaning(shape, length, rest, size / 2), finish) for shape in shapes)
    wide = max(1.16 * apothem, rest) + 0.5
    return Solid(parts, (-tall - 2, -wide, 0.0), (length + 1, wide, 2.2 * rest + 1))


def bolt(rng: np.random.Generator) -> Solid:
    """Hex-head bolt, M10 to M16, lying on its head and tip."""
    return _bolt_with(rng, None)


def bolt_washer(rng: np.random.Generator) -> Solid:
    """Hex bolt with a flat washer pushed up to its head."""

    def ring(size: float, length: float) -> Distance3:
        def shape(x: Array, y: Array, z: Array) -> Array:
            return extrude(length2(y, z) - size * 1.02, x - size * 0.09 - 0.9, size * 0.09, 0.3)

        return shape

    return _bolt_with(rng, ring)


def bolt_nut_set(rng: np.random.Generator) -> Solid:
    """Hex bolt with a nut screwed on part of the way."""
    at, turn = uniform(rng, 0.45, 0.75), uniform(rng, 0, 60)

    def nut_on(size: float, length: float) -> Distance3:
        def shape(x: Array, y: Array, z: Array) -> Array:
            a, b = rotate2(z, y, turn)
            return hex_prism(x - at * length, a, b, 0.79 * size, 0.40 * size, both=True)

        return shape

    return _bolt_with(rng, nut_on)


def nut(rng: np.random.Generator) -> Solid:
    """Hex nut, M12 to M20, lying flat."""
    noise, size = NoiseTile.draw(rng), uniform(rng, 12, 20)
    apothem, tall = 0.79 * size, 0.84 * size
    finish = plated(rng, noise)

    def shape(x: Array, y: Array, z: Array) -> Array:
        body = hex_prism(z - tall / 2, x, y, apothem, tall / 2, both=True)
        rho = length2(x, y)
        bore = -thread(z, x, y, 0.54 * size, 0.14 * size)
        mouth = (0.60 * size - rho - (tall / 2 - np.abs(z - tall / 2))) * 0.7
        return intersection(body, bore, mouth)

    wide = apothem * 1.17
    return Solid((Part(shape, finish),), (-wide, -wide, 0.0), (wide, wide, tall + 0.3))


def washer(rng: np.random.Generator) -> Solid:
    """Flat washer, slightly bent."""
    noise, hole = NoiseTile.draw(rng), uniform(rng, 6.5, 11)
    outer, half = hole * uniform(rng, 1.8, 2.3), uniform(rng, 1.0, 1.5)
    finish = plated(rng, noise)
    bend = uniform(rng, 0.0, 0.0008)

    def shape(x: Array, y: Array, z: Array) -> Array:
        rho = length2(x, y)
        ring = smooth_cut(rho - outer, rho - hole, 0.3)
        return extrude(ring, z - half - bend * x * x, half, 0.35) * 0.95

    return Solid((Part(shape, finish),), (-outer, -outer, 0.0), (outer, outer, 2 * half + 1))


def screw(rng: np.random.Generator) -> Solid:
    """Countersunk wood screw with a cross recess and a pointed, coarse thread."""
    noise, radius = NoiseTile.draw(rng), uniform(rng, 2.4, 3.4)
    length, head = uniform(rng, 45, 70), radius * 2.0
    color = BRASS if rng.random() < 0.3 else (YELLOW_ZINC if rng.random() < 0.6 else STEEL)
    finish = metal(noise, color, rough=0.28, brushed=0.02)

    def shape(x: Array, y: Array, z: Array) -> Array:
        rho = length2(y, z)
        cone = np.maximum((rho - head + np.clip(x, 0, None)) * 0.7, np.abs(x - head / 2) - head / 2)
        cross = np.minimum(box2(y, z, 0.55 * head, 0.16 * head), box2(y, z, 0.16 * head, 0.55 * head))
        cone = np.maximum(cone, -np.maximum(cross, x - 0.45 * head))
        taper = np.clip((length - x) / (0.22 * length), 0, 1)
        core = rho - radius * 0.72 * taper
        turn = np.arctan2(z, y) / np.float32(2 * np.pi)
        ridge = np.clip(triangle_wave(x / (radius * 0.95) + turn) * 2.2 - 1.2, 0, 1)
        rod = (core - 0.5 * radius * ridge * np.sqrt(taper) * (x > length * 0.28)) * 0.45
        rod = np.maximum(rod, np.abs(x - length / 2) - length / 2)
        return union(cone, rod)

    part = Part(_leaning(shape, length, head, radius * 0.3), finish)
    return Solid((part,), (-1.5, -head - 1, 0.0), (length + 1, head + 1, 2 * head + 1))


def nail(rng: np.random.Generator) -> Solid:
    """Round wire nail, a little bent."""
    noise, radius = NoiseTile.draw(rng), uniform(rng, 1.7, 2.4)
    length, head = uniform(rng, 70, 100), radius * 2.1
    finish = rusted(metal(noise, STEEL, 0.3, 0.03), noise, max(uniform(rng, -0.3, 0.6), 0.02), 12.0)
    bend = uniform(rng, -0.0012, 0.0012)

    def shape(x: Array, y: Array, z: Array) -> Array:
        y = y - bend * x * x
        rho = length2(y, z)
        point = np.maximum(np.abs(y), np.abs(z)) - (length - x) * 0.45
        rod = np.maximum(np.maximum(rho - radius, point * 0.8), -x)
        cap = extrude(rho - head, x - 0.7, 0.7, 0.25)
        return shorten(union(rod, cap), 0.85)

    part = Part(_leaning(shape, length, head, radius), finish)
    wide = head + abs(bend) * length**2 + 0.5
    return Solid((part,), (-1.5, -wide, 0.0), (length + 1, wide, 2 * head + 1))
