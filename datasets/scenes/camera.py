"""The pinhole camera that looks down at the ground at a slight slant.

World: millimetres, x right and y up in the image, z up from the ground; the optical axis meets the
ground at the origin. Pixels: u right, v down, (0, 0) is the top left corner of the top left pixel.
"""

from dataclasses import dataclass

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
