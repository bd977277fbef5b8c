"""Battery, drinks can, pen, roll of tape, fuel cap."""

import cv2
import numpy as np

from .materials import ALUMINIUM, BRASS, STEEL, Mask, Rgb, layered, metal, plastic, print_mask, stamp
from .noise import NoiseTile, smoothstep, uniform
from .sdf import (
    Array,
    box2,
    extrude,
    lathe,
    length2,
    rotate2,
    segment2,
    shorten,
    smooth_cut,
    smooth_union,
    union,
)
from .solid import Hit, Painter, Part, Solid

INKS: tuple[Rgb, ...] = (
    (0.34, 0.025, 0.025),
    (0.022, 0.15, 0.065),
    (0.022, 0.06, 0.22),
    (0.44, 0.19, 0.025),
    (0.12, 0.03, 0.14),
)


def _roll_mask(image: Array, x_range: tuple[float, float], turns: float, start: float, axis_z: float) -> Mask:
    """Read `image` wrapped round the x axis at height `axis_z`: columns along x, `turns` of the girth."""

    def mask(hit: Hit) -> Array:
        u = (hit.x - x_range[0]) / (x_range[1] - x_range[0])
        turn = np.arctan2(hit.y, hit.z - axis_z) / np.float32(2 * np.pi)
        return stamp(image, u, 0.5 - (turn - start) / turns)

    return mask


def battery(rng: np.random.Generator) -> Solid:
    """AA cell along x: wrapped can, bare ends, button at the right."""
    noise, radius, half = NoiseTile.draw(rng), 7.2, 24.4
    ink = INKS[int(rng.integers(0, len(INKS)))]
    roll = uniform(rng, -0.08, 0.08)

    def can(x: Array, y: Array, z: Array) -> Array:
        rho = length2(y, z - radius)
        body = extrude(rho - radius, x, half, 0.9)
        lip = extrude(np.abs(rho - radius + 1.0) - 0.9, np.abs(x) - half, 0.35, 0.2)
        button = extrude(rho - 2.7, x - half, 1.5, 0.4)
        return union(body, lip, button)

    steel = metal(noise, STEEL, 0.22, 0.01, 0.01, 0.2)
    dark = plastic(noise, (0.022, 0.022, 0.025), 0.22, 0.004)
    color = plastic(noise, ink, 0.2, 0.004)
    white = plastic(noise, (0.62, 0.62, 0.60), 0.25, 0.004)
    wrap = layered(dark, color, lambda hit: (hit.x > half * 0.30) * np.float32(1))
    wrap = layered(wrap, steel, lambda hit: (np.abs(hit.x - half * 0.30) < 0.7) * np.float32(1))
    for text, span, girth in (("VOLTERA", (-20.5, 4.0), 0.26), ("AA 1.5V", (-20.0, -4.0), 0.15)):
        shift = 0.0 if girth > 0.2 else -0.17
        wrap = layered(wrap, white, _roll_mask(print_mask(text, 4), span, girth, roll + shift, radius))
    plus = print_mask("+", 6)
    wrap = layered(wrap, white, _roll_mask(plus, (10, 21), 0.28, roll, radius))
    painted = layered(steel, wrap, lambda hit: (np.abs(hit.x) < half - 0.9) * np.float32(1))
    return Solid((Part(can, painted),), (-half - 1, -radius, 0.0), (half + 2.2, radius, 2 * radius))


def _can_art(noise: NoiseTile, rng: np.random.Generator, half: float, radius: float) -> Painter:
    """Lacquered aluminium with a band, a sweep and a name that exists on no shelf."""
    ink = INKS[int(rng.integers(0, 4))]
    lacquer = _lacquer(noise, ink)
    silver = metal(noise, ALUMINIUM, 0.2, 0.01, 0.02, 0.15)
    white = plastic(noise, (0.70, 0.69, 0.66), 0.2, 0.003)
    phase = uniform(rng, -0.1, 0.1)

    def sweep(hit: Hit) -> Array:
        turn = np.arctan2(hit.y, hit.z - radius)
        wave = 0.42 * half + 7 * np.sin(2 * turn + hit.x / 30)
        return smoothstep(0.5, -0.5, np.abs(hit.x - wave) - 2.6)

    def ends(hit: Hit) -> Array:
        return (np.abs(hit.x) > half - 13.0) * np.float32(1)

    name = ("ZINGO", "FRIZZ", "KOLA", "LIMO")[int(rng.integers(0, 4))]
    image = print_mask(name, 6, cv2.FONT_HERSHEY_DUPLEX)
    art = layered(lacquer, silver, sweep)
    art = layered(art, white, _roll_mask(image, (-0.70 * half, 0.30 * half), 0.26, phase, radius))
    small = print_mask("330 ml", 3)
    art = layered(art, white, _roll_mask(small, (-0.68 * half, -0.32 * half), 0.07, phase - 0.17, radius))
    return layered(art, silver, ends)


