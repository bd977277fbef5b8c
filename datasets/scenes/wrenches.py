"""Spanners: the combination wrench and the adjustable wrench."""

import numpy as np

from .materials import CHROME, DARK_STEEL, STEEL, Mask, layered, metal, plastic, rusted, text_mask
from .noise import NoiseTile, smoothstep, uniform
from .sdf import (
    Array,
    bake,
    box2,
    extrude,
    intersection,
    length2,
    ngon,
    polygon,
    rotate2,
    segment2,
    shorten,
    smooth_cut,
    smooth_union,
)
from .solid import Hit, Painter, Part, Solid


def _open_head(u: Array, v: Array, size: float) -> Array:
    """Open jaw for a nut of width `size`; it opens along +u, its centre at the origin."""
    disc = length2(u * 0.97, v) - 1.12 * size
    disc = -smooth_union(-disc, -(u - 0.80 * size), 0.25 * size)
    slot = box2(u - 1.2 * size, v, 1.55 * size, size / 2, 0.16 * size)
    return smooth_cut(disc, slot, 0.12 * size)


def _ring_head(u: Array, v: Array, size: float) -> Array:
    """Ring with a twelve-point hole for a nut of width `size`."""
    hole = np.minimum(ngon(u, v, 6, size / 2), ngon(u, v, 6, size / 2, 30.0))
    return smooth_cut(length2(u, v) - 0.83 * size, hole, 0.05 * size)


def _wrench_finish(rng: np.random.Generator, noise: NoiseTile, size: int) -> Painter:
    """Satin chrome, black oxide or worn old steel; the shank panel is matt and carries raised letters."""
    pick = rng.random()
    if pick < 0.6:
        bright, panel = metal(noise, CHROME, 0.17, 0.035, 0.035, 0.25), metal(noise, CHROME, 0.36, 0.02, 0.05)
    elif pick < 0.8:
        bright, panel = (
            metal(noise, DARK_STEEL, 0.34, 0.03, 0.04, 0.3),
            metal(noise, DARK_STEEL, 0.5, 0.02, 0.05),
        )
    else:
        return rusted(metal(noise, STEEL, 0.36, 0.05, 0.05, 0.5), noise, uniform(rng, 0.15, 0.5), 14.0)
    name = text_mask(("CHROME VANADIUM", "DROP FORGED", "CR-V  STEEL")[int(rng.integers(0, 3))], (0, 0), 4.2)
    mark = text_mask(str(size), (-0.28 * _length(size), 0), 4.6)

    def on_panel(hit: Hit) -> Array:
        return (np.abs(hit.y) < 0.21 * size) * (np.abs(hit.x) < 0.36 * _length(size)) * (hit.nz > 0.7) * 1.0

    def letters(hit: Hit) -> Array:
        return shorten(np.maximum(name(hit), mark(hit)), 0.9)

    dark: Painter = plastic(noise, (0.05, 0.05, 0.055), 0.55)
    panel_mask: Mask = on_panel
    return layered(layered(bright, panel, panel_mask), dark, letters)


def _length(size: int) -> float:
    """Distance between the two head centres of a wrench for nuts of width `size`."""
    return 8.6 * size + 28


def wrench(rng: np.random.Generator) -> Solid:
    """Combination wrench along x: open jaw at the right, ring at the left, panelled shank."""
    noise = NoiseTile.draw(rng)
    size = int(rng.choice([13, 15, 17, 19]))
    half_length, width = _length(size) / 2, 0.36 * size
    lean = 15.0 if rng.random() < 0.7 else -15.0

    def jaw(x: Array, y: Array) -> Array:
        u, v = rotate2(x - half_length, y, lean)
        return _open_head(u, v, size)

    def ring(x: Array, y: Array) -> Array:
        return _ring_head(x + half_length, y, size)

    def shank(x: Array, y: Array) -> Array:
        taper = width * (1.0 + 0.16 * x / half_length)
        return shorten(intersection(np.abs(y) - taper, np.abs(x) - half_length + 0.92 * size), 0.98)

    pad = 1.4 * size
    low, high = (-half_length - pad, -pad), (half_length + pad, pad)
    jaws, rings, shanks = bake(jaw, low, high, 0.4), bake(ring, low, high, 0.4), bake(shank, low, high, 0.4)

    def body(x: Array, y: Array, z: Array) -> Array:
        top = z - 0.30 * size
        panel = box2(x, y, 0.72 * half_length, 0.58 * width, 0.5 * width)
        recess = extrude(panel, np.abs(top) - 0.21 * size, 0.05 * size, 0.02 * size)
        bar = smooth_cut(extrude(shanks(x, y), top, 0.21 * size, 0.11 * size), recess, 0.04 * size)
        heads = extrude(jaws(x, y), top, 0.25 * size, 0.05 * size)
        heads = np.minimum(heads, extrude(rings(x, y), top, 0.30 * size, 0.07 * size))
        return shorten(smooth_union(bar, heads, 0.42 * size), 0.95)

    part = Part(body, _wrench_finish(rng, noise, size))
    reach, wide = half_length + 1.25 * size, 1.3 * size
    return Solid((part,), (-reach, -wide, 0.0), (reach, wide, 0.66 * size))


