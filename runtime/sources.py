"""Frames from an image, a folder of images, a video file or a camera."""

import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pocketdet.errors import ImageError
from pocketdet.runtime.containers import missing_bytes
from pocketdet.runtime.image_header import FORMATS, HEAD_BYTES, READ_SUFFIXES, format_of, is_animated
from pocketdet.runtime.images import MAX_FILE_BYTES, as_rgb, read_image

MAX_CAMERA = 255
MAX_RATE = 1000.0
_SHORTFALL = 0.05  # of the frames that a header announces: below it nothing is said
_JPEG_STREAMS = frozenset(
    {".mjpg", ".mjpeg"}
)  # begin as one JPEG does, after which a phone puts other things, too


@dataclass(frozen=True)
class Frame:
    """One image of a source: RGB uint8 (H, W, 3), its place from 0, and how many there are if known.

    `name` is unique within the source. `moving` tells a video or camera from images; `rate` is its frames
    per second, `None` if it is not known. `total` of a video is an estimate.
    """

    name: str
    image: NDArray[np.uint8]
    index: int
    total: int | None
    moving: bool = False
    rate: float | None = None


@dataclass(frozen=True)
class Problem:
    """What is wrong with a file of a source: `lost` if something of it was not read, else it is a warning."""

    file: str
    message: str
    lost: bool


Report = Callable[[Problem], None]


def iter_source(source: str | os.PathLike[str] | int, report: Report | None = None) -> Iterator[Frame]:
    """Frames of an image file, a folder (sorted by name, not recursive), a video file or a camera index.

    What a file is follows from its content, not from its name: an image that `read_image` takes, or any video
    that OpenCV opens, an animated GIF or PNG among them. In a folder, images are read and other files are
    left out. A string of digits that names no file is a camera index.

    `report` is called for each problem after which reading goes on: an image of a folder that cannot be read,
    a video that is cut off, and, as a warning, a video with fewer frames than its header announces, which
    only estimates them, and the files of a folder that are not images.
    Without `report` the former raise `ImageError`, the latter is a Python warning.

    Raises `ImageError`: at once if the source does not exist or holds no image, later for one image that
    cannot be read or a video without a frame that can.
    """
    report = report or _raise_or_warn
    if isinstance(source, int):
        return _camera(source)
    path = Path(source)
    try:
        if path.is_dir():
            return _folder(path, report)
        if not path.exists():
            if str(source).isdecimal():
                return _camera(int(str(source)))
            raise ImageError(f"{source}: no such picture, folder or video, and not a camera index")
        still = not path.is_file() or _is_still(path)
    except (OSError, ValueError) as error:
        raise ImageError(f"{str(source)!r}: not a usable path: {error}") from error
    return iter([Frame(path.stem, read_image(path), 0, 1)]) if still else _video(path, report)


def image_paths(folder: Path) -> list[Path]:
    """The images in a folder by content, and files that only their names call images; sorted by name.

    Hidden files and those in folders below are left out. Raises `ImageError` if there are none.
    """
    try:
        files = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    except OSError as error:
        raise ImageError(f"{folder}: cannot be read as a folder of images: {error.strerror}") from error
    found = [p for p in files if p.suffix.lower() in READ_SUFFIXES or _is_image(p)]
    if not found:
        raise ImageError(f"{folder}: expected pictures ({FORMATS}), found none")
    return found


def _raise_or_warn(problem: Problem) -> None:
    if problem.lost:
        raise ImageError(problem.message)
    warnings.warn(problem.message, stacklevel=3)


