"""Reading and writing of images as uint8 RGB arrays (H, W, 3)."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from pocketdet.errors import ImageError, UsageError
from pocketdet.io import MAX_IMAGE_BYTES, atomic_replace, os_errors, read_regular
from pocketdet.runtime._core import MAX_IMAGE_PIXELS as MAX_PIXELS
from pocketdet.runtime._core import MAX_IMAGE_SIDE as MAX_SIDE
from pocketdet.runtime.image_header import (
    FORMATS,
    SUFFIXES,
    UNSUPPORTED,
    declared_size,
    format_of,
    png_chunk_does_not_fit,
)

ColorOrder = Literal["RGB", "BGR"]

MAX_JPEG_SIDE = 65500  # of libjpeg
_BLOCK = 1 << 22  # pixels per conversion step


def read_image(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Decode an image file to RGB.

    The content decides the format, not the file name: JPEG, PNG, WebP, BMP, TIFF, GIF, AVIF, JPEG 2000, PNM
    or Sun raster. The EXIF orientation is applied, alpha is ignored, and 16-bit samples become `round(value /
    257)`. An animation yields its first frame.

    Args:
        path: image file.
        max_pixels: maximum number of pixels. Default: 2^28. Each side has at most 65,535 pixels.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ImageError: if the file cannot be read or decoded, or is too large.
    """
    data = _read(path)
    found = format_of(data)
    if found in UNSUPPORTED:
        raise ImageError(f"{path}: {found} images cannot be decoded; convert it to JPEG or PNG first")
    size = declared_size(data)
    if size is None:
        raise ImageError(f"{path}: expected a {FORMATS} image, found another or a damaged file")
    check_size(*size, str(path), max_pixels)
    if found == "JPEG" and max(size) > MAX_JPEG_SIDE:
        raise ImageError(
            f"{path}: expected a JPEG of at most {MAX_JPEG_SIDE} pixels a side, found {size[0]} x {size[1]}; "
            "convert it to PNG first"
        )
    damaged = f"{path}: the {found} image cannot be decoded; the file is damaged or truncated"
    if found == "PNG" and png_chunk_does_not_fit(data):  # the decoder allocates what a chunk declares
        raise ImageError(damaged)
    try:
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise ImageError(f"{path}: the {found} image cannot be decoded: {error.err}") from error
    if decoded is None:
        raise ImageError(damaged)
    check_size(decoded.shape[1], decoded.shape[0], str(path), max_pixels)
    if decoded.dtype not in (np.uint8, np.uint16):
        raise ImageError(
            f"{path}: expected 8- or 16-bit samples, found {decoded.dtype}; convert it to PNG first"
        )
    rgb = decoded if decoded.dtype == np.uint8 else np.empty(decoded.shape, np.uint8)
    for rows in _row_blocks(decoded):
        rgb[rows] = cv2.cvtColor(_to_8_bit(decoded[rows]), cv2.COLOR_BGR2RGB)
    return np.asarray(rgb, np.uint8)


def as_rgb(image: NDArray[Any], color: ColorOrder = "RGB") -> NDArray[np.uint8]:
    """Convert an array to contiguous uint8 RGB.

    Args:
        image: uint8 or uint16 (converted by `round(value / 257)`) of shape (H, W), (H, W, 1), (H, W, 3) or
            (H, W, 4) (alpha is ignored).
        color: order of the first three channels, "RGB" or "BGR".

    Returns:
        (H, W, 3) uint8 RGB; `image` itself if it needs no conversion.

    Raises:
        ImageError: for any other array.
        UsageError: for another order.
    """
    if color not in ("RGB", "BGR"):
        raise UsageError(f"color={color!r}: expected RGB or BGR")
    if not isinstance(image, np.ndarray):
        raise ImageError(f"expected an image as a numpy array (H, W, 3) uint8, found {type(image).__name__}")
    if image.dtype.kind != "u" or image.dtype.itemsize > 2:
        raise ImageError(
            f"expected an image with uint8 or uint16 samples, found {image.dtype}; "
            "scale it to 0..255 and convert it with .astype('uint8')"
        )
    channels = 1 if image.ndim == 2 else image.shape[2] if image.ndim == 3 else 0
    if channels not in (1, 3, 4):
        raise ImageError(
            "expected an image of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), "
            f"found {image.shape}{_hint(image)}"
        )
    check_size(image.shape[1], image.shape[0], "image")
    pixels = image.reshape(*image.shape[:2], channels)[..., :3]
    if image.dtype == np.uint8 and channels != 1:
        ordered = np.ascontiguousarray(pixels)
    else:
        ordered = np.empty((*image.shape[:2], 3), np.uint8)
        for rows in _row_blocks(pixels):
            ordered[rows] = _to_8_bit(pixels[rows])
    return ordered if color == "RGB" else np.asarray(cv2.cvtColor(ordered, cv2.COLOR_BGR2RGB), np.uint8)


