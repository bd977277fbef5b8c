"""Small videos in the containers that people have."""

import struct
from pathlib import Path

import cv2
import numpy as np

# suffix -> a codec that OpenCV writes into that container
CONTAINERS = {
    ".mp4": "mp4v",
    ".mov": "mp4v",
    ".3gp": "mp4v",
    ".mkv": "mp4v",
    ".ts": "mp4v",
    ".avi": "MJPG",
    ".webm": "VP80",
    ".wmv": "WMV2",
    ".flv": "FLV1",
}
SIZE = (64, 48)  # width, height


def write_video(path: Path, frames: int, suffix: str | None = None) -> Path:
    """A video of so many frames, each redder than the last, in the container of `suffix` or else its own."""
    named = path if suffix is None else path.with_name(path.name + suffix)
    codec = cv2.VideoWriter.fourcc(*CONTAINERS[named.suffix])
    writer = cv2.VideoWriter(str(named), cv2.CAP_FFMPEG, codec, 10, SIZE)
    assert writer.isOpened()
    for i in range(frames):
        image = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
        image[..., 2] = min(12 * i, 255)  # red in OpenCV's order
        writer.write(image)
    writer.release()
    return named.replace(path)


def lengthen(path: Path, factor: float) -> None:
    """Make a Matroska or WebM file last longer than its frames, as with a sound track, or frames left out."""
    data = bytearray(path.read_bytes())
    at = data.index(b"\x44\x89\x88") + 3  # Duration, a float of 8 bytes
    (duration,) = struct.unpack_from(">d", data, at)
    struct.pack_into(">d", data, at, factor * duration)
    path.write_bytes(data)


def write_animation(path: Path, frames: int) -> Path:
    """An animated GIF, PNG, WebP or AVIF, by its suffix."""
    moving = cv2.Animation()
    moving.frames = [np.full((20, 31, 3), 40 * i, np.uint8) for i in range(frames)]
    moving.durations = [100] * frames
    assert cv2.imwriteanimation(str(path), moving)
    return path
