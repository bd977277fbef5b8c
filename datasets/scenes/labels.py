"""Rendered scenes as a labelled dataset in COCO json."""

from collections.abc import Iterable
from typing import Any

from .catalog import kinds
from .spec import Scene


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
