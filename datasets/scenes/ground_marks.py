"""What happens to a ground after it was laid: stains, joints, painted lines and cracks."""

from dataclasses import dataclass

import cv2
import numpy as np

from .noise import octaves, smooth_field, smoothstep, uniform
from .sdf import Array


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
