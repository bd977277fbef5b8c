"""Rock, splinter of wood, sheet metal, flake of paint."""

import numpy as np

from .materials import ALUMINIUM, ZINC, Rgb, layered, metal, plastic, rusted, uniform_surface, wood
from .noise import NoiseTile, smoothstep, uniform
from .sdf import Array, bake, box2, extrude, intersection, length2, polygon, rotate2, shorten
from .solid import Hit, Painter, Part, Solid, Surface


def _stone(noise: NoiseTile, color: Rgb) -> Painter:
    """Rough mineral: mottled, grained, a little glitter, earth in the hollows."""

    def paint(hit: Hit) -> Surface:
        surface = uniform_surface(hit, color, 0.0, 0.85)
        u, v = (hit.x + 0.5 * hit.z) / 9, (hit.y + 0.7 * hit.z) / 9
        tone = 1 + 0.30 * noise.fbm(u, v, 5) + 0.28 * noise(u * 13, v * 13) * noise(u * 5, v * 5)
        vein = smoothstep(0.09, 0.0, np.abs(noise.fbm(u * 0.6 + 40, v * 0.9, 3)))
        tint = np.stack([tone, tone * 0.985, tone * 0.96], axis=1) + 0.16 * vein[:, None]
        bump = 0.22 * np.stack(
            [noise(u * 7, v * 7), noise(u * 7 + 50, v * 7), noise(u * 7, v * 7 + 50)], axis=1
        )
        bump += 0.16 * np.stack(
            [noise(u * 17, v * 17), noise(u * 17 + 50, v * 17), noise(u * 3, v * 3)], axis=1
        )
        return Surface(
            (surface.albedo * np.clip(tint, 0.2, 2)).astype(np.float32),
            surface.metal,
            surface.rough - 0.2 * vein,
            bump.astype(np.float32),
        )

    return paint


def rock(rng: np.random.Generator) -> Solid:
    """Broken stone: an ellipsoid cut by random planes, its faces uneven."""
    noise, radius = NoiseTile.draw(rng), uniform(rng, 18, 34)
    stretch = (1.0, uniform(rng, 0.65, 0.9), uniform(rng, 0.5, 0.75))
    planes = []
    for _ in range(11):
        direction = rng.standard_normal(3)
        direction /= np.linalg.norm(direction)
        planes.append((tuple(float(c) for c in direction), uniform(rng, 0.58, 0.92) * radius))
    level = radius * stretch[2] * 0.58

    def body(x: Array, y: Array, z: Array) -> Array:
        u, v, w = x / stretch[0], y / stretch[1], (z - level) / stretch[2]
        worst: Array = np.sqrt(u * u + v * v + w * w) - radius
        for (nu, nv, nw), offset in planes:
            face = nu * u + nv * v + nw * w - offset
            gap = np.maximum(2.0 - np.abs(worst - face), 0) / 2.0
            worst = np.maximum(worst, face) + gap * gap * 0.5
        near = np.flatnonzero(worst < 8)
        a, b = (x[near] + 0.6 * z[near]) / 11, (y[near] - 0.5 * z[near]) / 11
        worst[near] += 1.5 * np.clip((8 - worst[near]) / 6, 0, 1) * noise.fbm(a, b, 3)
        return shorten(worst, 0.75 * stretch[2])

    colors: tuple[Rgb, ...] = (
        (0.25, 0.235, 0.21),
        (0.33, 0.27, 0.20),
        (0.15, 0.15, 0.155),
        (0.36, 0.33, 0.29),
    )
    wide = radius + 2
    low, high = (-wide, -wide, 0.0), (wide, wide, level + (radius + 2) * stretch[2])
    return Solid((Part(body, _stone(noise, colors[int(rng.integers(0, 4))])),), low, high)


def wood_piece(rng: np.random.Generator) -> Solid:
    """Offcut of a batten along x with splintered ends and a crack in the grain."""
    noise, half = NoiseTile.draw(rng), uniform(rng, 45, 75)
    wide, thick = uniform(rng, 11, 19), uniform(rng, 5, 10)
    colors: tuple[Rgb, ...] = ((0.47, 0.32, 0.18), (0.36, 0.27, 0.19), (0.52, 0.39, 0.24), (0.27, 0.24, 0.21))

    def body(x: Array, y: Array, z: Array) -> Array:
        right = 9 * noise(y / 2.6 + 8, z / 9) + 5 * noise(y / 1.1, z / 5)
        left = 2.5 * noise(y / 3.0 + 90, z / 9)
        end = np.where(x > 0, x + right, -x + left) - half
        uneven = 0.35 * noise(x / 30, (y + z) / 7) + 0.12 * noise(x / 12, (y + z) * 1.3)
        bar = extrude(box2(y, z - thick, wide, thick, 0.8) + uneven, x * 0, 1e3, 0.0)
        crack = np.abs(y - 0.25 * wide - 0.8 * noise(x / 12, x * 0)) - np.clip((x - 0.2 * half) / 60, 0, 0.7)
        return intersection(shorten(bar, 0.85), shorten(end, 0.10), shorten(-crack, 0.5))

    grain = wood(noise, colors[int(rng.integers(0, 4))], 0.75)
    low, high = (-half - 4, -wide - 1, 0.0), (half + 15, wide + 1, 2 * thick + 1)
    return Solid((Part(body, grain),), low, high)


