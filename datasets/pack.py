"""Annotated images in less space, for training where they have to be sent to: smaller images, COCO json.

    python -m pocketdet.datasets.pack DATA [--images FOLDER] [--split SPLIT] --out FOLDER [--side 320]

DATA is what `pocketdet train` reads: a COCO json file with the folder of its images, or a Pascal VOC or YOLO
folder. FOLDER gets images/ (JPEG, the longer side at most 320 pixels) and annotations.json, the last file.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pocketdet.datasets.image_file import read_stored_image
from pocketdet.datasets.layout import DataSource, read_source
from pocketdet.datasets.records import Dataset, ImageAnnotations, check_dataset, keep_sound
from pocketdet.errors import UsageError, error_exit_code
from pocketdet.io import atomic_write

QUALITY: Final = 90  # of JPEG
SIDE: Final = 320


def pack(dataset: Dataset, out: Path, side: int = SIDE) -> Path:
    """Write a dataset with images of at most `side` pixels; smaller ones keep their size.

    Args:
        dataset: images and their objects; what is ignored becomes a crowd.
        out: the folder, made if it is missing.
        side: the longer side in pixels, at least 32.

    Returns:
        The COCO json file.

    Raises:
        UsageError: if `side` is too small, or a file cannot be written.
        ImageError: if an image cannot be read.
    """
    if side < 32:
        raise UsageError(f"--side {side}: expected at least 32 pixels")
    folder = out / "images"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder}: no folder can be made there: {error.strerror}") from error
    images: list[dict[str, Any]] = []
    entries: list[dict[str, Any]] = []
    for number, one in enumerate(dataset.images):
        small, scale = _smaller(read_stored_image(one.path), side)
        name = f"{number:06d}.jpg"
        atomic_write(folder / name, _jpeg(small))
        height, width = small.shape[:2]
        images.append({"id": number, "file_name": name, "width": width, "height": height})
        entries += _entries(one, number, len(entries), scale)
    categories = [{"id": number, "name": name} for number, name in enumerate(dataset.class_names, 1)]
    content = {"images": images, "annotations": entries, "categories": categories}
    atomic_write(out / "annotations.json", json.dumps(content))
    return out / "annotations.json"


def _smaller(image: NDArray[np.uint8], side: int) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """An image (H, W, 3), and the scale (x, y) that it was resized with."""
    height, width = image.shape[:2]
    if max(height, width) <= side:
        return image, np.ones(2)
    ratio = side / max(height, width)
    size = max(1, round(width * ratio)), max(1, round(height * ratio))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
    return small, np.array(size) / (width, height)


def _jpeg(image: NDArray[np.uint8]) -> bytes:
    made, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    assert made
    return data.tobytes()


def _entries(
    one: ImageAnnotations, image_id: int, first: int, scale: NDArray[np.float64]
) -> list[dict[str, Any]]:
    boxes = one.boxes.astype(np.float64) * np.tile(scale, 2)
    entries = []
    for place, (box, label, ignored) in enumerate(
        zip(boxes.tolist(), one.labels.tolist(), one.ignored.tolist(), strict=True)
    ):
        x1, y1, x2, y2 = (round(value, 2) for value in box)
        extent = [x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)]
        area = round(extent[2] * extent[3], 2)
        entry = {"id": first + place, "image_id": image_id, "category_id": label + 1, "bbox": extent}
        entries.append({**entry, "area": area, "iscrowd": int(ignored)})
    return entries


@error_exit_code
def main(arguments: Sequence[str] | None = None) -> int:
    """Pack a dataset.

    Args:
        arguments: The command line; `None` for that of the process.

    Returns:
        The exit code; a `PocketdetError` is written as one sentence.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path, help="a COCO json file, or a Pascal VOC or YOLO folder")
    parser.add_argument("--images", type=Path, help="folder of the images of a COCO file")
    parser.add_argument("--split", help="part of a folder")
    parser.add_argument("--out", type=Path, required=True, help="folder of the files")
    parser.add_argument("--side", type=int, default=SIDE, help="longer side in pixels, 320 by default")
    chosen = parser.parse_args(arguments)
    source = DataSource(chosen.data, chosen.images, split=chosen.split)
    dataset = keep_sound(check_dataset(read_source(source)), skip_bad=False)
    sys.stdout.write(f"wrote {pack(dataset, chosen.out, chosen.side)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
