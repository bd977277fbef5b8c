"""Random images that conversions are checked on, and downscaling."""

import cv2
import numpy as np
from numpy.typing import NDArray


def synthetic_image(size: tuple[int, int], seed: int = 0) -> NDArray[np.uint8]:
    """A random RGB image (H, W, 3) of soft blobs, larger than `size` and smooth, so that resizing keeps it.

    Args:
        size: (height, width) of a network input in pixels.
        seed: of the random colours.
    """
    rng = np.random.default_rng(seed)
    height, width = size[0] * 5 // 4, size[1] * 3 // 2
    coarse = rng.integers(0, 256, (height // 32 + 2, width // 32 + 2, 3), np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def downscale(image: NDArray[np.uint8], longest: int = 640) -> NDArray[np.uint8]:
    """Scale an RGB image (H, W, 3) down to at most `longest` pixels on its longer side."""
    scale = longest / max(image.shape[:2])
    if scale >= 1:
        return image
    size = (max(1, round(scale * image.shape[1])), max(1, round(scale * image.shape[0])))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
