"""Bent objects: luggage tag, sticky label, wire and hose."""

import cv2
import numpy as np
from numpy.typing import NDArray

from .materials import BRASS, COPPER, STEEL, Rgb, layered, metal, plastic, stamp
from .noise import NoiseTile, uniform
from .sdf import (
    Array,
    Baked,
    bake,
    box2,
    extrude,
    length2,
    ngon,
    polyline2,
    rotate2,
    shorten,
    smooth_cut,
    spline,
)
from .solid import Hit, Painter, Part, Solid

Path = list[tuple[float, float]]


def _wander(rng: np.random.Generator, count: int, step: float, turn: float) -> Path:
    """Centred spline through a walk of `count` steps whose heading drifts by up to `turn` radians."""
    at, heading, bend, points = np.zeros(2), 0.0, 0.0, []
    for _ in range(count):
        points.append((float(at[0]), float(at[1])))
        bend = 0.6 * bend + uniform(rng, -turn, turn)
        heading += bend
        at = at + step * np.array([np.cos(heading), np.sin(heading)])
    path = np.array(spline(points, 4))
    path -= (path.min(axis=0) + path.max(axis=0)) / 2
    return [(float(x), float(y)) for x, y in path]


def _bake_path(path: Path, margin: float, step: float) -> tuple[Baked, Baked, tuple[float, float]]:
    """Distance to the path and arc length along it as baked maps, and the half extents with `margin`."""
    reach = np.abs(np.array(path)).max(axis=0) + margin
    low, high = (float(-reach[0]), float(-reach[1])), (float(reach[0]), float(reach[1]))
    distance = bake(lambda x, y: polyline2(x, y, path)[0], low, high, step)
    along = bake(lambda x, y: polyline2(x, y, path)[1], low, high, step)
    return distance, along, high


def _arc_length(path: Path) -> float:
    return float(np.sqrt((np.diff(np.array(path), axis=0) ** 2).sum(axis=1)).sum())


def wire(rng: np.random.Generator) -> Solid:
    """A bent length of wire: bare copper or steel, or insulated with stripped ends."""
    noise, radius = NoiseTile.draw(rng), uniform(rng, 1.3, 2.2)
    path = _wander(rng, int(rng.integers(7, 12)), 20.0, 0.75)
    total = _arc_length(path)
    distance, along, high = _bake_path(path, 4 * radius + 2, 0.7)
    insulated = rng.random() < 0.65
    rise = uniform(rng, 0.0, 2.0)

    def strand(x: Array, y: Array, z: Array) -> Array:
        s = along(x, y)
        core = np.where((s < 11) | (s > total - 11), radius * 0.55, radius) if insulated else radius
        lift = radius + rise * (1 - np.cos(s * np.float32(9.4 / total)))
        return shorten((length2(distance(x, y), z - lift) - core), 0.8)

    colors: tuple[Rgb, ...] = (
        (0.45, 0.02, 0.02),
        (0.02, 0.02, 0.022),
        (0.50, 0.40, 0.02),
        (0.02, 0.10, 0.38),
    )
    bare = metal(noise, COPPER if insulated or rng.random() < 0.5 else STEEL, 0.3, 0.0, 0.04, 0.3)
    if insulated:
        sleeve = plastic(noise, colors[int(rng.integers(0, 4))], 0.35, 0.01)
        finish = layered(
            bare,
            sleeve,
            lambda hit: ((along(hit.x, hit.y) > 10.5) & (along(hit.x, hit.y) < total - 10.5)) * np.float32(1),
        )
    else:
        finish = bare
    top = 2 * radius + 2 * rise + 0.5
    return Solid((Part(strand, finish),), (-high[0], -high[1], 0.0), (high[0], high[1], top))