def write_image(path: str | os.PathLike[str], image: NDArray[np.uint8]) -> None:
    """Write an image atomically in the format of the file's suffix.

    Args:
        path: target file: .jpg, .jpeg, .png, .webp, .bmp, .tif or .tiff. JPEG has quality 95.
        image: (H, W, 3) uint8 RGB.

    Raises:
        ImageError: for an unknown suffix, an image too large for the format, or a file that cannot be
            written.
    """
    target = Path(path)
    if target.suffix.lower() not in SUFFIXES:
        raise ImageError(f"{path}: expected a name that ends in one of {', '.join(sorted(SUFFIXES))}")
    bgr = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2BGR)
    whole, data = False, np.empty(0, np.uint8)
    # a setting that a format does not have is a warning of OpenCV's
    settings = [cv2.IMWRITE_JPEG_QUALITY, 95] if target.suffix.lower() in (".jpg", ".jpeg") else []
    with contextlib.suppress(cv2.error):
        whole, data = cv2.imencode(target.suffix.lower(), bgr, settings)
    if not whole:
        raise ImageError(
            f"{path}: {image.shape[1]} x {image.shape[0]} pixels do not fit this format; "
            "choose .png, or .jpg up to 65500 pixels a side"
        )
    with os_errors(ImageError, f"{path}: the image cannot be written"):
        atomic_replace(target, data.tobytes())


def _read(path: str | os.PathLike[str]) -> bytes:
    try:
        data = read_regular(path, MAX_IMAGE_BYTES)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ImageError(f"{path}: the image cannot be read: {reason}") from error
    if not data:
        raise ImageError(f"{path}: expected an image, found an empty file")
    if len(data) > MAX_IMAGE_BYTES:
        raise ImageError(f"{path}: expected an image of at most {MAX_IMAGE_BYTES} bytes, found more")
    return data


def check_size(width: int, height: int, name: str, max_pixels: int = MAX_PIXELS) -> None:
    """Raise `ImageError` if an image is empty or exceeds the limits. Messages start with `name`."""
    if width < 1 or height < 1:
        raise ImageError(f"{name}: expected an image with pixels, found {width} x {height}")
    if max(width, height) > MAX_SIDE or width * height > max_pixels:
        raise ImageError(
            f"{name}: expected at most {MAX_SIDE} pixels a side and {max_pixels} in all, "
            f"found {width} x {height}; scale it down first"
        )


def _row_blocks(pixels: NDArray[Any]) -> Iterator[slice]:
    """Yield blocks of rows, so that the conversion of a large image needs no second copy of it."""
    step = max(1, _BLOCK // pixels.shape[1])
    for first in range(0, pixels.shape[0], step):
        yield slice(first, first + step)


def _to_8_bit(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    if pixels.dtype.itemsize == 1:
        return pixels
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _hint(image: NDArray[Any]) -> str:
    if image.ndim == 3 and image.shape[0] in (1, 3, 4):
        return "; move the channels last with .transpose(1, 2, 0)"
    if image.ndim == 4 and image.shape[0] == 1:
        return "; pass one image without a batch axis"
    return ""
