"""YOLO labels: a text file for each image. Format: Ultralytics' "detect" datasets, and Darknet's.

A line is "class cx cy width height", or a class and a polygon "x1 y1 x2 y2 x3 y3 ...", with values from 0 to
1 relative to the image as it is displayed. The labels of images/a.jpg are labels/a.txt; of an image in no
folder named images, the text file beside it. An image without a text file has no objects.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pocketdet.datasets.image_file import is_image, no_such_path, read_stored_size, subfolders, unknown_split
from pocketdet.datasets.records import (
    Dataset,
    ImageAnnotations,
    Problem,
    box_problem,
    clip_box,
    image_annotations,
    unknown_category,
)
from pocketdet.errors import ImageError, UsageError
from pocketdet.io import read_lines

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class DataYaml:
    """Class names by index, and by split the folders and lists of images."""

    names: tuple[str, ...]
    parts: Mapping[str, tuple[Path, ...]]


def read_data_yaml(path: Path) -> DataYaml:
    """Read a data.yaml.

    Its paths are relative to `path` in it, or to its own folder; as in Ultralytics, a leading ../ that leads
    nowhere is left out.

    Raises:
        UsageError: if it cannot be read, names no classes or no images, or PyYAML is not installed.
    """
    content = _load(path)
    names = _names(path, content)
    base = path.parent / str(content.get("path") or ".")
    bases = (base if base.is_dir() else path.parent, path.parent)
    parts = {}
    for split in SPLITS:
        given = content.get(split)
        entries = given if isinstance(given, list) else [given] if given else []
        if not all(isinstance(entry, str) for entry in entries):
            raise UsageError(
                f"{path}: {split} is {given!r:.60}: expected a folder of images, or a list of them"
            )
        if entries:
            parts[split] = tuple(_located(entry, bases) for entry in entries)
    if not parts:
        raise UsageError(f"{path}: it names no images: expected train, val or test with a folder of images")
    return DataYaml(names, parts)


def _load(path: Path) -> Mapping[str, Any]:
    try:
        import yaml
    except ImportError as error:
        raise UsageError(f"{path}: needs PyYAML: pip install 'pocketdet[accuracy]'") from error
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, RecursionError, ValueError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"{path}: cannot be read as YAML: {reason}") from error
    if not isinstance(content, dict):
        raise UsageError(f"{path}: not a data.yaml: expected names, train and val, found no such fields")
    return content


def _names(path: Path, content: Mapping[str, Any]) -> tuple[str, ...]:
    given = content.get("names")
    if isinstance(given, dict) and sorted(map(str, given)) == sorted(map(str, range(len(given)))):
        given = [given.get(index, given.get(str(index))) for index in range(len(given))]
    if not isinstance(given, list) or not given:
        raise UsageError(
            f"{path}: names is {given!r:.60}: expected class names, as a list or by index from 0"
        )
    for name in given:  # YAML reads no as False and 1 as a number
        if isinstance(name, bool) or not isinstance(name, str | int) or not str(name).strip():
            raise UsageError(f"{path}: the class name {name!r:.60} is no text: put it in quotes")
    names = tuple(str(name).strip() for name in given)
    if len(set(names)) < len(names):
        raise UsageError(f"{path}: class name {next(n for n in names if names.count(n) > 1)!r} stands twice")
    if content.get("nc") not in (None, len(names)):
        raise UsageError(
            f"{path}: nc is {content['nc']!r:.60}, and names has {len(names)}: expected the same"
        )
    return names


def _located(entry: str, bases: tuple[Path, ...]) -> Path:
    relative = [entry, entry.removeprefix("../")]
    candidates = [base / each for each in relative for base in bases]
    return next((path for path in candidates if path.exists()), candidates[0])


Box = tuple[float, float, float, float]
NAMES_FILES = ("classes.txt", "obj.names")
YAML_FILES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")


@dataclass(frozen=True)
class YoloFolder:
    """A dataset with YOLO labels, as `layout.AnnotatedData`.

    Attributes:
        source: data.yaml, or the folder.
        names_file: the file that names the classes, if there is one.
        declared: its class names, in the order of the indices in the labels.
        parts: by split, folders of images and lists of images; "" is the split of data without any.
    """

    source: Path
    names_file: Path | None
    declared: tuple[str, ...]
    parts: Mapping[str, tuple[Path, ...]]

    @classmethod
    def open(cls, path: Path) -> Self | None:
        """The dataset of a data.yaml, or of a folder; None if a folder has no YOLO labels.

        A folder without a data.yaml has labelled images in itself, in `images`, in a folder for each split,
        in images/SPLIT or in SPLIT/images. Raises `UsageError` for a bad data.yaml or file of class names.
        """
        if path.is_dir():
            present = [path / name for name in YAML_FILES if (path / name).is_file()]
            if not present:
                return cls._of_folder(path)
            path = present[0]
        content = read_data_yaml(path)
        return cls(path, path, content.names, content.parts)

    @classmethod
    def _of_folder(cls, root: Path) -> Self | None:
        parts = {split: (folder,) for split, folder in _labelled_folders(root)}
        if not parts:
            return None
        folders = (root, root / "labels", *(folder for part in parts.values() for folder in part))
        files = (folder / name for folder in folders for name in NAMES_FILES)
        names_file = next((file for file in files if file.is_file()), None)
        return cls(root, names_file, read_names_file(names_file) if names_file else (), parts)

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits; none if the data have no parts."""
        return tuple(name for name in self.parts if name)

    def files(self, split: str | None) -> tuple[Path, ...]:
        """The file of the class names, if there is one, and the label files in the order of the images."""
        labels = (label_file(image) for image in self._images(split))
        names = (self.names_file,) if self.names_file else ()
        return (*names, *(path for path in labels if path.is_file()))

    def read(self, split: str | None, class_names: Sequence[str] | None) -> Dataset:
        """Read a split; what is wrong in the label files is in `Dataset.problems`.

        Args:
            split: one of `splits`; None if there are none.
            class_names: the classes; for None those that the data declare, in their order.

        Raises:
            UsageError: if there is no such split, no image has labels, or nothing names the classes.
        """
        declared = self.declared or tuple(class_names or ())
        if not declared:
            raise UsageError(
                f"{self.source}: nothing names the classes: expected data.yaml with names, or "
                f"{NAMES_FILES[0]} with one name a line, in the order of the indices in the labels"
            )
        names = declared if class_names is None else tuple(class_names)
        images, problems = self._images(split), list[Problem]()
        if not images:
            problems.append(Problem("empty annotation file", str(self.source), "it has no images"))
        elif not any(label_file(image).is_file() for image in images):
            expected = f"expected files such as {label_file(images[0])}"
            raise UsageError(f"{images[0].parent}: none of its {len(images)} images has labels: {expected}")
        found = [_read(image, index, declared, names, problems) for index, image in enumerate(images)]
        if all(part.is_dir() for part in self.parts[split or ""]):  # a list may leave images out
            problems += _without_image(images)
        return Dataset(names, tuple(record for record in found if record is not None), tuple(problems))

    def _images(self, split: str | None) -> list[Path]:
        if (split or "") not in self.parts:
            raise unknown_split(self.source, split, self.splits)
        found: list[Path] = []
        for part in self.parts[split or ""]:
            if part.is_dir():
                found += sorted(path for path in part.rglob("*") if is_image(path))
            elif part.is_file():
                found += _listed(part)
            else:
                raise no_such_path(part)
        return found


