"""The camera's own doing: exposure, vignette, blur, sensor noise, tone curve and the step to sRGB."""

import cv2
import numpy as np
from numpy.typing import NDArray

from .sdf import Array

LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)


def tone_curve(linear: Array) -> Array:
    """Linear scene light to linear display light in [0, 1): straight in the shadows, a soft shoulder."""
    knee = np.float32(0.55)
    over = np.maximum(linear - knee, 0)
    shoulder: Array = (1 - knee) * (1 - np.exp(-over / (1 - knee) * 0.8))
    return shoulder + np.minimum(linear, knee)


def contrast(display: Array) -> Array:
    """A gentle S-curve on display values in [0, 1]: deeper shadows, brighter lights."""
    return display + np.float32(0.35) * display * (1 - display) * (display - np.float32(0.42))


def to_srgb(linear: Array) -> Array:
    """The sRGB transfer curve (IEC 61966-2-1) on values in [0, 1]."""
    x = np.clip(linear, 0, 1)
    return np.where(x <= 0.0031308, 12.92 * x, 1.055 * np.maximum(x, 1e-8) ** (1 / 2.4) - 0.055)


def _lens(image: Array, tilt: float) -> Array:
    """Focus on the middle: rows far from it blur by up to about a pixel, more so under a larger tilt."""
    height, width = image.shape[:2]
    spread = 0.0011 * max(height, width) * (0.4 + tilt / 25)
    soft = cv2.GaussianBlur(image, (0, 0), max(spread, 0.45))
    y = np.abs(np.linspace(-1, 1, height, dtype=np.float32))[:, None, None]
    return image + (soft - image) * np.clip(y * 1.25 - 0.35, 0, 1) ** 1.5


def _bloom(image: Array) -> Array:
    """A little of each highlight spills around it, as in a real lens."""
    bright = np.clip(image - 1.0, 0, 3)
    wide = cv2.GaussianBlur(bright, (0, 0), max(image.shape[:2]) / 170)
    spill = np.asarray(wide - bright * 0.3, np.float32)
    return image + np.float32(0.22) * spill


def _sharpen(image: Array) -> Array:
    """The mild unsharp mask that every camera applies to its own files."""
    return image + np.float32(0.28) * (image - cv2.GaussianBlur(image, (0, 0), 0.9))


def develop(
    radiance: Array, size: tuple[int, int], exposure: float, tilt: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 sRGB of `size` (width, height) from linear radiance at twice that size.

    Auto-exposure maps the mean luminance to a middle grey before `exposure` is applied.
    """
    mean = float(np.exp(np.log(np.maximum(radiance[::4, ::4] @ LUMINANCE, 1e-3)).mean()))
    image = radiance * np.float32(0.33 * exposure / mean)
    image = cv2.resize(np.minimum(image, 3.5), size, interpolation=cv2.INTER_AREA).astype(np.float32)
    image = _lens(_bloom(image), tilt).astype(np.float32)
    height, width = image.shape[:2]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None] * (width / max(width, height))
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None] * (height / max(width, height))
    image = image * (1 - 0.17 * (x * x + y * y))[..., None]
    image = np.maximum(_sharpen(image), 0)
    shot = rng.standard_normal(image.shape, dtype=np.float32)
    grain = 0.6 * shot + 0.4 * cv2.GaussianBlur(shot, (0, 0), 0.8) * 2
    image = image + grain * (0.0035 + 0.010 * np.sqrt(np.maximum(image, 0))) * 0.7
    return (np.clip(contrast(to_srgb(tone_curve(image))), 0, 1) * 255 + 0.5).astype(np.uint8)
