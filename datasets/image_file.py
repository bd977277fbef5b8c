"""The images of a dataset: decoding, and finding them in folders."""

import io
import warnings
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pocketdet.errors import ImageError, UsageError, did_you_mean
from pocketdet.io import MAX_IMAGE_BYTES, read_regular

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
_JPEG_START, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
_EXIF_ORIENTATION = 0x0112


def read_stored_image(path: Path) -> NDArray[np.uint8]:
    """Decode to RGB (H, W, 3), without the rotation that EXIF asks for: boxes refer to stored pixels.

    Raises `ImageError` if the file is missing, is no image, or is a JPEG that stops before its end
    (which decoders fill with grey and call a success).
    """
    data = _read(path)
    if data.startswith(_JPEG_START) and _JPEG_END not in data[-1024:]:
        raise ImageError(f"{path}: the JPEG stops before its end")
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    if decoded is None:
        raise ImageError(f"{path}: no image that can be decoded ({len(data)} bytes)")
    rgb: NDArray[np.uint8] = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)  # type: ignore[assignment]
    return rgb


def read_stored_size(path: Path) -> tuple[tuple[int, int], int]:
    """The (width, height) of the stored pixels and the EXIF orientation, 1 to 8, without decoding.

    Raises:
        ImageError: if the file is missing or no image.
        UsageError: if Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise UsageError("YOLO labels need Pillow: pip install 'pocketdet[accuracy]'") from error
    data = _read(path)
    try:
        with warnings.catch_warnings(action="ignore"):  # of large images
            image = Image.open(io.BytesIO(data))
            orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError, ... for a bad file
        raise ImageError(f"{path}: no image that can be decoded ({len(data)} bytes)") from error
    return image.size, orientation if orientation in range(1, 9) else 1


def _read(path: Path) -> bytes:
    try:
        return read_regular(path, MAX_IMAGE_BYTES)
    except OSError as error:
        raise ImageError(f"{path}: cannot be read: {error.strerror}") from error


def folder_named(root: Path, name: str) -> Path | None:
    """The folder in `root` that has a name (lower case) in any case, if there is one."""
    return next((path for path in subfolders(root) if path.name.lower() == name), None)


def subfolders(root: Path) -> list[Path]:
    """The folders in `root`, without hidden ones, by name; none if there is no such folder."""
    if not root.is_dir():
        return []
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def is_image(path: Path) -> bool:
    """Whether a file is an image by its name."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def find_image(folder: Path, file_name: str, stem: str) -> Path:
    """The image that an annotation file names; where there is none, the one that has its own stem."""
    named = folder / file_name
    if named.is_file():
        return named
    candidates = (folder / f"{stem}{suffix}" for suffix in IMAGE_SUFFIXES)
    return next((path for path in candidates if path.is_file()), named)


def unknown_split(where: Path, split: str | None, splits: Iterable[str]) -> UsageError:
    """To be raised where `split` is not among the `splits` of a folder."""
    known = ", ".join(splits)
    if split is None:
        return UsageError(f"{where}: name a split; it has {known}")
    hint = did_you_mean(split, splits) if known else "; leave the split out"
    return UsageError(f"{where}: no split {split!r}: it has {known or 'none'}{hint}")


def no_such_path(path: Path) -> UsageError:
    """To be raised where there is nothing at `path`: with the nearest name in its folder."""
    if not path.parent.is_dir():
        missing = next(folder for folder in (*reversed(path.parents), path) if not folder.exists())
        return UsageError(f"{path}: no such file or folder: {missing} does not exist")
    hint = did_you_mean(path.name, (each.name for each in path.parent.iterdir()))
    return UsageError(f"{path}: no such file or folder{hint}")
