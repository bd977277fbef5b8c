"""Decoding the images of a dataset."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pocketdet.errors import ImageError
from pocketdet.io import MAX_IMAGE_BYTES, read_regular

_JPEG_START, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"


def read_stored_image(path: Path) -> NDArray[np.uint8]:
    """Decode to RGB (H, W, 3), without the rotation that EXIF asks for: boxes refer to stored pixels.

    Raises `ImageError` if the file is missing, is no image, or is a JPEG that stops before its end
    (which decoders fill with grey and call a success).
    """
    try:
        data = read_regular(path, MAX_IMAGE_BYTES)
    except OSError as error:
        raise ImageError(f"{path}: cannot be read: {error.strerror}") from error
    if data.startswith(_JPEG_START) and _JPEG_END not in data[-1024:]:
        raise ImageError(f"{path}: the JPEG stops before its end")
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    if decoded is None:
        raise ImageError(f"{path}: no image that can be decoded ({len(data)} bytes)")
    rgb: NDArray[np.uint8] = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)  # type: ignore[assignment]
    return rgb
