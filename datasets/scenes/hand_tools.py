"""Screwdriver, hammer, pliers, combination wrench, adjustable wrench."""

import numpy as np

from .materials import CHROME, DARK_STEEL, STEEL, Mask, Rgb, layered, metal, plastic, rusted, text_mask, wood
from .noise import NoiseTile, smoothstep, uniform
from .sdf import (
    Array,
    bake,
    box2,
    extrude,
    intersection,
    lathe,
    length2,
    ngon,
    polygon,
    polyline2,
    rotate2,
    segment2,
    shorten,
    smooth_cut,
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