def metal_sheet(rng: np.random.Generator) -> Solid:
    """Torn piece of sheet metal, buckled and folded up along one edge, with rivet holes."""
    noise, half_x, half_y = NoiseTile.draw(rng), uniform(rng, 50, 75), uniform(rng, 32, 48)
    fold, steep = uniform(rng, 0.35, 0.7) * half_x, uniform(rng, 0.2, 0.55)
    outline = []
    for turn in np.linspace(0, 2 * np.pi, 26, endpoint=False):
        c, s = float(np.cos(turn)), float(np.sin(turn))
        edge = min(half_x / max(abs(c), 1e-6), half_y / max(abs(s), 1e-6)) * uniform(rng, 0.86, 1.0)
        outline.append((c * edge, s * edge))
    holes = [(-half_x + 16, k * half_y / 2.2) for k in (-1.2, 0, 1.2)]

    def shape(x: Array, y: Array) -> Array:
        flat = polygon(x, y, outline)
        for a, b in holes:
            flat = np.maximum(flat, 2.6 - length2(x - a, y - b))
        return flat

    outer = bake(shape, (-half_x - 6, -half_y - 6), (half_x + 6, half_y + 6), 0.5)

    def body(x: Array, y: Array, z: Array) -> Array:
        rise = steep * np.clip(x - fold, 0, None) + 1.7 * (1 + noise.fbm(x / 38, y / 38, 2))
        return shorten(extrude(outer(x, y), z - rise - 0.9, 0.7, 0.2), 0.72)

    base = metal(noise, ALUMINIUM if rng.random() < 0.6 else ZINC, 0.26, 0.05, 0.06, 0.35)
    finish = base if rng.random() < 0.6 else rusted(base, noise, uniform(rng, 0.1, 0.4), 22.0)
    top = steep * (half_x - fold) + 8
    return Solid((Part(body, finish),), (-half_x, -half_y, 0.0), (half_x, half_y, top))


def paint_chip(rng: np.random.Generator) -> Solid:
    """Curled flake of road or aircraft paint, its back edge pale."""
    noise, radius = NoiseTile.draw(rng), uniform(rng, 12, 22)
    count = int(rng.integers(7, 12))
    turns = np.sort(rng.uniform(0, 2 * np.pi, count)) + np.linspace(0, 0.8, count)
    outline = []
    for turn in turns:
        reach = radius * uniform(rng, 0.6, 1.0)
        outline.append((float(np.cos(turn)) * reach, float(np.sin(turn)) * reach * 0.8))
    side = radius + 4
    flat = bake(lambda x, y: polygon(x, y, outline), (-side, -side), (side, side), 0.25)
    curl, lean = uniform(rng, 0.004, 0.014), uniform(rng, 0, 180)

    def body(x: Array, y: Array, z: Array) -> Array:
        u, _ = rotate2(x, y, lean)
        rise = curl * u * u + 0.35 * (1 + noise(x / 6, y / 6))
        return shorten(extrude(flat(x, y), z - rise - 0.5, 0.4, 0.1), 0.75)

    colors: tuple[Rgb, ...] = (
        (0.66, 0.65, 0.61),
        (0.52, 0.34, 0.04),
        (0.33, 0.03, 0.025),
        (0.05, 0.09, 0.22),
    )
    coat = plastic(noise, colors[int(rng.integers(0, 4))], 0.35, 0.03)
    edge = plastic(noise, (0.55, 0.53, 0.48), 0.8, 0.08)
    finish = layered(coat, edge, lambda hit: smoothstep(-0.5, 0.1, flat(hit.x, hit.y)))
    top = curl * radius**2 + 2.2
    return Solid((Part(body, finish),), (-radius - 1, -radius - 1, 0.0), (radius + 1, radius + 1, top))