def hose(rng: np.random.Generator) -> Solid:
    """A bent rubber hose with crimped ferrules and a hex fitting at each end."""
    noise, radius = NoiseTile.draw(rng), uniform(rng, 7.5, 10.5)
    path = _wander(rng, 5, uniform(rng, 42, 62), 0.22)
    distance, along, high = _bake_path(path, radius + 4, 0.8)
    level = radius * 1.12

    def tube(x: Array, y: Array, z: Array) -> Array:
        weave = 0.12 * np.sin(along(x, y) * 1.6)
        return shorten((length2(distance(x, y), z - level) - radius + weave), 0.92)

    def end_frame(x: Array, y: Array, last: bool) -> tuple[Array, Array]:
        tip, inner = (path[-1], path[-3]) if last else (path[0], path[2])
        degrees = float(np.degrees(np.arctan2(tip[1] - inner[1], tip[0] - inner[0])))
        return rotate2(x - tip[0], y - tip[1], degrees)

    def fittings(x: Array, y: Array, z: Array) -> Array:
        nearest = np.full_like(x, np.inf)
        for last in (False, True):
            u, v = end_frame(x, y, last)
            rho = length2(v, z - level)
            crimp = 0.4 * np.cos(u * 1.1)
            ferrule = extrude(rho - radius * 1.12 + crimp * 0.6, u + 5, 11.0, 0.8)
            hexagon = extrude(ngon(v, z - level, 6, radius * 0.9, 90.0), u - 10, 4.5, 0.6)
            spout = extrude(np.maximum(rho - radius * 0.62, radius * 0.38 - rho), u - 18, 5.0, 0.4)
            nearest = np.minimum(nearest, np.minimum(np.minimum(ferrule, hexagon), spout))
        return shorten(nearest, 0.85)

    colors: tuple[Rgb, ...] = ((0.20, 0.035, 0.025), (0.024, 0.024, 0.026), (0.02, 0.06, 0.17))
    rubber = plastic(noise, colors[int(rng.integers(0, 3))], 0.48, 0.03)
    plated = metal(noise, BRASS if rng.random() < 0.4 else STEEL, 0.26, 0.0, 0.02, 0.3)
    wide = (high[0] + 22, high[1] + 22)
    parts = (Part(tube, rubber), Part(fittings, plated))
    return Solid(parts, (-wide[0], -wide[1], 0.0), (*wide, 2.3 * radius + 0.5))


TAG_COLORS: tuple[Rgb, ...] = (
    (0.03, 0.03, 0.033),
    (0.33, 0.03, 0.026),
    (0.03, 0.08, 0.22),
    (0.66, 0.65, 0.61),
    (0.30, 0.14, 0.06),
)


def _barcode(rng: np.random.Generator, canvas: NDArray[np.uint8], box: tuple[int, int, int, int]) -> None:
    """Draw random vertical bars into the pixels x0, y0, x1, y1 of `canvas`."""
    x0, y0, x1, y1 = box
    x = x0
    while x < x1:
        width = int(rng.integers(1, 5))
        canvas[y0:y1, x : min(x + width, x1)] = 255
        x += width + int(rng.integers(1, 5))


def _form(rng: np.random.Generator, words: tuple[str, ...]) -> Array:
    """A printed form (160, 280): ruled lines of words and a bar code; 1 is ink."""
    canvas: NDArray[np.uint8] = np.zeros((160, 280), np.uint8)
    for k, word in enumerate(words):
        y = 30 + 26 * k
        size = 0.95 if k == 0 else 0.55
        cv2.putText(canvas, word, (14, y), cv2.FONT_HERSHEY_SIMPLEX, size, 255, 2, cv2.LINE_AA)
        if k > 0:
            cv2.line(canvas, (100, y + 3), (264, y + 3), 170, 1)
    _barcode(rng, canvas, (16, 116, 262, 150))
    return canvas.astype(np.float32) / 255


def _printed(base: Painter, ink: Painter, image: Array, half: tuple[float, float]) -> Painter:
    """`ink` through `image`, stretched over the rectangle of half extents `half` about the origin."""

    def mask(hit: Hit) -> Array:
        return stamp(image, hit.x / (2 * half[0]) + 0.5, 0.5 - hit.y / (2 * half[1])) * (hit.nz > 0.3)

    return layered(base, ink, mask)


