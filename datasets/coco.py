"""COCO json. Format: the "object detection" section of the COCO data format page."""

import json
import mmap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic
from pydantic import BaseModel, ConfigDict

from pocketdet.datasets.records import (
    Dataset,
    ImageAnnotations,
    Problem,
    box_problem,
    clip_box,
    image_annotations,
    unknown_category,
)
from pocketdet.errors import UsageError

_SECTIONS = ("images", "annotations", "categories")
Objects = list[tuple[tuple[float, float, float, float], int, bool]]


class _Image(BaseModel):
    model_config = ConfigDict(strict=True)
    id: int
    file_name: str
    width: pydantic.PositiveInt
    height: pydantic.PositiveInt


class _Annotation(BaseModel):
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    iscrowd: int = 0


class _Category(BaseModel):
    id: int
    name: str


@dataclass(frozen=True)
class CocoFile:
    """A COCO json file and the folder of its images, as `layout.AnnotatedData`."""

    path: Path
    images: Path

    @property
    def splits(self) -> tuple[str, ...]:
        """None: a file has no parts."""
        return ()

    def files(self, split: str | None) -> tuple[Path, ...]:
        """The files that hold the annotations."""
        return (self.path,)

    def read(self, split: str | None, class_names: Sequence[str] | None) -> Dataset:
        """As `read_coco`."""
        return read_coco(self.path, self.images, class_names)


def is_coco(path: Path) -> bool:
    """Whether a file looks like COCO json, by the names of its sections."""
    if path.suffix.lower() != ".json" or not path.is_file() or not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return all(content.find(f'"{section}"'.encode()) >= 0 for section in _SECTIONS)


def read_coco(path: Path, images: Path, class_names: Sequence[str] | None = None) -> Dataset:
    """Read a COCO json file whose images lie in the folder `images`.

    Labels count the categories by ascending id, or index `class_names` where they are given (a category
    of another name is then a problem). What is wrong inside the file is in `Dataset.problems`.
    Raises `UsageError` if the file cannot be read as COCO json at all.
    """
    content = _load(path)
    categories = sorted(_categories(path, content), key=lambda c: c.id)
    names = tuple(class_names) if class_names is not None else tuple(c.name for c in categories)
    label_of = {c.id: names.index(c.name) for c in categories if c.name in names}
    names_of = {c.id: c.name for c in categories}
    problems: list[Problem] = []
    by_id = _images(path, content["images"], problems)
    if not by_id:
        problems.append(Problem("empty annotation file", str(path), "it lists no images"))
    objects: dict[int, Objects] = {image_id: [] for image_id in by_id}
    for index, raw in enumerate(content["annotations"]):
        _add(index, raw, by_id, label_of, names_of, names, objects, problems)
    if by_id and not content["annotations"]:
        problems.append(Problem("empty annotation file", str(path), "it has no annotations"))
    found = [_record(images, image, objects[image.id]) for image in by_id.values()]
    return Dataset(names, tuple(found), tuple(problems))


def _record(folder: Path, image: _Image, objects: Objects) -> ImageAnnotations:
    return image_annotations(folder / image.file_name, (image.width, image.height), objects, image.id)


def _load(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as COCO json: {error}") from error
    if not text.strip():
        raise UsageError(f"{path}: empty annotation file: expected COCO json")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not json: {error}") from error
    if not isinstance(content, dict) or not all(isinstance(content.get(s), list) for s in _SECTIONS):
        raise UsageError(f"{path}: not COCO json: expected the lists {', '.join(_SECTIONS)}")
    return content


def _categories(path: Path, content: Mapping[str, Any]) -> list[_Category]:
    try:
        categories = [_Category.model_validate(raw) for raw in content["categories"]]
    except pydantic.ValidationError as error:
        raise UsageError(f"{path}: a category cannot be read: {_first(error)}") from error
    for field in ("id", "name"):
        values = [getattr(c, field) for c in categories]
        twice = [v for v in values if values.count(v) > 1]
        if twice:
            raise UsageError(f"{path}: two categories have the {field} {twice[0]!r}")
    return categories


def _images(path: Path, entries: Sequence[Any], problems: list[Problem]) -> dict[int, _Image]:
    by_id: dict[int, _Image] = {}
    for index, raw in enumerate(entries):
        try:
            image = _Image.model_validate(raw)
        except pydantic.ValidationError as error:
            problems.append(Problem("bad annotation", f"{path}: images[{index}]", _first(error)))
            continue
        if image.id in by_id:
            problems.append(Problem("duplicate image", image.file_name, f"id {image.id} stands twice"))
            continue
        by_id[image.id] = image
    return by_id


def _add(
    index: int,
    raw: object,
    by_id: Mapping[int, _Image],
    label_of: Mapping[int, int],
    names_of: Mapping[int, str],
    names: Sequence[str],
    objects: dict[int, Objects],
    problems: list[Problem],
) -> None:
    """Put annotation number `index` where it belongs, or say why not."""
    try:
        entry = _Annotation.model_validate(raw)
    except pydantic.ValidationError as error:
        problems.append(Problem("bad annotation", f"annotations[{index}]", _first(error)))
        return
    image = by_id.get(entry.image_id)
    if image is None:
        detail = f"no image has the id {entry.image_id}"
        problems.append(Problem("unknown image", f"annotations[{index}]", detail))
        return
    if entry.category_id not in label_of:
        name = names_of.get(entry.category_id)
        if name is None:
            detail = f"category id {entry.category_id} is not among the classes"
            problems.append(Problem("unknown category", image.file_name, detail))
        else:
            problems.append(unknown_category(image.file_name, name, names))
        return
    x, y, width, height = entry.bbox
    box, size = (x, y, x + width, y + height), (image.width, image.height)
    problem = box_problem(box, size, image.file_name)
    if problem is not None:
        problems.append(problem)
        return
    objects[image.id].append((clip_box(box, size), label_of[entry.category_id], entry.iscrowd != 0))


def _first(error: pydantic.ValidationError) -> str:
    detail = error.errors()[0]
    return f"{'.'.join(map(str, detail['loc'])) or 'entry'}: {detail['msg']}"