def _lacquer(noise: NoiseTile, ink: Rgb) -> Painter:
    """Transparent ink on aluminium: half coloured metal, half paint."""
    paint = plastic(noise, ink, 0.18, 0.003)
    foil = metal(noise, (ink[0] * 1.5, ink[1] * 1.5, ink[2] * 1.5), 0.22, 0.0, 0.01, 0.1)
    return layered(paint, foil, lambda hit: np.full_like(hit.x, 0.45))


def soda_can(rng: np.random.Generator) -> Solid:
    """Drinks can along x, its lid at the right, dented by a foot or a fall."""
    noise, radius, half = NoiseTile.draw(rng), 33.0, 60.0
    dents = [
        (uniform(rng, -38, 38), uniform(rng, -1.1, 1.1), uniform(rng, 3, 8), uniform(rng, 9, 17))
        for _ in range(int(rng.integers(1, 4)))
    ]
    profile = [(-60, 23.0), (-56, 25.5), (-52, 29.5), (-46, 32.9), (46, 32.9), (52, 29.0), (57, 26.6)]
    profile += [(58, 27.2), (60, 27.2)]

    def pushed(x: Array, y: Array, z: Array) -> Array:
        rho, turn = length2(y, z - radius), np.arctan2(y, z - radius)
        inward = np.zeros_like(x)
        for at, side, deep, wide in dents:
            u, v = (x - at) / wide, (turn - side) * radius / (wide * 1.5)
            fall = np.exp(-(u * u + v * v))
            inward = inward + deep * fall * (1 + 0.25 * np.cos(3.1 * v + 1.7 * u))
        return rho + inward

    def body(x: Array, y: Array, z: Array) -> Array:
        shell = lathe(x, pushed(x, y, z), profile, 0.9)
        rho = length2(y, z - radius)
        lid = extrude(rho - 24.6, x - half, 2.2, 0.8)
        hollow = np.maximum(rho - 19.5, -x - half - 1) + np.clip(x + half, -1, None) * 0.9
        return shorten(smooth_cut(smooth_cut(shell, lid, 0.6), hollow, 1.5), 0.75)

    def tab(x: Array, y: Array, z: Array) -> Array:
        w = z - radius
        plate = np.minimum(box2(y, w - 5, 6.5, 10.5, 6.0), length2(y, w - 11) - 7.4)
        plate = smooth_cut(plate, length2(y, w - 11.5) - 4.0, 0.4)
        mouth = np.abs(length2(y / 1.25, w + 10) - 9.0) - 0.5
        flat = extrude(plate, x - half + 1.0, 0.7, 0.3)
        return shorten(union(flat, extrude(mouth, x - half + 2.0, 0.5, 0.3)), 0.8)

    silver = metal(noise, ALUMINIUM, 0.22, 0.0, 0.02, 0.2)
    parts = (Part(body, _can_art(noise, rng, half, radius)), Part(tab, silver))
    return Solid(parts, (-half - 1, -radius - 1, 0.0), (half + 1, radius + 1, 2 * radius + 1))


def pen(rng: np.random.Generator) -> Solid:
    """Ball pen along x: barrel, rubber grip, metal tip at the right, clip and button at the left."""
    noise, radius = NoiseTile.draw(rng), 5.0
    ink = INKS[int(rng.integers(0, len(INKS)))] if rng.random() < 0.6 else (0.03, 0.03, 0.035)
    clear = rng.random() < 0.4
    barrel_profile = [(-62, 4.2), (-60, 4.6), (-5, 5.0), (40, 5.0), (52, 4.2)]
    turn = uniform(rng, -50, 50)

    def barrel(x: Array, y: Array, z: Array) -> Array:
        rho = length2(y, z - radius)
        ridges = 0.22 * np.cos(x * 3.0) * ((x > 28) & (x < 50))
        return lathe(x, rho + ridges, barrel_profile, 0.5)

    def tip(x: Array, y: Array, z: Array) -> Array:
        rho = length2(y, z - radius)
        return lathe(x, rho, [(50, 4.3), (56, 3.2), (64, 1.2), (67, 0.5)], 0.2)

    def trim(x: Array, y: Array, z: Array) -> Array:
        a, b = rotate2(y, z - radius, turn)
        rho = length2(a, b)
        ring = extrude(rho - 5.25, x + 3, 1.3, 0.3)
        button = extrude(rho - 2.6, x + 66, 5.0, 0.9)
        clip = np.maximum(box2(x + 40, b - 6.3, 21, 0.55, 0.4), np.abs(a) - 1.9)
        foot = np.maximum(box2(x + 59, b - 5, 2.0, 1.8, 0.5), np.abs(a) - 1.9)
        return shorten(union(ring, button, clip, foot), 0.9)

    color: Rgb = (0.55, 0.55, 0.53) if clear else ink
    shell = plastic(noise, color, 0.15, 0.003)
    grip = plastic(noise, (0.03, 0.03, 0.035), 0.6, 0.03)
    shell = layered(shell, grip, lambda hit: ((hit.x > 26) & (hit.x < 51)) * np.float32(1))
    chrome = metal(noise, STEEL, 0.14, 0.0, 0.01, 0.15)
    parts = (Part(barrel, shell), Part(tip, chrome), Part(trim, chrome))
    return Solid(parts, (-72.0, -7.0, 0.0), (68.0, 7.0, 12.4))


