"""Frames of an image, a folder of images, a video file or a camera."""

import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from pocketdet.errors import ImageError
from pocketdet.io import MAX_IMAGE_BYTES
from pocketdet.runtime.image_header import FORMATS, HEAD_BYTES, READ_SUFFIXES, format_of, is_animated
from pocketdet.runtime.images import as_rgb, read_image

MAX_CAMERA = 255
MAX_RATE = 1000.0
_SHORTFALL = 0.05  # share of the frames in a header that may be missing without a warning
# Motion JPEG starts like one JPEG file. Other data after a JPEG is common in files of phones.
_JPEG_STREAMS = frozenset({".mjpg", ".mjpeg"})
_MAX_BOXES = 100_000


@dataclass(frozen=True)
class Frame:
    """One image of a source.

    Attributes:
        name: unique within the source.
        image: (H, W, 3) uint8 RGB.
        index: position from 0.
        total: number of images if known; an estimate for a video.
        moving: whether the source is a video or camera.
        rate: frames per second of a video or camera if known.
    """

    name: str
    image: NDArray[np.uint8]
    index: int
    total: int | None
    moving: bool = False
    rate: float | None = None


@dataclass(frozen=True)
class Problem:
    """A problem with a file of a source. `lost`: part of the file could not be read; otherwise a warning."""

    file: str
    message: str
    lost: bool


Report = Callable[[Problem], None]


def iter_source(source: str | os.PathLike[str] | int, report: Report | None = None) -> Iterator[Frame]:
    """Iterate over the frames of a source.

    The content of a file decides its type, not its name: an image that `read_image` reads, or a video that
    OpenCV opens, including animated GIF and PNG.

    Args:
        source: an image file, a folder (images sorted by name, not recursive; other files are skipped), a
            video file or a camera index. A string of digits that is not a file is a camera index.
        report: called for each problem after which reading continues: an unreadable image of a folder, a
            truncated video, and as warnings a video with fewer frames than its header estimates and files of
            a folder that are not images. Default: the former raise `ImageError`, the latter are Python
            warnings.

    Raises:
        ImageError: if the source does not exist or contains no image; during iteration for an unreadable
            image or a video without a readable frame.
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
            raise ImageError(f"{source}: no such image, folder or video, and not a camera index")
        still = not path.is_file() or _is_still(path)
    except (OSError, ValueError) as error:
        raise ImageError(f"{str(source)!r}: not a usable path: {error}") from error
    return iter([Frame(path.stem, read_image(path), 0, 1)]) if still else _video(path, report)


def image_paths(folder: Path) -> list[Path]:
    """Return the images of a folder by content or suffix, sorted by name, without hidden files.

    Raises:
        ImageError: if there are none.
    """
    return _images_and_others(folder)[0]


def _images_and_others(folder: Path) -> tuple[list[Path], list[Path]]:
    """The images of a folder, and its other files. Raises as `image_paths`."""
    try:
        files = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    except OSError as error:
        raise ImageError(f"{folder}: cannot be read as a folder of images: {error.strerror}") from error
    images: list[Path] = []
    others: list[Path] = []
    for path in files:
        is_image = path.suffix.lower() in READ_SUFFIXES or _is_image(path)
        (images if is_image else others).append(path)
    if not images:
        raise ImageError(f"{folder}: expected images ({FORMATS}), found none")
    return images, others


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
    """Whether a file is a single image and not a video or an animation. Raises `OSError`."""
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
        kind = format_of(head)
        if kind == "JPEG" and path.suffix.lower() in _JPEG_STREAMS:
            return False
        if kind not in ("GIF", "PNG"):
            return kind is not None or not head
        return not is_animated(head + stream.read(MAX_IMAGE_BYTES if kind == "GIF" else 1 << 16))


def _folder(folder: Path, report: Report) -> Iterator[Frame]:
    paths, others = _images_and_others(folder)
    if others:
        shown = ", ".join(p.name for p in others[:3]) + ", ..." * (len(others) > 3)
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
    """Open a video through a neutral link name, so that its content decides.

    By the file name alone, FFmpeg opens text files as videos and OpenCV treats digits as an image sequence.
    Relative paths in a playlist do not resolve.
    """
    with tempfile.TemporaryDirectory(prefix="pocketdet-") as folder:
        link = Path(folder) / "video"
        try:
            link.symlink_to(path.absolute())
        except OSError:  # not every system has links
            link = path
        return cv2.VideoCapture(str(link))


def _watched(capture: cv2.VideoCapture, path: Path, total: int | None, report: Report) -> Iterator[Frame]:
    """Yield the frames of a video, then report missing ones."""
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


def missing_bytes(path: Path) -> int:
    """Return how many bytes of an AVI, MP4, QuickTime, Matroska or WebM file are missing by its structure.

    0 for a complete file and for other formats. Raises `OSError`.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(64)
        if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
            end = 8 + int.from_bytes(head[4:8], "little")
        elif head.startswith(b"\x1a\x45\xdf\xa3"):
            end = _matroska_end(head)
        elif head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
            end = _boxes_end(stream, size)
        else:
            end = 0
    return max(0, end - size)


def _boxes_end(stream: BinaryIO, size: int) -> int:
    """End of the last top-level box (ISO/IEC 14496-12, 4.2; QuickTime atoms have the same structure)."""
    at = 0
    for _ in range(_MAX_BOXES):
        if at >= size:
            break
        stream.seek(at)
        head = stream.read(16)
        length, least = int.from_bytes(head[:4], "big"), 8
        if length == 1 and len(head) == 16:
            length, least = int.from_bytes(head[8:16], "big"), 16
        if not head[4:8].isalnum() or length < least:  # 0: up to the end of the file
            break
        at += length
    return at


def _matroska_end(head: bytes) -> int:
    """End of the segment after the EBML header; 0 if its size is unknown (RFC 8794)."""
    length, used = _vint(head, 4)
    at = 4 + used + length
    if head[at : at + 4] != b"\x18\x53\x80\x67":
        return 0
    length, used = _vint(head, at + 4)
    unknown = length == (1 << 7 * used) - 1
    return 0 if unknown or not used else at + 4 + used + length


def _vint(head: bytes, at: int) -> tuple[int, int]:
    """A variable-length integer and its number of bytes; (0, 0) if it is truncated."""
    used = 9 - head[at].bit_length() if at < len(head) else 0
    data = head[at : at + used]
    if not 1 <= used <= 8 or len(data) < used:
        return 0, 0
    return int.from_bytes(data, "big") & (1 << 7 * used) - 1, used
