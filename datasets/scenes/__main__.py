"""`python -m pocketdet.datasets.scenes OUT`: render the demo image, or a random scene."""

import argparse
import json
import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pocketdet.errors import UsageError, error_exit_code
from pocketdet.io import atomic_write

from .compose import render_scene
from .layouts import demo_scene, random_scene
from .spec import Scene
from .write_dataset import coco_content

JPEG_QUALITY = 92
DEMO_SEED = 16
DEMO_SIZE = (640, 480)  # what phones give a detector

Image = NDArray[np.uint8]


def _size(text: str) -> tuple[int, int]:
    try:
        width, height = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected WxH such as 640x480, got {text!r}") from None
    return width, height


def _with_boxes(scene: Scene) -> Image:
    image = scene.image.copy()
    for box, label in zip(scene.boxes, scene.labels, strict=True):
        x1, y1, x2, y2 = (round(float(v)) for v in box)
        cv2.rectangle(image, (x1, y1), (x2, y2), (255, 210, 0), 1, cv2.LINE_AA)
        cv2.putText(image, label, (x1, max(y1 - 4, 10)), 0, 0.45, (255, 210, 0), 1, cv2.LINE_AA)
    return image


@error_exit_code
def main(arguments: list[str] | None = None) -> int:
    """Render one image; returns the process exit code (0, or 2 for bad input)."""
    parser = argparse.ArgumentParser(prog="python -m pocketdet.datasets.scenes", description=__doc__)
    parser.add_argument("out", type=Path, help="image to write, .png or .jpg")
    parser.add_argument(
        "--seed", type=int, default=DEMO_SEED, help="draws the ground, and the scene with --random"
    )
    parser.add_argument("--random", action="store_true", help="a random scene instead of the demo image")
    parser.add_argument("--size", type=_size, help="WxH in pixels, 640x480 by default")
    parser.add_argument("--boxes", action="store_true", help="draw the boxes and labels")
    parser.add_argument("--coco", type=Path, help="COCO json to write with what lies where")
    options = parser.parse_args(arguments)
    scene = _scene(options.seed, options.random, options.size)
    atomic_write(options.out, _encoded(options.out, _with_boxes(scene) if options.boxes else scene.image))
    if options.coco:
        content = coco_content([(options.out.name, scene)])
        atomic_write(options.coco, json.dumps(content, indent=1) + "\n")
    return 0


def _scene(seed: int, is_random: bool, size: tuple[int, int] | None) -> Scene:
    rng = np.random.default_rng(seed)
    size = size or DEMO_SIZE
    spec = random_scene(rng, size) if is_random else demo_scene(size)
    return render_scene(spec, rng)


def _encoded(out: Path, image: Image) -> bytes:
    if out.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise UsageError(f"{out}: the image must end in .png or .jpg")
    settings = [] if out.suffix.lower() == ".png" else [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    ok, data = cv2.imencode(out.suffix, image[..., ::-1], settings)
    if not ok:
        raise UsageError(f"{out}: the image could not be encoded")
    return data.tobytes()


if __name__ == "__main__":
    sys.exit(main())
