"""Clamps, knife, and the broken-off parts of luggage and machines."""

import numpy as np

from .materials import DARK_STEEL, STEEL, YELLOW_ZINC, ZINC, Rgb, layered, metal, plastic, rusted
from .noise import NoiseTile, uniform
from .sdf import (
    Array,
    bake,
    box2,
    extrude,
    intersection,
    length2,
    ngon,
    polygon,
    polyline2,
    rotate2,
    segment2,
    shorten,
    smooth_cut,
    spline,
    union,
)
from .solid import Part, Solid

BRIGHT: tuple[Rgb, ...] = (
    (0.50, 0.33, 0.025),
    (0.34, 0.028, 0.022),
    (0.03, 0.08, 0.22),
    (0.03, 0.03, 0.033),
    (0.30, 0.31, 0.32),
)


def adjustable_clamp(rng: np.random.Generator) -> Solid:
    """Worm-drive hose clamp lying on the edge of its band: slotted band, housing, screw, loose tail."""
    noise, radius, half = NoiseTile.draw(rng), uniform(rng, 22, 34), uniform(rng, 4.5, 6.0)
    squeeze = uniform(rng, 0.75, 1.0)

    def ring(x: Array, y: Array) -> Array:
        rho = length2(x, y / squeeze)
        loop = (np.abs(rho - radius) - 0.7) * squeeze
        tail = segment2(x, y, (0.0, radius * squeeze - 0.3), (-0.8 * radius, radius * squeeze + 3.5))[0] - 0.6
        return union(loop, tail)

    half_width = radius + 6
    flat = bake(ring, (-half_width, -half_width), (half_width, half_width), 0.3)

    def band(x: Array, y: Array, z: Array) -> Array:
        turn = np.arctan2(y / squeeze, x) * radius
        slot = 0.35 * (np.sin(turn * 2.2) > 0.2) * (np.abs(z - half) < 0.55 * half) * (y > -0.3 * radius)
        return shorten(extrude(flat(x, y) + slot, z - half, half, 0.2), 0.62)

    def housing(x: Array, y: Array, z: Array) -> Array:
        v = y - radius * squeeze - 2.6
        shell = extrude(box2(x, v, 6.5, 3.4, 2.2), z - half, half + 0.8, 1.0)
        u, a = x - 3.0, z - half
        groove = 0.35 * np.sin(u * np.float32(2.8))
        screw = extrude(length2(v - 1.2, a) - 3.1 + groove, u, 9.0, 0.4)
        head = extrude(ngon(v - 1.2, a, 6, 3.6), u - 11, 2.6, 0.4)
        head = np.maximum(head, -np.maximum(np.abs(a) - 0.6, 12.3 - u))
        return shorten(union(shell, screw, head), 0.75)

    finish = metal(noise, STEEL, 0.24, 0.03, 0.05, 0.4)
    parts = (Part(band, finish), Part(housing, metal(noise, ZINC, 0.28, 0.02, 0.03, 0.4)))
    top = radius * squeeze + 9
    return Solid(parts, (-half_width, -radius * squeeze - 2, 0.0), (half_width, top, 2 * half + 1.5))


def clamp_part(rng: np.random.Generator) -> Solid:
    """U-bolt of a pipe clamp, opening to the left, its ends threaded."""
    noise, radius, rod = NoiseTile.draw(rng), uniform(rng, 14, 24), uniform(rng, 3.0, 4.5)
    leg = radius * uniform(rng, 2.2, 4.0)

    def spine(x: Array, y: Array) -> Array:
        straight = np.abs(np.abs(y) - radius)
        arc = np.abs(length2(np.maximum(x, 0), y) - radius)
        end = np.maximum(-leg - x, 0)
        return np.where(x > 0, arc, length2(straight, end)).astype(np.float32)

    def body(x: Array, y: Array, z: Array) -> Array:
        ridge = 0.28 * np.sin(x * np.float32(4.2)) * (x < -leg * 0.55)
        tube = length2(spine(x, y), z - rod) - rod + ridge
        return shorten(intersection(tube, -leg - x), 0.68)

    base = metal(noise, ZINC if rng.random() < 0.6 else STEEL, 0.24, 0.01, 0.04, 0.4)
    finish = rusted(base, noise, max(uniform(rng, -0.5, 0.4), 0.02), 10.0)
    wide = radius + rod + 0.5
    return Solid((Part(body, finish),), (-leg - 0.5, -wide, 0.0), (wide, wide, 2 * rod + 0.5))


