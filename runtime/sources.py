"""Frames from a picture, a folder of pictures, a video file or a camera."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pocketdet.errors import ImageError
from pocketdet.runtime.image_header import SUFFIXES
from pocketdet.runtime.images import as_rgb, read_image

VIDEO_SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm"})
MAX_CAMERA = 255
MAX_RATE = 1000.0
_SHORTFALL = 0.05  # containers only estimate their frame count


@dataclass(frozen=True)
class Frame:
    """One picture of a source: RGB uint8 (H, W, 3), its place from 0, and how many there are if known.

    `name` is unique within the source. `moving` tells a video or camera from pictures; `rate` is its frames
    per second, `None` where it does not tell.
    """

    name: str
    image: NDArray[np.uint8]
    index: int
    total: int | None
    moving: bool = False
    rate: float | None = None


def iter_source(source: str | os.PathLike[str] | int) -> Iterator[Frame]:
    """Frames of a picture file, a folder (sorted by name, not recursive), a video file or a camera index.

    A string of digits that names no file is a camera index. Raises `ImageError`: at once if the source does
    not exist or holds no picture, later for a picture that cannot be read or a video that ends early.
    """
    if isinstance(source, int):
        return _camera(source)
    path = Path(source)
    try:
        if path.is_dir():
            return _folder(path)
        if not path.exists():
            if str(source).isdecimal():
                return _camera(int(str(source)))
            raise ImageError(f"{source}: no such picture, folder or video, and not a camera index")
    except (OSError, ValueError) as error:
        raise ImageError(f"{str(source)!r}: not a usable path: {error}") from error
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return _video(path)
    return iter([Frame(path.stem, read_image(path), 0, 1)])


def _folder(folder: Path) -> Iterator[Frame]:
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
    if not paths:
        raise ImageError(f"{folder}: expected pictures ({', '.join(sorted(SUFFIXES))}), found none")
    stems = {p.stem for p in paths}
    names = [p.stem if len(stems) == len(paths) else p.name for p in paths]
    return (
        Frame(name, read_image(p), i, len(paths))
        for i, (name, p) in enumerate(zip(names, paths, strict=True))
    )


def _video(path: Path) -> Iterator[Frame]:
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise ImageError(f"{path}: the video cannot be opened; the file is damaged or its format is unknown")
    declared = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    return _frames(capture, path.stem, str(path), declared if 0 < declared < 1 << 31 else None)


def _camera(index: int) -> Iterator[Frame]:
    # OpenCV 5 crashes on a negative index.
    if not 0 <= index <= MAX_CAMERA:
        raise ImageError(f"camera {index}: expected an index from 0 to {MAX_CAMERA}")
    capture = cv2.VideoCapture(index)
    if not capture.isOpened():
        raise ImageError(f"camera {index}: cannot be opened; check that it is connected and not in use")
    return _frames(capture, f"camera{index}", f"camera {index}", None)


def _frames(capture: cv2.VideoCapture, name: str, label: str, total: int | None) -> Iterator[Frame]:
    index, told = 0, capture.get(cv2.CAP_PROP_FPS)
    rate = told if 0 < told < MAX_RATE else None
    try:
        while True:
            ok, picture = capture.read()
            if not ok or picture is None:
                break
            rgb = as_rgb(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
            yield Frame(f"{name}_{index:06d}", rgb, index, total, True, rate)
            index += 1
    finally:
        capture.release()
    if index == 0:
        raise ImageError(f"{label}: no frame can be read")
    if total is not None and index < total * (1 - _SHORTFALL):
        raise ImageError(f"{label}: expected {total} frames, found {index}; the file is damaged or truncated")
