"""The pinhole camera that looks down at the ground at a slight slant.

World: millimetres, x right and y up in the image, z up from the ground; the optical axis meets the
ground at the origin. Pixels: u right, v down, (0, 0) is the top left corner of the top left pixel.

`develop` applies exposure, vignette, blur, sensor noise, the tone curve and the conversion to sRGB.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .sdf import Array

FIELD_OF_VIEW = np.radians(34.0)


@dataclass(frozen=True)
class Camera:
    """A camera of width x height pixels that sees `view_mm` of ground across its middle row.

    Attributes:
        width, height: image size in pixels.
        view_mm: ground width at the centre of the image.
        tilt: slant from straight down, degrees.
    """

    width: int
    height: int
    view_mm: float
    tilt: float

    @property
    def focal(self) -> float:
        """Focal length in pixels; the field of view is that of the longer side."""
        return max(self.width, self.height) / 2 / float(np.tan(FIELD_OF_VIEW / 2))

    @property
    def mm_per_pixel(self) -> float:
        """Ground millimetres per pixel at the centre."""
        return self.view_mm / self.width

    @property
    def axes(self) -> NDArray[np.float64]:
        """(3, 3) rows: right, up and forward of the camera in the world."""
        c, s = np.cos(np.radians(self.tilt)), np.sin(np.radians(self.tilt))
        return np.array([[1, 0, 0], [0, c, s], [0, s, -c]])

    @property
    def origin(self) -> Array:
        """(3,) position of the camera."""
        distance = self.focal * self.mm_per_pixel
        return np.asarray(-distance * self.axes[2], np.float32)

    def rays(self, u: Array, v: Array) -> Array:
        """(3, N) unit directions through pixel positions u, v (N,)."""
        right, up, forward = self.axes.astype(np.float32)
        a, b = (u - self.width / 2) / self.focal, (self.height / 2 - v) / self.focal
        d = forward[:, None] + right[:, None] * a + up[:, None] * b
        return np.asarray(d / np.sqrt((d * d).sum(axis=0)), np.float32)

    def project(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """(N, 2) pixel positions of world points (N, 3) in front of the camera."""
        local = (np.asarray(points, np.float64) - self.origin) @ self.axes.T
        scale = self.focal / np.maximum(local[:, 2], 1e-3)
        return np.stack([self.width / 2 + local[:, 0] * scale, self.height / 2 - local[:, 1] * scale], axis=1)

    def ground(self, u: float, v: float) -> tuple[float, float]:
        """World x, y of the ground point seen at pixel (u, v)."""
        d = self.rays(np.array([u], np.float32), np.array([v], np.float32))[:, 0].astype(np.float64)
        t = -float(self.origin[2]) / float(d[2])
        return float(self.origin[0] + t * d[0]), float(self.origin[1] + t * d[1])


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
