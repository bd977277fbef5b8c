"""Pascal VOC folders: Annotations/*.xml, ImageSets/Main/SPLIT.txt, JPEGImages/. Format: the VOC devkit."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

from pocketdet.datasets.records import (
    Dataset,
    ImageAnnotations,
    Kind,
    Problem,
    box_problem,
    clip_box,
    image_annotations,
)
from pocketdet.errors import UsageError

VOC_CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train"),
    "tvmonitor",
)


def read_voc(root: Path, split: str, class_names: Sequence[str] = VOC_CLASSES) -> Dataset:
    """Read the images that ImageSets/Main/`split`.txt of the VOC folder `root` names.

    VOC boxes count pixels from 1 with the last one included; they become edges by taking 1 from xmin and
    ymin. Difficult objects are `ignored`. What is wrong inside the files is in `Dataset.problems`.
    Raises `UsageError` if the list of the split cannot be read.
    """
    names = tuple(class_names)
    stems = _split(root, split)
    problems: list[Problem] = []
    if not stems:
        where = str(_split_file(root, split))
        problems.append(Problem("empty annotation file", where, "it lists no images"))
    found = [_read(root, stem, index, names, problems) for index, stem in enumerate(stems)]
    return Dataset(names, tuple(record for record in found if record is not None), tuple(problems))


def _split_file(root: Path, split: str) -> Path:
    return root / "ImageSets" / "Main" / f"{split}.txt"


def _split(root: Path, split: str) -> list[str]:
    path = _split_file(root, split)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as a list of images: {error}") from error
    return [line.split()[0] for line in lines if line.split()]


def _read(
    root: Path, stem: str, index: int, names: tuple[str, ...], problems: list[Problem]
) -> ImageAnnotations | None:
    path = root / "Annotations" / f"{stem}.xml"
    try:
        tree = _parse(path)
        size = (_number(tree, "size/width"), _number(tree, "size/height"))
    except (OSError, ValueError, ET.ParseError) as error:
        empty = path.is_file() and path.stat().st_size == 0
        kind: Kind = "empty annotation file" if empty else "bad annotation"
        problems.append(Problem(kind, str(path), str(error)))
        return None
    width, height = round(size[0]), round(size[1])
    objects = []
    for element in tree.iter("object"):
        parsed = _object(element, (width, height), path.name, names, problems)
        if parsed is not None:
            objects.append(parsed)
    file_name = tree.findtext("filename", "").strip() or f"{stem}.jpg"
    return image_annotations(root / "JPEGImages" / Path(file_name).name, (width, height), objects, index)


def _parse(path: Path) -> ET.Element:
    """Raises `OSError`, `ValueError` or `ET.ParseError`."""
    text = path.read_text(encoding="utf-8")
    if "<!ENTITY" in text:
        raise ValueError("it declares XML entities, which VOC files do not have")
    return ET.fromstring(text)  # noqa: S314


def _object(
    element: ET.Element,
    size: tuple[int, int],
    where: str,
    names: tuple[str, ...],
    problems: list[Problem],
) -> tuple[tuple[float, float, float, float], int, bool] | None:
    name = element.findtext("name", "").strip()
    if name not in names:
        problems.append(Problem("unknown category", where, f"category {name!r} is not among the classes"))
        return None
    try:
        x1, y1, x2, y2 = (_number(element, f"bndbox/{key}") for key in ("xmin", "ymin", "xmax", "ymax"))
    except ValueError as error:
        problems.append(Problem("bad annotation", where, str(error)))
        return None
    box = (x1 - 1, y1 - 1, x2, y2)
    problem = box_problem(box, size, where)
    if problem is not None:
        problems.append(problem)
        return None
    return clip_box(box, size), names.index(name), element.findtext("difficult", "0").strip() == "1"


def _number(element: ET.Element, path: str) -> float:
    text = element.findtext(path)
    if text is None:
        raise ValueError(f"<{path}> is missing")
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"<{path}> is {text!r}: expected a number") from None
