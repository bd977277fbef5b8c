"""`python -m pocketdet.datasets.scenes.write_dataset OUT`: rendered scenes as a dataset in COCO json."""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pocketdet.datasets.scenes import Scene, kinds, random_scene, render_scene
from pocketdet.errors import UsageError, error_exit_code
from pocketdet.io import atomic_replace


def coco_content(named: Iterable[tuple[str, Scene]]) -> dict[str, Any]:
    """The json of images given as (file name, scene); categories are all `kinds()`, ids from 1."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, (name, scene) in enumerate(named):
        height, width = scene.image.shape[:2]
        images.append({"id": number, "file_name": name, "width": width, "height": height})
        for box, label in zip(scene.boxes.tolist(), scene.labels, strict=True):
            x1, y1, x2, y2 = box
            annotations.append(
                {
                    "id": len(annotations),
                    "image_id": number,
                    "category_id": kinds().index(label) + 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                    "iscrowd": 0,
                }
            )
    categories = [{"id": i, "name": name} for i, name in enumerate(kinds(), 1)]
    return {"images": images, "annotations": annotations, "categories": categories}


BARE_EVERY = 5  # one scene in five is ground alone, for objects of other images to be pasted on
MAX_OBJECTS = 9


def write_rendered(
    out: Path,
    count: int,
    seed: int,
    size: tuple[int, int] = (320, 320),
    step: Callable[[], None] = lambda: None,
) -> Path:
    """Render scenes `seed` to `seed + count - 1` of (width, height) into the folder `out`.

    Returns the json file, which is written last; its categories are all `kinds()` with ids from 1. About a
    second for each scene; `step` is called after each. Raises `UsageError` if `out` cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        content = coco_content(_rendered(out, count, seed, size, step))
        path = out / "scenes.json"
        atomic_replace(path, json.dumps(content).encode())
    except OSError as error:
        raise UsageError(f"{out}: cannot be written ({error.strerror}); choose another folder") from error
    return path


def _rendered(
    out: Path, count: int, seed: int, size: tuple[int, int], step: Callable[[], None]
) -> Iterator[tuple[str, Scene]]:
    for number in range(count):
        rng = np.random.default_rng(seed + number)
        spec = random_scene(rng, size, MAX_OBJECTS)
        if number % BARE_EVERY == BARE_EVERY - 1:
            spec = replace(spec, placements=())
        scene = render_scene(spec, rng)
        name = f"{number:05d}.png"
        atomic_replace(out / name, cv2.imencode(".png", scene.image[..., ::-1])[1].tobytes())
        yield name, scene
        step()


@error_exit_code
def main(arguments: list[str] | None = None) -> int:
    """Render a dataset; returns the process exit code (0, or 2 for bad input)."""
    parser = argparse.ArgumentParser(
        prog="python -m pocketdet.datasets.scenes.write_dataset", description=__doc__
    )
    parser.add_argument("out", type=Path, help="folder for the images and scenes.json")
    parser.add_argument("--count", type=int, default=500, help="how many scenes")
    parser.add_argument("--seed", type=int, default=90_000, help="of the first scene")
    parser.add_argument(
        "--size", type=int, nargs=2, default=(320, 320), metavar=("WIDTH", "HEIGHT"), help="of the images"
    )
    options = parser.parse_args(arguments)
    path = write_rendered(options.out, options.count, options.seed, tuple(options.size))
    sys.stdout.write(f"wrote {path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