def luggage_tag(rng: np.random.Generator) -> Solid:
    """Luggage tag along x: leather or plastic frame, paper window, strap with a buckle at the left."""
    noise, half_x, half_y = NoiseTile.draw(rng), 36.0, 21.0
    color = TAG_COLORS[int(rng.integers(0, len(TAG_COLORS)))]
    sway = uniform(rng, -22, 22)
    hole = (-half_x + 6.0, 0.0)
    loop = [hole, (-52, 9 + sway * 0.3), (-76, 12 + sway), (-86, 2 + sway), (-74, -8 + sway)]
    loop += [(-52, -4 + sway * 0.3), hole]
    path = spline(loop, 5)
    reach = 36.0 + abs(sway)

    def card(x: Array, y: Array) -> Array:
        return smooth_cut(box2(x, y, half_x, half_y, 6.0), box2(x - hole[0], y, 1.6, 6.0, 1.5), 0.4)

    def strap(x: Array, y: Array) -> Array:
        return polyline2(x, y, path)[0]

    flat = bake(card, (-half_x - 5, -half_y - 5), (half_x + 5, half_y + 5), 0.4)
    cord = bake(strap, (-100.0, -reach), (-20.0, reach), 0.5)

    def bend(x: Array) -> Array:
        return (0.0014 * x * x).astype(np.float32)

    def plate(x: Array, y: Array, z: Array) -> Array:
        level = z - 1.6 - bend(x)
        body = extrude(flat(x, y), level, 1.5, 0.8)
        window = extrude(box2(x - 5, y, 26.0, 15.0, 2.0), level - 1.5, 0.6, 0.2)
        return shorten(smooth_cut(body, window, 0.3), 0.9)

    def band(x: Array, y: Array, z: Array) -> Array:
        lift = 2.6 + 0.9 * np.sin(x * 0.06)
        return shorten(extrude(cord(x, y) - 2.6, z - lift, 0.9, 0.5), 0.85)

    def buckle(x: Array, y: Array, z: Array) -> Array:
        frame = np.abs(box2(x + 62, y - sway * 0.6, 4.5, 9.0, 1.0)) - 0.9
        return shorten(extrude(frame, z - 2.6, 1.6, 0.6), 0.95)

    skin = plastic(noise, color, 0.5, 0.09)
    paper = plastic(noise, (0.70, 0.69, 0.65), 0.3, 0.004)
    form = _printed(
        paper, plastic(noise, (0.03, 0.03, 0.05), 0.5), _form(rng, ("NAME", "FLIGHT", "TO")), (24, 13)
    )
    face = layered(
        skin,
        form,
        lambda hit: ((np.abs(hit.x - 5) < 25.8) & (np.abs(hit.y) < 14.8) & (hit.nz > 0.6)) * np.float32(1),
    )
    parts = (Part(plate, face), Part(band, skin), Part(buckle, metal(noise, STEEL, 0.2, 0.0, 0.02)))
    return Solid(parts, (-95.0, -reach, 0.0), (half_x, reach, 7.0))


def label(rng: np.random.Generator) -> Solid:
    """Printed sticker lying face up, two corners curled."""
    noise, half_x, half_y = NoiseTile.draw(rng), uniform(rng, 34, 46), uniform(rng, 20, 28)
    curl = [uniform(rng, 0.0, 0.30), uniform(rng, 0.1, 0.45)]
    words = ("CARGO 417", "FROM", "TO") if rng.random() < 0.5 else ("FRAGILE", "LOT", "QTY")

    def body(x: Array, y: Array, z: Array) -> Array:
        a = np.clip((x + y * 0.8) - 0.72 * half_x, 0, None)
        b = np.clip((-x + y * 0.5) - 0.80 * half_x, 0, None)
        rise = curl[0] * a + curl[1] * b * b * 0.08 + 0.5 * (1 + noise(x / 22, y / 22))
        flat = box2(x, y, half_x, half_y, 2.0)
        return shorten(extrude(flat, z - rise - 0.35, 0.35, 0.1), 0.72)

    paper = plastic(noise, (0.72, 0.71, 0.67), 0.55, 0.01)
    dark = plastic(noise, (0.03, 0.03, 0.035), 0.6, 0.01)
    face = _printed(paper, dark, _form(rng, words), (half_x * 0.94, half_y * 0.92))
    stripe = TAG_COLORS[int(rng.integers(1, 3))]
    face = layered(
        face, plastic(noise, stripe, 0.5, 0.01), lambda hit: (hit.y > 0.80 * half_y) * np.float32(1)
    )
    top = 0.45 * 0.8 * half_y + 3 + curl[1] * 0.08 * (0.2 * half_x + 0.5 * half_y) ** 2
    return Solid((Part(body, face),), (-half_x, -half_y, 0.0), (half_x, half_y, top))
