"""Pictures in and out: files and arrays become uint8 RGB (H, W, 3), or an `ImageError` says why not."""

import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pocketdet.errors import ImageError
from pocketdet.runtime.image_header import FORMATS, SUFFIXES, declared_size
from pocketdet.whole_files import replace_whole

MAX_SIDE = 1 << 15
MAX_PIXELS = 1 << 27
MAX_FILE_BYTES = 1 << 29


def read_image(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """Decode a JPEG, PNG, WebP, BMP or TIFF file to RGB (H, W, 3).

    The orientation in EXIF is applied. Grey becomes RGB; alpha is ignored, as in docs/DEFINITIONS.md; 16-bit
    samples become `round(value / 257)`. At most `MAX_SIDE` pixels a side and `MAX_PIXELS` in all.
    Raises `ImageError`.
    """
    data = _read(path)
    size = declared_size(data)
    if size is None:
        raise ImageError(f"{path}: expected a {FORMATS} picture, found another or a damaged file")
    _check_size(*size, str(path))
    try:
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise ImageError(f"{path}: the picture cannot be decoded: {error.err}") from error
    if decoded is None:
        raise ImageError(f"{path}: the picture cannot be decoded; the file is damaged or truncated")
    if decoded.dtype not in (np.uint8, np.uint16):
        raise ImageError(
            f"{path}: expected 8- or 16-bit samples, found {decoded.dtype}; convert it to PNG first"
        )
    rgb: NDArray[np.uint8] = cv2.cvtColor(_to_8_bit(decoded), cv2.COLOR_BGR2RGB)  # type: ignore[assignment]
    return rgb


def as_rgb(image: NDArray[Any]) -> NDArray[np.uint8]:
    """An array as contiguous uint8 RGB (H, W, 3).

    Takes uint8 or uint16 (`round(value / 257)`) of shape (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA
    (alpha ignored). An array that already fits is returned itself. Raises `ImageError` for anything else.
    """
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
    _check_size(image.shape[1], image.shape[0], "image")
    pixels = _to_8_bit(image.reshape(*image.shape[:2], channels)[..., :3])
    if channels == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    return np.ascontiguousarray(pixels)


def write_image(path: str | os.PathLike[str], image: NDArray[np.uint8]) -> None:
    """Write an RGB picture (H, W, 3) uint8 in the format that the suffix names; JPEG at quality 95.

    Raises `ImageError` for a suffix that is no picture's and a place that cannot be written.
    """
    target = Path(path)
    if target.suffix.lower() not in SUFFIXES:
        raise ImageError(f"{path}: expected a name that ends in one of {', '.join(sorted(SUFFIXES))}")
    bgr = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2BGR)
    data = cv2.imencode(target.suffix.lower(), bgr, [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
    try:
        replace_whole(target, data.tobytes())
    except OSError as error:
        raise ImageError(f"{path}: the picture cannot be written: {error.strerror or error}") from error


def _read(path: str | os.PathLike[str]) -> bytes:
    try:
        with Path(path).open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ImageError(f"{path}: the picture cannot be read: {reason}") from error
    if not data:
        raise ImageError(f"{path}: expected a picture, found an empty file")
    if len(data) > MAX_FILE_BYTES:
        raise ImageError(f"{path}: expected a picture of at most {MAX_FILE_BYTES} bytes, found more")
    return data


def _check_size(width: int, height: int, name: str) -> None:
    if width < 1 or height < 1:
        raise ImageError(f"{name}: expected a picture with pixels, found {width} x {height}")
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise ImageError(
            f"{name}: expected at most {MAX_SIDE} pixels a side and {MAX_PIXELS} in all, "
            f"found {width} x {height}; scale it down first"
        )


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
