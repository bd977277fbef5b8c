"""Surfaces: metals, plastics, paint, rubber, rust, and the way that use and dirt change them."""

from collections.abc import Callable

import cv2
import numpy as np

from .noise import NoiseTile, smoothstep
from .sdf import Array, Baked
from .solid import Hit, Painter, Surface

Rgb = tuple[float, float, float]
Mask = Callable[[Hit], Array]

STEEL: Rgb = (0.56, 0.56, 0.57)
CHROME: Rgb = (0.68, 0.69, 0.70)
ALUMINIUM: Rgb = (0.88, 0.88, 0.89)
ZINC: Rgb = (0.64, 0.66, 0.70)
YELLOW_ZINC: Rgb = (0.74, 0.60, 0.34)
BRASS: Rgb = (0.84, 0.66, 0.34)
COPPER: Rgb = (0.90, 0.55, 0.40)
DARK_STEEL: Rgb = (0.20, 0.20, 0.21)


def uniform_surface(hit: Hit, color: Rgb, metal: float, rough: float) -> Surface:
    """The same flat surface at every point of `hit`."""
    n = hit.x.shape[0]
    albedo = np.tile(np.array(color, dtype=np.float32), (n, 1))
    return Surface(
        albedo, np.full(n, metal, np.float32), np.full(n, rough, np.float32), np.zeros((n, 3), np.float32)
    )


def mix(a: Surface, b: Surface, amount: Array) -> Surface:
    """A where `amount` (N,) is 0, b where it is 1."""
    w = amount[:, None]
    return Surface(
        a.albedo * (1 - w) + b.albedo * w,
        a.metal * (1 - amount) + b.metal * amount,
        a.rough * (1 - amount) + b.rough * amount,
        a.bump * (1 - w) + b.bump * w,
    )


def layered(base: Painter, over: Painter, mask: Mask) -> Painter:
    """`over` painted on `base` where the mask is 1."""

    def paint(hit: Hit) -> Surface:
        return mix(base(hit), over(hit), np.clip(mask(hit), 0, 1))

    return paint


def _bumps(noise: NoiseTile, hit: Hit, size: float, strength: float) -> Array:
    """Isotropic wobble of the normal with features `size` millimetres wide."""
    u, v = (hit.x + 0.37 * hit.z) / size, (hit.y + 0.61 * hit.z) / size
    return strength * np.stack([noise(u, v), noise(u + 71.2, v + 13.7), noise(u + 31.9, v + 87.1)], axis=1)


def metal(
    noise: NoiseTile,
    color: Rgb,
    rough: float = 0.25,
    brushed: float = 0.05,
    dent: float = 0.03,
    grime: float = 0.35,
) -> Painter:
    """Bare or plated metal with grain along x, a slightly uneven face, handling marks and grime."""

    def paint(hit: Hit) -> Surface:
        surface = uniform_surface(hit, color, 1.0, rough)
        streak = noise(hit.x / 14, hit.y * 2.2 + hit.z * 1.9) + noise(hit.x / 6 + 40, hit.y * 4.1)
        bump = _bumps(noise, hit, 22.0, dent) + _bumps(noise, hit, 1.1, dent * 0.35)
        bump[:, 1] += brushed * streak
        u, v = hit.x / 15 + 5, (hit.y + hit.z) / 15
        smudge = smoothstep(-0.5, 1.0, noise.fbm(u, v))
        film = grime * smoothstep(-0.1, 1.0, noise.fbm(u * 2.1 + 9, v * 3.0, 5))
        speck = grime * smoothstep(0.62, 0.9, noise.fbm(u * 9 + 31, v * 9, 3))
        clean = Surface(
            surface.albedo * (1 - 0.10 * smudge - 0.04 * streak - 0.35 * film)[:, None],
            surface.metal,
            np.clip(surface.rough + 0.14 * smudge + 0.03 * streak + 0.2 * film, 0.06, 1),
            bump.astype(np.float32),
        )
        soil = uniform_surface(hit, (0.055, 0.045, 0.036), 0.0, 0.8)
        return mix(clean, soil, speck.astype(np.float32))

    return paint


def rust(noise: NoiseTile) -> Painter:
    """Matt orange to dark brown oxide, pitted."""

    def paint(hit: Hit) -> Surface:
        surface = uniform_surface(hit, (0.155, 0.058, 0.026), 0.0, 0.9)
        u, v = hit.x / 2.5, (hit.y + 0.7 * hit.z) / 2.5
        shade = np.maximum(0.75 + 0.55 * noise.fbm(u, v, 4), 0)  # the noise reaches below -1.4
        tint = np.stack([shade, shade**1.15 * 0.95, shade**1.3 * 0.9], axis=1)
        return Surface(
            surface.albedo * np.maximum(tint, 0.2).astype(np.float32),
            surface.metal,
            surface.rough,
            _bumps(noise, hit, 0.8, 0.16).astype(np.float32),
        )

    return paint