def cutter(rng: np.random.Generator) -> Solid:
    """Utility knife along x: bowed two-colour handle, slider, snapped trapezoid blade at the right."""
    noise, color = NoiseTile.draw(rng), BRIGHT[int(rng.integers(0, 3))]
    bow, out = uniform(rng, 3, 9), uniform(rng, 10, 26)
    back = spline([(-75, -bow), (-40, bow * 0.3), (0, bow), (40, bow * 0.4), (66, -bow * 0.3)])

    def outline(x: Array, y: Array) -> Array:
        reach, along = polyline2(x, y, back)
        return reach - (12.5 - 4.0 * (along / 143) ** 2)

    flat = bake(outline, (-100.0, -35.0), (95.0, 35.0), 0.5)

    def handle(x: Array, y: Array, z: Array) -> Array:
        inside = np.maximum(flat(x, y), x - 70)
        groove = 0.5 * (np.sin(x * np.float32(0.9)) > 0.55) * (np.abs(x + 30) < 24) * (np.abs(y) > 5)
        return shorten(extrude(inside + groove, z - 9, 9, 4.5), 0.8)

    def slider(x: Array, y: Array, z: Array) -> Array:
        ridges = 0.4 * np.sin((x - 25) * np.float32(2.4))
        return shorten(extrude(box2(x - 25, y - bow * 0.5, 9, 4, 1.5), z - 18 + ridges, 2.0, 0.8), 0.7)

    edge = ((58.0, 6.5), (70.0 + out, 6.0), (78.0 + out, -7.5), (58.0, -8.0))

    def blade(x: Array, y: Array, z: Array) -> Array:
        shape = polygon(x, y + bow * 0.3, edge)
        ground = 0.55 - 0.4 * np.clip((-3.5 - y - bow * 0.3) / 4, 0, 1)
        return shorten(intersection(shape, np.abs(z - 9) - ground), 0.9)

    rubber = plastic(noise, (0.028, 0.028, 0.03), 0.58, 0.06)
    grip = layered(
        plastic(noise, color, 0.35, 0.01),
        rubber,
        lambda hit: (np.abs(hit.x + 10 + 0.7 * hit.y) < 46) * np.float32(1),
    )
    steel = metal(noise, STEEL, 0.2, 0.04, 0.03, 0.3)
    parts = (Part(handle, grip), Part(slider, rubber), Part(blade, steel))
    return Solid(parts, (-90.0, -14.0 - bow, 0.0), (80.0 + out, 15.0 + bow, 21.0))


def luggage_part(rng: np.random.Generator) -> Solid:
    """Snapped pull-handle tube of a suitcase along x, an inner tube sticking out at the right."""
    noise, half = NoiseTile.draw(rng), uniform(rng, 70, 130)
    wide, thick = uniform(rng, 7, 10), uniform(rng, 4.5, 7)
    out = uniform(rng, 10, 50)

    def outer(x: Array, y: Array, z: Array) -> Array:
        section = box2(y, z - thick, wide, thick, 0.6 * thick)
        hollow = box2(y, z - thick, wide - 1.2, thick - 1.2, 0.5 * thick)
        ragged = 2.5 * noise(y / 3, z / 3)
        tube = extrude(section, x, half, 0.4)
        return shorten(intersection(tube, -hollow, ragged - x - half + 2.5), 0.9)

    def inner(x: Array, y: Array, z: Array) -> Array:
        section = box2(y, z - thick, wide - 1.6, thick - 1.6, 0.5 * thick)
        rod = extrude(section, x - half, out, 0.6)
        pin = length2(x - half - out + 8, y) - 2.2
        return smooth_cut(rod, np.maximum(pin, thick - z), 0.3)

    black = plastic(noise, (0.03, 0.032, 0.036), 0.4, 0.02)
    shell = black if rng.random() < 0.6 else metal(noise, DARK_STEEL, 0.34, 0.04, 0.02, 0.3)
    parts = (Part(outer, shell), Part(inner, metal(noise, ZINC, 0.24, 0.05, 0.02, 0.3)))
    low, high = (-half - 0.5, -wide - 0.5, 0.0), (half + out + 0.5, wide + 0.5, 2 * thick + 0.5)
    return Solid(parts, low, high)


