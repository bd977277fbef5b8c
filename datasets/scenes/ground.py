"""The ground: height and colour of concrete, asphalt or exposed aggregate, drawn flat in millimetres, with
stains, joints, painted lines and cracks.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from .noise import octaves, smooth_field, smoothstep, uniform
from .sdf import Array
from .spec import GroundSpec


@dataclass
class Canvas:
    """Ground under work; the marks change its arrays in place.

    Attributes:
        albedo: (H, W, 3) float32 linear RGB.
        height: (H, W) float32 millimetres.
        rough: (H, W) float32 GGX roughness.
        mm: millimetres per texel.
    """

    albedo: Array
    height: Array
    rough: Array
    mm: float

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.height.shape[0], self.height.shape[1]

    def across(self, degrees: float) -> Array:
        """(H, W) signed millimetres from the line through the middle that runs at `degrees`."""
        rows, columns = self.shape
        x = (np.arange(columns, dtype=np.float32) - columns / 2)[None] * np.float32(self.mm)
        y = (np.arange(rows, dtype=np.float32) - rows / 2)[:, None] * np.float32(self.mm)
        c, s = np.float32(np.cos(np.radians(degrees))), np.float32(np.sin(np.radians(degrees)))
        return np.asarray(c * y - s * x, np.float32)


def add_stains(canvas: Canvas, strength: float, rng: np.random.Generator) -> None:
    """Soft water and oil blotches, and a few small dark drops with a sharper edge."""
    mm, shape = canvas.mm, canvas.shape
    blotch = octaves(rng, shape, [130 / mm, 45 / mm, 15 / mm, 5 / mm], [0.8, 0.45, 0.25, 0.12])
    cover = strength * (0.35 * smoothstep(0.5, 1.5, blotch) + 0.12 * smoothstep(-0.2, 0.9, -blotch))
    canvas.albedo *= (1 - cover)[..., None] ** np.array([0.9, 1.0, 1.1], np.float32)
    drops = np.zeros(shape, np.uint8)
    for _ in range(int(rng.poisson(9 * strength))):
        center = (int(rng.integers(0, shape[1])), int(rng.integers(0, shape[0])))
        radius = (1 + uniform(rng, 1.0, 7.0) ** 1.5 * 0.55) / mm
        axes = (max(int(radius), 1), max(int(radius * uniform(rng, 0.5, 1)), 1))
        cv2.ellipse(drops, center, axes, uniform(rng, 0, 180), 0, 360, int(rng.integers(70, 210)), -1)
    ragged = smooth_field(rng, shape, 1.5 / mm) * 0.3 + smooth_field(rng, shape, 5 / mm) * 0.3
    soft = cv2.GaussianBlur(drops, (0, 0), max(1.2 / mm, 0.7)).astype(np.float32) / 255
    spot = soft * smoothstep(-0.9, 0.2, ragged + soft)
    canvas.albedo *= (1 - 0.6 * spot)[..., None]
    canvas.rough -= 0.18 * spot


def add_joint(canvas: Canvas, rng: np.random.Generator) -> None:
    """A straight saw-cut, filled with dirt, its edges slightly spalled."""
    across = canvas.across(uniform(rng, -12, 12) + 90 * int(rng.integers(0, 2)))
    reach = min(canvas.shape) * canvas.mm
    offset = uniform(rng, 0.22, 0.36) * reach * (1 if rng.random() < 0.5 else -1)
    wobble = 0.35 * smooth_field(rng, canvas.shape, 9 / canvas.mm)
    wobble += 0.45 * np.clip(smooth_field(rng, canvas.shape, 3 / canvas.mm) - 0.8, 0, 2)
    cut = smoothstep(2.9, 2.0, np.abs(across - np.float32(offset)) - wobble)
    shoulder = smoothstep(8, 2, np.abs(across - np.float32(offset)))
    filth = 0.55 + 0.25 * smooth_field(rng, canvas.shape, 2.5 / canvas.mm).clip(-1, 1)
    canvas.height -= 1.5 * cut + 0.25 * shoulder
    canvas.albedo *= (1 - cut * (1 - 0.35 * filth) - 0.07 * shoulder * (1 - cut))[..., None]
    canvas.rough += 0.1 * cut


def add_marking(canvas: Canvas, rng: np.random.Generator) -> None:
    """A painted band that enters from one side, worn through where the ground stands highest."""
    angle = uniform(rng, 20, 70) * (1 if rng.random() < 0.5 else -1)
    across = canvas.across(angle)
    reach = min(canvas.shape) * canvas.mm
    middle = uniform(rng, 0.42, 0.5) * reach * (1 if rng.random() < 0.5 else -1)
    half = uniform(rng, 0.09, 0.13) * reach
    mm, shape = canvas.mm, canvas.shape
    edge = 0.7 * smooth_field(rng, shape, 6 / mm) + 0.4 * smooth_field(rng, shape, 1.5 / mm)
    band = smoothstep(0.6, -0.6, np.abs(across - np.float32(middle)) - half + edge)
    wear = octaves(rng, shape, [60 / mm, 14 / mm, 4 / mm, 1.3 / mm], [0.5, 0.35, 0.35, 0.4])
    wear += 2.0 * (canvas.height - cv2.GaussianBlur(canvas.height, (0, 0), max(3 / mm, 0.8)))
    paint = band * smoothstep(1.15, 0.65, wear)
    color = (0.60, 0.40, 0.055) if rng.random() < 0.6 else (0.62, 0.61, 0.57)
    dirt = 1 - 0.12 * smoothstep(-0.5, 1.5, wear) + 0.04 * smooth_field(rng, shape, 2 / mm)
    coat = np.array(color, np.float32) * dirt[..., None]
    canvas.albedo += paint[..., None] * (coat - canvas.albedo)
    canvas.height += 0.25 * paint - 0.35 * paint * (canvas.height - canvas.height.mean())
    canvas.rough -= 0.2 * paint


def add_cracks(canvas: Canvas, rng: np.random.Generator) -> None:
    """A hairline crack: a jagged walk across the ground with a branch or two, its width varying."""
    rows, columns = canvas.shape
    mask = np.zeros(canvas.shape, np.uint8)
    start = np.array([uniform(rng, 0, 1) * columns, 0.0 if rng.random() < 0.5 else float(rows)])
    heading = np.pi / 2 * (1 if start[1] == 0 else -1) + uniform(rng, -0.7, 0.7)
    walks = [(start, heading, 1.0)]
    while walks:
        at, course, share = walks.pop()
        turn = 0.0
        for _ in range(int(share * 3 * max(rows, columns) * canvas.mm / 7)):
            turn = 0.75 * turn + uniform(rng, -0.45, 0.45)
            step = uniform(rng, 2, 7) / canvas.mm
            nxt = at + step * np.array([np.cos(course + turn), np.sin(course + turn)])
            width = max(round(uniform(rng, 0.5, 1.3) * share / canvas.mm), 1)
            ends = [(int(p[0] * 8), int(p[1] * 8)) for p in (at, nxt)]
            cv2.line(mask, ends[0], ends[1], 255, width, cv2.LINE_AA, 3)
            at = nxt
            if share == 1.0 and rng.random() < 0.012:
                walks.append((at, course + uniform(rng, 0.5, 1.1) * (1 if rng.random() < 0.5 else -1), 0.3))
            if not (0 <= at[0] < columns and 0 <= at[1] < rows):
                break
    crack = cv2.GaussianBlur(mask, (0, 0), 0.7).astype(np.float32) / 255
    halo = cv2.GaussianBlur(crack, (0, 0), 3 / canvas.mm)
    canvas.height -= 0.9 * crack
    canvas.albedo *= (1 - 0.62 * crack - 0.5 * np.clip(halo - crack, 0, 1))[..., None]


@dataclass(frozen=True)
class GroundMap:
    """The ground seen straight from above; row 0 is its far edge (largest world y).

    Attributes:
        albedo: (H, W, 3) float32 linear RGB.
        slope: (H, W, 2) float32 height gradient along world x and y.
        open_sky: (H, W) float32 share of the sky that pits and cracks leave free.
        rough: (H, W) float32 GGX roughness.
    """

    albedo: Array
    slope: Array
    open_sky: Array
    rough: Array


def _cells(rng: np.random.Generator, shape: tuple[int, int], size: float) -> tuple[Array, Array]:
    """Voronoi cells about `size` pixels wide: distance to the seed and a random value for each cell."""
    height, width = shape
    count = max(int(height * width / (size * size)), 1)
    seeds = np.full(shape, 255, np.uint8)
    seeds[rng.integers(0, height, count), rng.integers(0, width, count)] = 0
    distance, owner = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL)
    values = rng.random(int(owner.max()) + 1).astype(np.float32)
    return np.asarray(distance, np.float32), values[np.asarray(owner, np.intp)]


def _concrete(rng: np.random.Generator, shape: tuple[int, int], mm: float, worn: bool) -> Canvas:
    """Cement paste with sand, broom strokes (cast) or a trowelled blotchy skin (worn), and air pores."""
    mottle = octaves(rng, shape, [170 / mm, 60 / mm, 22 / mm, 8 / mm], [0.06, 0.055, 0.045, 0.04])
    grain = octaves(rng, shape, [2.6 / mm, 1.2 / mm, 0.5 / mm], [0.03, 0.045, 0.04])
    distance, value = _cells(rng, shape, 2.2 / mm)
    sand = smoothstep(0.75, 0.45, distance * mm) * (
        smoothstep(0.9, 0.97, value) - smoothstep(0.12, 0.03, value)
    )
    tone = 0.30 * (1 + (1.6 if worn else 1.0) * mottle + grain + 0.38 * sand)
    height = 0.055 * octaves(rng, shape, [6 / mm, 1.6 / mm, 0.7 / mm], [1.0, 0.8, 0.7])
    if not worn:
        height += (
            0.035
            * smooth_field(rng, shape, 160 / mm, 1.6 / mm)
            * (0.6 + 0.5 * smooth_field(rng, shape, 90 / mm))
        )
    else:
        height *= 0.5
    far, pick = _cells(rng, shape, 13 / mm)
    pit = smoothstep(1.0, 0.2, far * mm / (0.35 + 1.1 * np.clip(pick - 0.6, 0, 1))) * (pick > 0.6)
    height -= 0.55 * pit
    tone = tone * (1 - 0.42 * pit)
    hue = smooth_field(rng, shape, 120 / mm)[..., None] * np.array([0.02, 0.0, -0.025], np.float32)
    albedo = tone[..., None] * (np.array([1.0, 0.965, 0.90], np.float32) + hue)
    rough = np.full(shape, 0.62 if worn else 0.88, np.float32) + 0.10 * mottle
    return Canvas(albedo.astype(np.float32), height.astype(np.float32), rough.astype(np.float32), mm)


def _stones(rng: np.random.Generator, shape: tuple[int, int], mm: float, brown: bool) -> Canvas:
    """Stones set in a binder: bitumen for asphalt, sandy cement for exposed aggregate."""
    distance, value = _cells(rng, shape, (5.5 if brown else 4.8) / mm)
    small, shade = _cells(rng, shape, 1.9 / mm)
    warp = 0.5 * smooth_field(rng, shape, 2.2 / mm)
    reach = 1.3 + 1.6 * np.abs(value * 7 % 1)
    stone = smoothstep(1.15, 0.75, distance * mm / reach + 0.22 * warp)
    grit = smoothstep(1.1, 0.5, small * mm) * shade * (1 - stone)
    grain = octaves(rng, shape, [1.1 / mm, 0.5 / mm], [0.08, 0.08])
    mottle = octaves(rng, shape, [190 / mm, 50 / mm, 16 / mm], [0.07, 0.05, 0.05])
    if brown:
        binder, low, spread = np.array([0.33, 0.25, 0.175], np.float32), 0.20, 0.28
    else:
        binder, low, spread = np.array([0.062, 0.062, 0.065], np.float32), 0.085, 0.17
    tone = low + spread * value**1.6
    warmth = ((value * 13) % 1 - 0.45)[..., None] * np.array([0.30, 0.05, -0.25], np.float32)
    lean = np.array([1.12, 0.96, 0.80] if brown else [1.0, 0.985, 0.96], np.float32)
    rock = tone[..., None] * lean * (1 + (0.7 if brown else 0.4) * warmth)
    albedo = binder * (1 + 0.9 * grit[..., None]) * (1 - stone[..., None]) + rock * stone[..., None]
    albedo = albedo * (1 + grain + mottle)[..., None]
    dome = np.sqrt(np.clip(1 - (distance * mm / (reach * 1.3)) ** 2, 0, 1))
    height = 0.9 * stone * dome + 0.25 * grit + 0.05 * smooth_field(rng, shape, 0.8 / mm)
    rough = np.where(stone > 0.5, 0.75, 0.68 if not brown else 0.9).astype(np.float32)
    return Canvas(albedo.astype(np.float32), height.astype(np.float32), rough, mm)


def draw_ground(spec: GroundSpec, shape: tuple[int, int], mm: float, rng: np.random.Generator) -> GroundMap:
    """Ground of `shape` (rows, columns) at `mm` millimetres per texel.

    Joints, cracks and paint keep their places when only the resolution changes.
    """
    joint, marking, cracks = (np.random.default_rng(int(rng.integers(0, 2**62))) for _ in range(3))
    if spec.kind in ("concrete", "worn"):
        canvas = _concrete(rng, shape, mm, worn=spec.kind == "worn")
    else:
        canvas = _stones(rng, shape, mm, brown=spec.kind == "aggregate")
    add_stains(canvas, spec.stains * (1.5 if spec.kind == "worn" else 1.0), rng)
    if spec.joint:
        add_joint(canvas, joint)
    if spec.marking:
        add_marking(canvas, marking)
    for _ in range(spec.cracks):
        add_cracks(canvas, cracks)
    albedo = np.clip(canvas.albedo * np.array(spec.tint, np.float32), 0.01, 0.9)
    height = cv2.GaussianBlur(canvas.height, (0, 0), 0.6)
    down, right = np.gradient(height, mm)
    slope = np.stack([right, -down], axis=-1).astype(np.float32)
    hollow = cv2.GaussianBlur(height, (0, 0), max(1.6 / mm, 0.8)) - height
    open_sky = np.clip(1 - 0.9 * np.clip(hollow, 0, None), 0.25, 1)
    return GroundMap(albedo, slope, open_sky.astype(np.float32), np.clip(canvas.rough, 0.2, 1))