def label_file(image: Path) -> Path:
    """Where the labels of an image are: its last folder named images becomes labels."""
    parts = list(image.parent.parts)
    positions = [index for index, part in enumerate(parts) if part == "images"]
    if positions:
        parts[positions[-1]] = "labels"
    return Path(*parts, f"{image.stem}.txt")


def read_names_file(path: Path) -> tuple[str, ...]:
    """The class names of a text file, one a line. Raises `UsageError`."""
    names = tuple(line.strip() for line in read_lines(path, "a list of class names") if line.strip())
    if not names or len(set(names)) < len(names):
        raise UsageError(f"{path}: expected one class name a line, each once, found {len(names)} names")
    return names


def _labelled_folders(root: Path) -> Iterator[tuple[str, Path]]:
    """(Split, folder) of the folders that hold an image with labels."""
    inner = root / "images"
    folders = [("", inner), *((path.name, path) for path in subfolders(inner)), ("", root)]
    for path in subfolders(root):
        if path.name not in ("images", "labels"):
            folders += [(path.name, path / "images"), (path.name, path)]
    seen = set[str]()
    for split, folder in folders:
        if split not in seen and _has_labelled_image(folder):
            seen.add(split)
            yield split, folder


def _has_labelled_image(folder: Path) -> bool:
    paths = folder.iterdir() if folder.is_dir() else ()
    return any(is_image(path) and label_file(path).is_file() for path in paths)


