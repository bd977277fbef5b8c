"""Screwdriver, hammer, pliers."""

import numpy as np

from .materials import CHROME, DARK_STEEL, STEEL, Rgb, layered, metal, plastic, rusted, wood
from .noise import NoiseTile, uniform
from .sdf import (
    Array,
    bake,
    box2,
    extrude,
    intersection,
    lathe,
    length2,
    polygon,
    polyline2,
    rotate2,
    shorten,
    smooth_union,
    spline,
    union,
)
from .solid import Hit, Painter, Part, Solid

GRIP_COLORS: tuple[Rgb, ...] = (
    (0.36, 0.028, 0.022),
    (0.52, 0.27, 0.025),
    (0.026, 0.075, 0.25),
    (0.025, 0.16, 0.08),
    (0.46, 0.12, 0.018),
)


def _pick(rng: np.random.Generator, colors: tuple[Rgb, ...]) -> Rgb:
    return colors[int(rng.integers(0, len(colors)))]


def screwdriver(rng: np.random.Generator) -> Solid:
    """Slotted or cross-head screwdriver along x: fluted two-colour handle at the left, blade right."""
    noise, shaft, flat = NoiseTile.draw(rng), uniform(rng, 2.7, 3.6), rng.random() < 0.6
    blade, radius = uniform(rng, 85, 125), uniform(rng, 13.5, 16)
    tilt = float(np.degrees(np.arcsin((radius * 0.98 - shaft) / (blade + 60))))
    profile = [(-100, 6), (-97, 10.5), (-90, 13.2), (-70, radius), (-40, radius - 0.5), (-22, 11.2)]
    profile += [(-12, 10.6), (-6, 12.2), (-2, 11.6), (1, 8.0), (3, 6.5)]
    lift = radius * 0.98

    def frame(x: Array, z: Array) -> tuple[Array, Array]:
        u, w = rotate2(x + 60, z - lift, -tilt)
        return u - 60, w

    def handle(x: Array, y: Array, z: Array) -> Array:
        u, w = frame(x, z)
        rho, turn = length2(y, w), np.arctan2(w, y)
        hold = np.clip((-26 - u) / 10, 0, 1) * np.clip((u + 96) / 12, 0, 1)
        flute = 1.25 * hold * np.clip(np.cos(6 * turn) * 1.4, -0.2, 1)
        return shorten(lathe(u, rho + flute, profile, 1.5), 0.85)

    def rod(x: Array, y: Array, z: Array) -> Array:
        u, w = frame(x, z)
        round_rod = extrude(length2(y, w) - shaft, u - blade / 2, blade / 2, 0.3)
        to_tip = blade - u
        if flat:
            thin = np.abs(w) - (0.55 + 0.19 * np.clip(to_tip, 0, None))
            wide = box2(u - blade + 7, y, 7, shaft + 1.0, 1.2)
            spade = shorten(intersection(wide, thin, np.abs(w) - shaft), 0.9)
            return smooth_union(intersection(round_rod, shorten(thin, 0.9)), spade, 1.0)
        cone = (length2(y, w) - 0.9 - 0.6 * np.clip(to_tip, 0, None)) * 0.8
        cross = union(np.abs(y), np.abs(w)) - 0.55
        core = 0.9 + 0.28 * to_tip - length2(y, w)
        return intersection(round_rod, cone, -intersection(-cross, core, to_tip - 9))

    def inlay(hit: Hit) -> Array:
        u, w = frame(hit.x, hit.z)
        lobe = np.cos(6 * np.arctan2(w, hit.y)) > 0.1
        zone = (u > -24) | (lobe & (u < -36) & (u > -86))
        return np.asarray(zone, np.float32)

    grip = plastic(noise, _pick(rng, GRIP_COLORS), 0.22, 0.01)
    rubber = plastic(noise, (0.03, 0.03, 0.032), 0.6, 0.05)
    steel = metal(noise, CHROME, 0.2, 0.01, 0.02, 0.3)
    tip = metal(noise, DARK_STEEL, 0.35, 0.02, 0.03, 0.2)
    tipped = layered(steel, tip, lambda hit: (hit.x > blade - 16) * np.float32(1.0))
    parts = (Part(handle, layered(grip, rubber, inlay)), Part(rod, tipped))
    return Solid(parts, (-102.0, -radius - 2, 0.0), (blade + 2, radius + 2, 2 * radius + 3))


CLAW = (
    *((12, -16), (13.5, -30), (9, -47), (1, -60), (-9, -69), (-11.5, -67), (-5, -57), (-2, -46)),
    *((-4, -32), (-12, -16)),
)


