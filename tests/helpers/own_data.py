"""A dozen annotated images of three classes as users have them: Pascal VOC, YOLO and COCO."""

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

NAMES = ("crate", "pallet", "barrel")  # in the order of the indices; not alphabetical
SIZE = (64, 48)  # width, height
COUNT, TRAINED = 12, 8  # the others are for evaluation


@dataclass(frozen=True)
class Annotated:
    """An image (48, 64, 3) RGB with a box (x1, y1, x2, y2) in whole pixels for each label."""

    stem: str
    image: NDArray[np.uint8]
    boxes: tuple[tuple[int, int, int, int], ...]
    labels: tuple[int, ...]


def dozen() -> list[Annotated]:
    """Every class is in both parts; a few images have two objects, the last none."""
    made = []
    for index in range(COUNT):
        rng = np.random.default_rng(index)
        image = rng.integers(0, 90, (SIZE[1], SIZE[0], 3), np.uint8)
        labels = (index % 3, (index + 1) % 3)[: 1 + index % 2] if index < COUNT - 1 else ()
        boxes = tuple((4 + 30 * k, 6 + index, 28 + 30 * k, 30 + index) for k in range(len(labels)))
        for (x1, y1, x2, y2), label in zip(boxes, labels, strict=True):
            image[y1:y2, x1:x2] = 30
            image[y1:y2, x1:x2, label] = 250
        made.append(Annotated(f"photo{index:02d}", image, boxes, labels))
    return made


def write_voc(root: Path, *, lists: bool = True) -> Path:
    """A folder as the VOC devkit has it; without `lists` as annotation tools do."""
    for part in ("Annotations", "JPEGImages", "ImageSets/Main")[: 3 if lists else 2]:
        (root / part).mkdir(parents=True)
    for one in dozen():
        write_image(root / "JPEGImages" / f"{one.stem}.png", one)
        (root / "Annotations" / f"{one.stem}.xml").write_text(voc_xml(one), encoding="utf-8")
    for split, stems in splits().items() if lists else ():
        (root / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(stems), encoding="utf-8")
    return root


def write_yolo(root: Path, *, yaml: bool = True) -> Path:
    """images/SPLIT and labels/SPLIT, with data.yaml or classes.txt."""
    for split, stems in splits().items():
        for part in ("images", "labels"):
            (root / part / split).mkdir(parents=True)
        for one in dozen():
            if one.stem in stems:
                write_image(root / "images" / split / f"{one.stem}.png", one)
                (root / "labels" / split / f"{one.stem}.txt").write_text(yolo_text(one), encoding="utf-8")
    if yaml:
        text = f"path: .\ntrain: images/train\nval: images/val\nnames: {json.dumps(NAMES)}\n"
        (root / "data.yaml").write_text(text, encoding="utf-8")
    else:
        (root / "classes.txt").write_text("\n".join(NAMES), encoding="utf-8")
    return root


def write_coco(root: Path) -> Path:
    """annotations/instances_SPLIT.json and SPLIT/."""
    (root / "annotations").mkdir(parents=True)
    for split, stems in splits().items():
        (root / split).mkdir()
        part = [one for one in dozen() if one.stem in stems]
        for one in part:
            write_image(root / split / f"{one.stem}.png", one)
        path = root / "annotations" / f"instances_{split}.json"
        path.write_text(json.dumps(coco_content(part)), encoding="utf-8")
    return root


def splits() -> dict[str, list[str]]:
    stems = [one.stem for one in dozen()]
    return {"train": stems[:TRAINED], "val": stems[TRAINED:]}


def write_image(path: Path, one: Annotated) -> None:
    assert cv2.imwrite(str(path), one.image[..., ::-1])


def voc_xml(one: Annotated) -> str:
    objects = "".join(
        f"<object><name>{NAMES[label]}</name><bndbox><xmin>{x1 + 1}</xmin><ymin>{y1 + 1}</ymin>"
        f"<xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
        for (x1, y1, x2, y2), label in zip(one.boxes, one.labels, strict=True)
    )
    size = f"<size><width>{SIZE[0]}</width><height>{SIZE[1]}</height></size>"
    return f"<annotation><filename>{one.stem}.png</filename>{size}{objects}</annotation>"


def yolo_text(one: Annotated) -> str:
    width, height = SIZE
    return "".join(
        f"{label} {(x1 + x2) / 2 / width} {(y1 + y2) / 2 / height} {(x2 - x1) / width} {(y2 - y1) / height}\n"
        for (x1, y1, x2, y2), label in zip(one.boxes, one.labels, strict=True)
    )


def coco_content(part: list[Annotated]) -> dict[str, object]:
    images, entries = [], list[dict[str, object]]()
    for index, one in enumerate(part):
        images.append({"id": index, "file_name": f"{one.stem}.png", "width": SIZE[0], "height": SIZE[1]})
        for (x1, y1, x2, y2), label in zip(one.boxes, one.labels, strict=True):
            entry = {"image_id": index, "category_id": label + 1, "bbox": [x1, y1, x2 - x1, y2 - y1]}
            entries.append({"id": len(entries), **entry})
    categories = [{"id": index + 1, "name": name} for index, name in enumerate(NAMES)]
    return {"images": images, "annotations": entries, "categories": categories}