def _listed(path: Path) -> list[Path]:
    """The images of a list, relative to its folder."""
    lines = read_lines(path, "a list of images")
    return [path.parent / line.strip() for line in lines if line.strip()]


def _read(
    image: Path, index: int, declared: Sequence[str], names: Sequence[str], problems: list[Problem]
) -> ImageAnnotations | None:
    if not image.is_file():
        problems.append(Problem("missing image", str(image), "no such file"))
        return None
    try:
        size, orientation = read_stored_size(image)
    except ImageError as error:
        detail = str(error).removeprefix(f"{image}: ")
        problems.append(Problem("corrupt image", str(image), detail))
        return None
    objects = []
    for where, line in _lines(label_file(image), problems):
        try:
            name, displayed = _parse(line, declared)
        except ValueError as error:
            problems.append(Problem("bad annotation", where, str(error)))
            continue
        box = _in_pixels(_stored(displayed, orientation), size)
        if name not in names:
            problem: Problem | None = unknown_category(where, name, names)
        else:
            problem = box_problem(box, size, where)
        if problem is None:
            objects.append((clip_box(box, size), names.index(name), False))
        else:
            problems.append(problem)
    return image_annotations(image, size, objects, index)


def _lines(path: Path, problems: list[Problem]) -> Iterator[tuple[str, str]]:
    """(Place, text) of each line that is not blank."""
    if not path.is_file():
        return
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problems.append(Problem("bad annotation", str(path), str(error)))
        return
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield f"{path} line {number}", line


def _parse(line: str, declared: Sequence[str]) -> tuple[str, Box]:
    """The class and the box (x1, y1, x2, y2), 0 to 1, of a line. Raises `ValueError`."""
    first, *values = line.split()
    if not first.isdecimal() or int(first) >= len(declared):
        raise ValueError(f"class {first!r}: expected an index from 0 to {len(declared) - 1}")
    numbers = [float(value) for value in values]
    if len(numbers) == 4:
        cx, cy, width, height = numbers
        box = (cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2)
    elif len(numbers) >= 6 and len(numbers) % 2 == 0:
        x, y = numbers[::2], numbers[1::2]
        box = (min(x), min(y), max(x), max(y))
    else:
        raise ValueError(f"expected a class and 4 values, or a polygon, found {len(numbers)} values")
    return declared[int(first)], box


def _stored(box: Box, orientation: int) -> Box:
    """A box of the displayed image as a box of the stored one, both 0 to 1. EXIF 2.32, tag Orientation."""
    x1, y1, x2, y2 = box
    if orientation in (5, 6, 7, 8):  # displayed with the stored rows as columns
        x1, y1, x2, y2 = y1, x1, y2, x2
    if orientation in (2, 3, 7, 8):
        x1, x2 = 1 - x2, 1 - x1
    if orientation in (3, 4, 6, 7):
        y1, y2 = 1 - y2, 1 - y1
    return x1, y1, x2, y2


def _in_pixels(box: Box, size: tuple[int, int]) -> Box:
    width, height = size
    return box[0] * width, box[1] * height, box[2] * width, box[3] * height


def _without_image(images: Sequence[Path]) -> Iterator[Problem]:
    """Label files, in folders that hold nothing else, to which there is no image."""
    known = {label_file(image) for image in images}
    for folder in sorted({path.parent for path in known} - {image.parent for image in images}):
        for path in sorted(folder.glob("*.txt")):
            if path not in known and path.name not in NAMES_FILES:
                yield Problem("missing image", str(path), "no image has these labels")
