"""The images that every target detects on: the standard frames or the user's files, as PNG with digests."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pocketdet.benchmarks.record import Image
from pocketdet.datasets.standard_frames import standard_frames
from pocketdet.errors import UsageError
from pocketdet.runtime.images import read_image


@dataclass(frozen=True)
class StagedImage:
    """An image as a PNG file, here or on a device, and what a runner must report about it."""

    path: str
    image: Image


def describe_image(name: str, pixels: NDArray[np.uint8]) -> Image:
    """Describe an image for a record.

    Args:
        name: Name of its file.
        pixels: RGB (height, width, 3).

    Returns:
        Name, size, and the SHA-256 of the pixels.
    """
    digest = hashlib.sha256(pixels.tobytes()).hexdigest()
    return Image(name=name, width=pixels.shape[1], height=pixels.shape[0], sha256=digest)


@cache
def standard_images() -> tuple[Image, ...]:
    """Describe the standard frames as a record of them does."""
    return tuple(describe_image(f"{name}.png", pixels) for name, pixels in standard_frames().items())


def stage_images(paths: Sequence[Path], folder: Path) -> tuple[StagedImage, ...]:
    """Convert images of any format to PNG, which every runner reads.

    Args:
        paths: The image files; the standard frames if there are none.
        folder: Where to write `frames/NAME.png`.

    Raises:
        ImageError: If an image cannot be read.
        UsageError: If two images have the same name.
    """
    frames = folder / "frames"
    frames.mkdir()
    return tuple(_write_png(name, pixels, frames) for name, pixels in _read(paths))


def _read(paths: Sequence[Path]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    if not paths:
        yield from standard_frames().items()
    names: dict[str, Path] = {}
    for path in paths:
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem)[:60].lstrip("-.") or "image"
        if name in names:
            raise UsageError(f"{path}: {names[name]} has the same name {name!r}; give them different names")
        names[name] = path
        yield name, read_image(path)


def _write_png(name: str, pixels: NDArray[np.uint8], folder: Path) -> StagedImage:
    file = folder / f"{name}.png"
    _, data = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    file.write_bytes(data.tobytes())
    return StagedImage(str(file), describe_image(file.name, pixels))