def tape(rng: np.random.Generator) -> Solid:
    """Roll of tape lying flat, a cardboard core inside, a loose end sticking out."""
    noise, outer = NoiseTile.draw(rng), uniform(rng, 40, 52)
    inner, half = outer * uniform(rng, 0.62, 0.76), uniform(rng, 8, 13)
    colors: tuple[Rgb, ...] = (
        (0.02, 0.02, 0.022),
        (0.34, 0.35, 0.36),
        (0.42, 0.28, 0.11),
        (0.45, 0.03, 0.02),
    )
    color = colors[int(rng.integers(0, 4))]
    end = uniform(rng, 0, 360)

    def roll(x: Array, y: Array, z: Array) -> Array:
        rho = length2(x, y)
        layers = 0.15 * np.sin(rho * 5.0) * np.clip(z - 2 * half + 1.5, 0, 1)
        ring = extrude(np.maximum(rho - outer, inner - rho), z - half + layers, half, 0.7)
        u, v = rotate2(x, y, end)
        flap, _ = segment2(u, v, (0.0, outer - 0.3), (13.0, outer + 1.8))
        return shorten(union(ring, extrude(flap - 0.4, z - half, half - 0.2, 0.2)), 0.95)

    def core(x: Array, y: Array, z: Array) -> Array:
        rho = length2(x, y)
        return extrude(np.maximum(rho - inner - 0.05, inner - 2.2 - rho), z - half, half + 0.15, 0.3)

    side = plastic(noise, color, 0.35, 0.01)
    card = plastic(noise, (0.40, 0.29, 0.17), 0.85, 0.05)
    parts = (Part(roll, side), Part(core, card))
    wide = outer + 15
    return Solid(parts, (-wide, -wide, 0.0), (wide, wide, 2 * half + 0.5))


def fuel_cap(rng: np.random.Generator) -> Solid:
    """Screw cap lying on its open side: ribbed skirt, raised bar to grip, lettering."""
    noise, radius = NoiseTile.draw(rng), uniform(rng, 28, 36)
    ribs, tall = int(rng.integers(18, 30)), uniform(rng, 13, 17)
    color: Rgb = ((0.025, 0.025, 0.028), (0.40, 0.03, 0.02), (0.03, 0.03, 0.03))[int(rng.integers(0, 3))]

    def cap(x: Array, y: Array, z: Array) -> Array:
        rho, turn = length2(x, y), np.arctan2(y, x)
        rib = 1.1 * np.clip(np.cos(turn * ribs) * 1.5, -1, 1) * np.clip((tall - z) / 2, 0, 1)
        skirt = extrude(rho - radius + 1.1 - rib, z - tall / 2, tall / 2, 1.6)
        dish = extrude(rho - 0.74 * radius, z - tall, 1.4, 0.6)
        bar = box2(x, y, 0.70 * radius, 0.15 * radius, 0.12 * radius)
        handle = extrude(bar, z - tall - 1.5, 6.0, 1.8)
        return shorten(smooth_union(smooth_cut(skirt, dish, 0.8), handle, 1.5), 0.7)

    image = print_mask("FUEL", 4)

    def lettering(hit: Hit) -> Array:
        upper = stamp(image, hit.x / (0.9 * radius) + 0.5, 0.5 - (hit.y - 0.46 * radius) / (0.36 * radius))
        return upper * (hit.nz > 0.7)

    skin = plastic(noise, color, 0.42, 0.05)
    painted = layered(skin, plastic(noise, (0.6, 0.6, 0.58), 0.4), lettering)
    if rng.random() < 0.3:
        painted = layered(metal(noise, BRASS, 0.3), painted, lambda hit: (hit.z < tall) * np.float32(1))
    return Solid((Part(cap, painted),), (-radius, -radius, 0.0), (radius, radius, tall + 8))
