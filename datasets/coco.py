"""COCO json. Format: the "object detection" section of the COCO data format page."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pydantic
from pydantic import BaseModel, ConfigDict

from pocketdet.datasets.records import Annotated, Dataset, Problem, annotated, box_problem, clip_box
from pocketdet.errors import UsageError

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


def read_coco(path: Path, images: Path, class_names: Sequence[str] | None = None) -> Dataset:
    """Read a COCO json file whose pictures lie in the folder `images`.

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
    pictures = _pictures(path, content["images"], problems)
    if not pictures:
        problems.append(Problem("empty annotation file", str(path), "it lists no pictures"))
    objects: dict[int, Objects] = {image_id: [] for image_id in pictures}
    for index, raw in enumerate(content["annotations"]):
        _add(index, raw, pictures, label_of, names_of, objects, problems)
    if pictures and not content["annotations"]:
        problems.append(Problem("empty annotation file", str(path), "it has no annotations"))
    found = [_record(images, picture, objects[picture.id]) for picture in pictures.values()]
    return Dataset(names, tuple(found), tuple(problems))


def _record(folder: Path, picture: _Image, objects: Objects) -> Annotated:
    return annotated(folder / picture.file_name, (picture.width, picture.height), objects, picture.id)


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
    sections = ("images", "annotations", "categories")
    if not isinstance(content, dict) or not all(isinstance(content.get(s), list) for s in sections):
        raise UsageError(f"{path}: not COCO json: expected the lists {', '.join(sections)}")
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


def _pictures(path: Path, entries: Sequence[Any], problems: list[Problem]) -> dict[int, _Image]:
    pictures: dict[int, _Image] = {}
    for index, raw in enumerate(entries):
        try:
            picture = _Image.model_validate(raw)
        except pydantic.ValidationError as error:
            problems.append(Problem("bad annotation", f"{path}: images[{index}]", _first(error)))
            continue
        if picture.id in pictures:
            problems.append(Problem("duplicate image", picture.file_name, f"id {picture.id} stands twice"))
            continue
        pictures[picture.id] = picture
    return pictures


def _add(
    index: int,
    raw: object,
    pictures: Mapping[int, _Image],
    label_of: Mapping[int, int],
    names_of: Mapping[int, str],
    objects: dict[int, Objects],
    problems: list[Problem],
) -> None:
    """Put annotation number `index` where it belongs, or say why not."""
    try:
        entry = _Annotation.model_validate(raw)
    except pydantic.ValidationError as error:
        problems.append(Problem("bad annotation", f"annotations[{index}]", _first(error)))
        return
    picture = pictures.get(entry.image_id)
    if picture is None:
        detail = f"no picture has the id {entry.image_id}"
        problems.append(Problem("unknown image", f"annotations[{index}]", detail))
        return
    if entry.category_id not in label_of:
        name = names_of.get(entry.category_id)
        found = f"category {name!r}" if name is not None else f"category id {entry.category_id}"
        problems.append(Problem("unknown category", picture.file_name, f"{found} is not among the classes"))
        return
    x, y, width, height = entry.bbox
    box, size = (x, y, x + width, y + height), (picture.width, picture.height)
    problem = box_problem(box, size, picture.file_name)
    if problem is not None:
        problems.append(problem)
        return
    objects[picture.id].append((clip_box(box, size), label_of[entry.category_id], entry.iscrowd != 0))


def _first(error: pydantic.ValidationError) -> str:
    detail = error.errors()[0]
    return f"{'.'.join(map(str, detail['loc'])) or 'entry'}: {detail['msg']}"