def hammer(rng: np.random.Generator) -> Solid:
    """Claw hammer lying on its side: handle along x, head across it at the right."""
    noise, tail = NoiseTile.draw(rng), -uniform(rng, 185, 215)
    head_x, thick = 95.0, 13.0

    def outline(x: Array, y: Array) -> Array:
        u = x - head_x
        eye = box2(u, y, 13.5, 17.0, 4.0)
        return smooth_union(eye, polygon(u, y, CLAW) - 0.8, 9.0)

    flat = bake(outline, (head_x - 30, -85.0), (head_x + 30, 60.0))

    def head(x: Array, y: Array, z: Array) -> Array:
        u, w = x - head_x, z - thick
        half = np.clip(11.5 + 0.06 * np.clip(y + 16, -60, 0), 6, None)
        claw = shorten(extrude(flat(x, y), w * 11.5 / half, 11.5, 2.5), 0.72)
        rho = length2(u, w)
        neck = [(8, 10), (18, 9.2), (27, 9.0), (31, 12.2), (33, 13.0), (45, 13.0), (46.6, 11.6)]
        return smooth_union(claw, lathe(y, rho, neck, 0.8), 3.0)

    wooden = rng.random() < 0.6

    def handle(x: Array, y: Array, z: Array) -> Array:
        along = np.clip((x - tail) / (head_x - tail), 0, 1)
        swell = 1 + 0.16 * np.cos(along * np.float32(2 * np.pi * 1.25) + 0.4) - 0.12 * along
        a, b = 13.5 * swell, 10.3 * swell
        sag = z - thick + (1 - along) * (thick - 10.6)
        k = length2(y / a, sag / b)
        return extrude((k - 1) * b * 0.9, x - (head_x + 15 + tail) / 2, (head_x + 15 - tail) / 2, 3.0) * 0.9

    forged = metal(noise, DARK_STEEL, 0.36, 0.02, 0.07, 0.5)
    polished = metal(noise, STEEL, 0.2, 0.02, 0.02, 0.3)
    worn = layered(forged, polished, lambda hit: ((hit.y > 31) | (hit.y < -50)) * np.float32(1.0))
    worn = rusted(worn, noise, max(uniform(rng, -0.2, 0.25), 0.02), 10.0)
    grip = wood(noise, (0.50, 0.32, 0.155)) if wooden else _rubber_grip(rng, noise, tail)
    parts = (Part(head, worn), Part(handle, grip))
    return Solid(parts, (tail - 2, -72.0, 0.0), (head_x + 24, 49.0, 2 * thick + 1.5))


def _rubber_grip(rng: np.random.Generator, noise: NoiseTile, tail: float) -> Painter:
    """A fibreglass shaft in colour with a black ribbed grip."""
    rubber = plastic(noise, (0.028, 0.028, 0.03), 0.6, 0.06)
    shaft = plastic(noise, _pick(rng, GRIP_COLORS), 0.3)
    return layered(shaft, rubber, lambda hit: (hit.x < tail + 130) * np.float32(1.0))


def _jaw_half(y_sign: float, nose: float) -> tuple[tuple[float, float], ...]:
    """Half of the pliers' metal: jaw along +x on one side, neck crossing to the other side behind."""
    s = y_sign
    return (
        *((nose, 0.35 * s), (nose, 4.0 * s), (nose * 0.55, 9.5 * s), (12, 14.5 * s), (0, 15 * s)),
        *((-14, 11 * s), (-30, -2 * s), (-46, -10 * s), (-50, -16.5 * s), (-40, -19.5 * s)),
        *((-22, -15 * s), (-6, -10 * s), (6, 0.35 * s)),
    )


def pliers(rng: np.random.Generator) -> Solid:
    """Combination pliers along x: jaws at the right, dipped handles bowed out to the left."""
    noise, nose, spread = NoiseTile.draw(rng), uniform(rng, 40, 58), uniform(rng, 0.0, 5.0)
    color = _pick(rng, GRIP_COLORS)

    def turned(x: Array, y: Array, side: float) -> tuple[Array, Array]:
        return rotate2(x, y, side * spread)

    def metal_half(side: float) -> tuple[Part, Part]:
        outline = _jaw_half(side, nose)
        bow = ((-46, -14), (-68, -19.5), (-95, -23), (-122, -21.5), (-146, -16), (-152, -15.5))
        curve = spline([(a, b * side) for a, b in bow])

        def steel(x: Array, y: Array) -> Array:
            u, v = turned(x, y, side)
            return polygon(u, v, outline) - 0.5

        def sleeve(x: Array, y: Array) -> Array:
            u, v = turned(x, y, side)
            return polyline2(u, v, curve)[0]

        low, high = (-172.0, -58.0), (75.0, 58.0)
        flat, spine = bake(steel, low, high, 0.5, 0.8), bake(sleeve, low, high)
        level = 7.0 + 0.8 * side

        def jaw(x: Array, y: Array, z: Array) -> Array:
            half = 5.2 - 1.6 * np.clip(x / nose, 0, 1)
            teeth = 0.35 * np.sin(x * 2.6) * (x > nose * 0.4) * (np.abs(y) < 2)
            body = extrude(flat(x, y) + teeth, z - level, 5.2, 1.1)
            return intersection(body, np.abs(z - level) - half)

        def grip(x: Array, y: Array, z: Array) -> Array:
            flare = 1.2 * np.exp(-(((x + 54) / 5) ** 2))
            d = length2(spine(x, y), (z - 6.4) * 1.15) - 6.6 - flare
            return shorten(d, 0.8)

        bright = metal(noise, STEEL, 0.24, 0.05, 0.07, 0.5)
        return Part(jaw, bright), Part(grip, plastic(noise, color, 0.33, 0.02))

    def pivot(x: Array, y: Array, z: Array) -> Array:
        rho = length2(x, y)
        slot = np.maximum(np.abs(x * 0.5 + y) - 0.9, 13.2 - z)
        return intersection(extrude(rho - 6.8, z - 7.0, 7.4, 1.2), -slot)

    parts = (*metal_half(1.0), *metal_half(-1.0), Part(pivot, metal(noise, DARK_STEEL, 0.32, 0.02)))
    wide = 33.0 + 150 * float(np.sin(np.radians(spread)))
    return Solid(parts, (-163.0, -wide, 0.0), (nose + 4, wide, 15.0))