FIXED_JAW = (
    *((-34, 9), (-16, 22), (4, 31), (24, 29), (37, 19), (40, 13.5), (38, 11), (6, 11), (6, -25)),
    *((0, -30), (-12, -28), (-24, -20), (-34, -9)),
)
SLIDING_JAW = ((7.2, -6), (34, -6), (36.5, -9), (33, -16), (22, -23), (12, -26.5), (7.2, -27))


def adjustable_wrench(rng: np.random.Generator) -> Solid:
    """Adjustable wrench along x: a slanted head with a sliding jaw and its worm, a handle with an eye."""
    noise, gap = NoiseTile.draw(rng), uniform(rng, -5.0, 5.0)
    grip = rng.random() < 0.5
    tail, head_x, slant = -105.0, 62.0, 22.5

    def head_frame(x: Array, y: Array) -> tuple[Array, Array]:
        return rotate2(x - head_x, y, -slant)

    def fixed(x: Array, y: Array) -> Array:
        u, v = head_frame(x, y)
        window = box2(u + 10, v + 9, 8.4, 10.0, 2.0)
        jaw = smooth_cut(polygon(u, v, FIXED_JAW) - 1.0, window, 1.0)
        _, along = segment2(x, y, (tail, 0), (head_x - 24, 0))
        handle = segment2(x, y, (tail, 0), (head_x - 24, 0))[0] - (12.0 - 2.5 * along)
        eye = length2(x - tail + 1, y) - 5.2
        return smooth_cut(smooth_union(jaw, handle, 18.0), eye, 1.0)

    def sliding(x: Array, y: Array) -> Array:
        u, v = head_frame(x, y)
        return polygon(u, v - gap, SLIDING_JAW) - 0.6

    low, high = (tail - 20, -45.0), (head_x + 50, 50.0)
    flat_fixed, flat_sliding = bake(fixed, low, high, 0.5, 1.6), bake(sliding, low, high, 0.5, 1.0)
    middle = 7.5

    def body(x: Array, y: Array, z: Array) -> Array:
        thick = 4.6 + 2.9 * smoothstep(0, 48, x)
        web = segment2(x, y, (tail + 17, 0), (head_x - 40, 0))[0] - 6.0
        recess = extrude(web, np.abs(z - middle) - thick, 1.0, 0.4)
        shell = shorten(extrude(flat_fixed(x, y), (z - middle) * 7.5 / thick, 7.5, 2.0), 0.65)
        return shell if grip else smooth_cut(shell, recess, 0.8)

    def jaw(x: Array, y: Array, z: Array) -> Array:
        return extrude(flat_sliding(x, y), z - middle, 6.3, 1.0)

    def worm(x: Array, y: Array, z: Array) -> Array:
        u, v = head_frame(x, y)
        a, b = u + 10, z - middle
        groove = 0.9 * np.sin(v * np.float32(1.9) + np.arctan2(b, a))
        return shorten(extrude(length2(a, b) - 6.2 + groove, v + 9, 8.0, 0.8), 0.55)

    bright = metal(noise, CHROME if rng.random() < 0.7 else STEEL, 0.2, 0.03, 0.03, 0.3)
    parts = [Part(body, _adjustable_finish(rng, noise, bright, grip)), Part(jaw, bright)]
    parts.append(Part(worm, metal(noise, DARK_STEEL, 0.42, 0.0, 0.03, 0.5)))
    return Solid(tuple(parts), (tail - 13, -37.0, 0.0), (head_x + 46, 46.0, 15.2))


def _adjustable_finish(rng: np.random.Generator, noise: NoiseTile, bright: Painter, grip: bool) -> Painter:
    """Bare metal, or a dipped rubber handle with a coloured ring before the head."""
    if not grip:
        text = text_mask('200 mm - 8"', (-28.0, 0.0), 6.5)
        return layered(bright, plastic(noise, (0.06, 0.06, 0.06), 0.6), lambda hit: text(hit) * 0.85)
    rubber = plastic(noise, (0.028, 0.028, 0.03), 0.55, 0.06)
    color = ((0.62, 0.36, 0.02), (0.50, 0.035, 0.03), (0.03, 0.09, 0.34))[int(rng.integers(0, 3))]
    ring = plastic(noise, color, 0.45)
    handle = layered(rubber, ring, lambda hit: (hit.x > 20.0) * np.float32(1.0))
    return layered(bright, handle, lambda hit: (hit.x < 26.0) * np.float32(1.0))