def _is_image(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return format_of(stream.read(HEAD_BYTES)) is not None
    except OSError:
        return False


def _is_still(path: Path) -> bool:
    """Whether a file is one image, and not a video or an animation. Raises `OSError`."""
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
        kind = format_of(head)
        if kind == "JPEG" and path.suffix.lower() in _JPEG_STREAMS:
            return False
        if kind not in ("GIF", "PNG"):
            return kind is not None or not head
        return not is_animated(head + stream.read(MAX_FILE_BYTES if kind == "GIF" else 1 << 16))


def _folder(folder: Path, report: Report) -> Iterator[Frame]:
    paths = image_paths(folder)
    others = [p.name for p in folder.iterdir() if p.is_file() and not p.name.startswith(".")]
    others = sorted(set(others) - {p.name for p in paths})
    if others:
        shown = ", ".join(others[:3]) + ", ..." * (len(others) > 3)
        count = "1 file is not an image" if len(others) == 1 else f"{len(others)} files are not images"
        report(Problem(str(folder), f"{folder}: {count}, not read: {shown}", lost=False))
    stems = {p.stem for p in paths}
    names = [p.stem if len(stems) == len(paths) else p.name for p in paths]
    return _images(paths, names, report)


def _images(paths: list[Path], names: list[str], report: Report) -> Iterator[Frame]:
    for index, (path, name) in enumerate(zip(paths, names, strict=True)):
        try:
            image = read_image(path)
        except ImageError as error:
            report(Problem(str(path), str(error), lost=True))
            continue
        yield Frame(name, image, index, len(paths))


def _video(path: Path, report: Report) -> Iterator[Frame]:
    capture = _open(path)
    if not capture.isOpened():
        raise ImageError(
            f"{path}: expected an image ({FORMATS}) or a video, found neither; "
            "the file is damaged or its format is unknown"
        )
    declared = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    return _watched(capture, path, int(declared) if 0 < declared < 1 << 31 else None, report)


def _open(path: Path) -> cv2.VideoCapture:
    """Opened under a name that says nothing, so that the content decides.

    By the name alone FFmpeg would take a text file for a video, and OpenCV digits for a row of images; and a
    playlist's relative paths lead nowhere.
    """
    with tempfile.TemporaryDirectory(prefix="pocketdet-") as folder:
        link = Path(folder) / "video"
        try:
            link.symlink_to(path.absolute())
        except OSError:  # not every system has links
            link = path
        return cv2.VideoCapture(str(link))


def _watched(capture: cv2.VideoCapture, path: Path, total: int | None, report: Report) -> Iterator[Frame]:
    """Its frames, then what is wrong with how many they were."""
    count = 0
    for frame in _frames(capture, path.stem, str(path), total):
        count = frame.index + 1
        yield frame
    missing = missing_bytes(path)
    if missing:
        message = f"{path}: the file is cut off {missing} bytes before its end; {count} frames could be read"
        report(Problem(str(path), message, lost=True))
    elif total is not None and count < total * (1 - _SHORTFALL):
        message = (
            f"{path}: {count} frames could be read, its header estimates {total}; "
            "frames were dropped when it was made, or its end is missing"
        )
        report(Problem(str(path), message, lost=False))


def _camera(index: int) -> Iterator[Frame]:
    # OpenCV 5 crashes on a negative index.
    if not 0 <= index <= MAX_CAMERA:
        raise ImageError(f"camera {index}: expected an index from 0 to {MAX_CAMERA}")
    capture = cv2.VideoCapture(index)
    if not capture.isOpened():
        raise ImageError(f"camera {index}: cannot be opened; check that it is connected and not in use")
    return _frames(capture, f"camera{index}", f"camera {index}", None)


def _frames(capture: cv2.VideoCapture, name: str, label: str, total: int | None) -> Iterator[Frame]:
    index, said = 0, capture.get(cv2.CAP_PROP_FPS)
    rate = said if 0 < said < MAX_RATE else None
    try:
        while True:
            try:
                ok, image = capture.read()
            except cv2.error as error:
                raise ImageError(f"{label}: frame {index} cannot be decoded: {error.err}") from error
            if not ok or image is None:
                break
            rgb = as_rgb(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
            yield Frame(f"{name}_{index:06d}", rgb, index, total, True, rate)
            index += 1
    finally:
        capture.release()
    if index == 0:
        raise ImageError(f"{label}: no frame can be read")