def rusted(base: Painter, noise: NoiseTile, amount: float, size: float = 9.0) -> Painter:
    """`base` with rust over about the share `amount` of its area, in patches `size` millimetres wide."""

    def mask(hit: Hit) -> Array:
        patch = noise.fbm(hit.x / size + 50, (hit.y + hit.z) / size + 20, 5)
        return smoothstep(0.75 - 1.3 * amount, 1.0 - 1.3 * amount, patch)

    return layered(base, rust(noise), mask)


def plastic(noise: NoiseTile, color: Rgb, rough: float = 0.4, texture: float = 0.02) -> Painter:
    """Plastic, rubber or lacquer: coloured diffuse under a clear reflection, scuffed and dusty."""

    def paint(hit: Hit) -> Surface:
        surface = uniform_surface(hit, color, 0.0, rough)
        wear = noise.fbm(hit.x / 11, (hit.y + hit.z) / 9, 5)
        scuff = smoothstep(0.45, 0.8, noise(hit.x / 9 + 3, hit.y * 1.3) + 0.4 * noise(hit.x, hit.y * 2.1))
        dust = 0.10 * smoothstep(0.1, 1.0, wear) * np.clip(hit.nz, 0, 1) + 0.08 * scuff
        albedo = surface.albedo * (1 + 0.10 * wear)[:, None]
        albedo = albedo * (1 - dust)[:, None] + dust[:, None] * np.float32(0.32)
        bump = _bumps(noise, hit, 0.9, texture) + _bumps(noise, hit, 17.0, 0.006)
        return Surface(
            albedo.astype(np.float32),
            surface.metal,
            np.clip(surface.rough + 0.25 * dust + 0.05 * wear, 0.08, 1),
            bump.astype(np.float32),
        )

    return paint


def wood(noise: NoiseTile, color: Rgb = (0.45, 0.29, 0.15), rough: float = 0.55) -> Painter:
    """Wood whose grain runs along x: rings seen side on, pores, darkened by handling."""

    def paint(hit: Hit) -> Surface:
        surface = uniform_surface(hit, color, 0.0, rough)
        drift = 2.2 * noise(hit.x / 60, hit.y / 8) + 0.7 * noise(hit.x / 17, hit.y / 3)
        ring = np.sin((hit.y * 0.75 + hit.z * 0.45 + drift) * 2.1)
        pore = smoothstep(0.35, 0.8, noise(hit.x / 5, hit.y * 3.3 + hit.z * 2.7))
        tone = 1 + 0.13 * ring - 0.30 * pore + 0.18 * noise.fbm(hit.x / 25, (hit.y + hit.z) / 14)
        tint = np.stack([tone, tone**1.15, tone**1.35], axis=1)
        bump = np.zeros((hit.x.shape[0], 3), np.float32)
        bump[:, 1] = 0.10 * pore - 0.03 * ring
        return Surface(
            (surface.albedo * tint).astype(np.float32), surface.metal, surface.rough + 0.15 * pore, bump
        )

    return paint


def print_mask(text: str, thickness: int = 2, font: int = cv2.FONT_HERSHEY_SIMPLEX) -> Array:
    """Text as a (64, W) float32 coverage image in [0, 1], cap height about 36 pixels."""
    (width, _), _ = cv2.getTextSize(text, font, 1.6, thickness)
    canvas = np.zeros((64, width + 16), np.uint8)
    cv2.putText(canvas, text, (8, 50), font, 1.6, 255, thickness, cv2.LINE_AA)
    return canvas.astype(np.float32) / 255


def stamp(image: Array, u: Array, v: Array) -> Array:
    """Read `image` (H, W) bilinearly at u, v in [0, 1] (v down); 0 outside."""
    height, width = image.shape
    inside = (u >= 0) & (u < 1) & (v >= 0) & (v < 1)
    return np.where(inside, Baked(image, 0.5, 0.5, 1.0)(u * width, v * height), 0).astype(np.float32)


def text_mask(text: str, center: tuple[float, float], height: float, thickness: int = 3) -> Mask:
    """Mask of text that lies flat on top of an object, reading along +x, cap height in millimetres."""
    image = print_mask(text, thickness)
    tall = height * 64 / 36
    wide = tall * image.shape[1] / image.shape[0]

    def mask(hit: Hit) -> Array:
        u = (hit.x - center[0]) / wide + 0.5
        v = 0.5 - (hit.y - center[1]) / tall
        return stamp(image, u, v) * (hit.nz > 0.6)

    return mask