def metal_part(rng: np.random.Generator) -> Solid:
    """Angle bracket lying on one leg, the other leg standing up, slots and holes punched in both."""
    noise, wide = NoiseTile.draw(rng), uniform(rng, 11, 18)
    leg, rise = uniform(rng, 30, 50), uniform(rng, 14, 30)
    thick, lean = uniform(rng, 1.0, 1.6), uniform(rng, -12, 20)

    def body(x: Array, y: Array, z: Array) -> Array:
        foot = box2(x - leg / 2, y, leg / 2, wide, 2.5)
        foot = smooth_cut(foot, segment2(x, y, (leg * 0.45, 0.0), (leg * 0.75, 0.0))[0] - 3.2, 0.3)
        plate = extrude(foot, z - thick, thick, 0.3)
        u, v = rotate2(x, z, lean)
        upright = box2(y, v - rise / 2, wide, rise / 2, 2.5)
        upright = smooth_cut(upright, length2(y, v - rise * 0.6) - 3.4, 0.3)
        return shorten(union(plate, extrude(upright, u - thick, thick, 0.3)), 0.95)

    colors: tuple[Rgb, ...] = (ZINC, STEEL, YELLOW_ZINC, DARK_STEEL)
    finish = metal(noise, colors[int(rng.integers(0, 4))], 0.28, 0.04, 0.05, 0.4)
    if rng.random() < 0.4:
        finish = rusted(finish, noise, uniform(rng, 0.1, 0.45), 9.0)
    sway = rise * float(np.sin(np.radians(abs(lean)))) + 4
    return Solid((Part(body, finish),), (-sway, -wide, 0.0), (leg, wide, rise + 4))


def plastic_part(rng: np.random.Generator) -> Solid:
    """Broken flat moulding: a strip or a rhombus with a stiffening rim, one end snapped off."""
    noise, half_x = NoiseTile.draw(rng), uniform(rng, 28, 48)
    half_y, slant = half_x * uniform(rng, 0.3, 0.6), uniform(rng, 0.0, 0.6)
    color, bend = BRIGHT[int(rng.integers(0, len(BRIGHT)))], uniform(rng, 0.0, 0.0025)
    rimmed = rng.random() < 0.6

    def outline(x: Array, y: Array) -> Array:
        return shorten(box2(x - slant * y, y, half_x, half_y, 2.0), 0.85)

    half_width = half_x + slant * half_y + 5
    flat = bake(outline, (-half_width, -half_y - 5), (half_width, half_y + 5), 0.4)

    def body(x: Array, y: Array, z: Array) -> Array:
        inside = flat(x, y)
        level = z - 1.6 - bend * x * x
        plate = extrude(inside, level, 1.5, 0.4)
        if rimmed:
            plate = np.minimum(plate, extrude(np.abs(inside + 2.2) - 1.2, level - 1.5, 2.2, 0.5))
        ragged = 3.5 * noise(y / 4.5, y * 0 + 3) + 1.2 * noise(y / 1.4, y * 0 + 9)
        return shorten(intersection(plate, (x - half_x * 0.9 + ragged) * 0.5), 0.9)

    low, high = (-half_width + 4, -half_y, 0.0), (half_width - 4, half_y, 5.5 + bend * half_width**2)
    return Solid((Part(body, plastic(noise, color, 0.4, 0.02)),), low, high)
