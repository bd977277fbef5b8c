"""Pascal VOC folders. Format: the VOC devkit, and the folders of XML files that annotation tools write."""

import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pocketdet.datasets.image_file import find_image, folder_named, subfolders, unknown_split
from pocketdet.datasets.records import (
    Dataset,
    ImageAnnotations,
    Kind,
    Problem,
    box_problem,
    clip_box,
    image_annotations,
    unknown_category,
)
from pocketdet.errors import UsageError
from pocketdet.io import read_lines

VOC_CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train"),
    "tvmonitor",
)


@dataclass(frozen=True)
class VocFolder:
    """A folder of VOC annotations, as `layout.AnnotatedData`.

    Attributes:
        root: the folder.
        lists: by split, a file that lists the names of its images (ImageSets/Main).
        folders: by split, a folder of XML files; "" is the split of a folder without any.
    """

    root: Path
    lists: Mapping[str, Path]
    folders: Mapping[str, Path]

    @classmethod
    def open(cls, root: Path) -> Self | None:
        """The VOC folder at `root`, None if there are no XML files.

        Expected are Annotations/*.xml, with the splits ImageSets/Main/SPLIT.txt if there are such lists, or
        XML files beside the images in the folder or in a folder for each split.
        """
        annotations = folder_named(root, "annotations")
        if annotations is not None and _has_xml(annotations):
            lists = {path.stem: path for path in sorted((root / "ImageSets" / "Main").glob("*.txt"))}
            whole = {name: path for name, path in lists.items() if not _lists_a_class(name, lists)}
            return cls(root, whole, {} if whole else {"": annotations})
        if _has_xml(root):
            return cls(root, {}, {"": root})
        folders = {path.name: path for path in subfolders(root) if _has_xml(path)}
        return cls(root, {}, folders) if folders else None

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits; none if the folder has no parts."""
        return tuple(name for name in (*self.lists, *self.folders) if name)

    def files(self, split: str | None) -> tuple[Path, ...]:
        """The list of the split, if there is one, and the XML files in its order."""
        listed = self.lists.get(split or "")
        return (*((listed,) if listed else ()), *self._annotations(split))

    def class_names(self, split: str | None) -> set[str]:
        """The names of the objects in the files that can be read."""
        found: set[str] = set()
        for path in self._annotations(split):
            try:
                tree = _parse(path)
            except (OSError, ValueError, ET.ParseError):
                continue  # a problem of `read`
            found.update(_name(element) for element in tree.iter("object"))
        return found - {""}

    def read(self, split: str | None, class_names: Sequence[str] | None) -> Dataset:
        """Read a split.

        VOC boxes count pixels from 1 with the last one included; they become edges by taking 1 from xmin and
        ymin. Difficult objects are `ignored`. What is wrong inside the files is in `Dataset.problems`.

        Args:
            split: one of `splits`; None if there are none.
            class_names: the classes; those of the files in alphabetical order for None.

        Raises:
            UsageError: if there is no such split, or its list cannot be read.
        """
        names = tuple(class_names if class_names is not None else sorted(self.class_names(split)))
        paths = self._annotations(split)
        problems: list[Problem] = []
        if not paths:
            where = str(self.lists.get(split or "", self.root))
            problems.append(Problem("empty annotation file", where, "it lists no images"))
        found = [self._read(path, index, names, problems) for index, path in enumerate(paths)]
        return Dataset(names, tuple(record for record in found if record is not None), tuple(problems))

    def _annotations(self, split: str | None) -> list[Path]:
        name = split or ""
        if name in self.folders:
            return sorted(self.folders[name].glob("*.xml"))
        if name not in self.lists:
            raise unknown_split(self.root, split, self.splits)
        folder = folder_named(self.root, "annotations")
        assert folder is not None
        return [folder / f"{stem}.xml" for stem in _listed(self.lists[name])]

    def _read(
        self, path: Path, index: int, names: tuple[str, ...], problems: list[Problem]
    ) -> ImageAnnotations | None:
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
        file_name = Path(tree.findtext("filename", "").strip()).name
        image = find_image(self._images(path), file_name or f"{path.stem}.jpg", path.stem)
        return image_annotations(image, (width, height), objects, index)

    def _images(self, annotation: Path) -> Path:
        """The folder of the image of an annotation file."""
        for name in ("jpegimages", "images"):
            folder = folder_named(self.root, name)
            if folder is not None:
                return folder
        beside = annotation.parent
        return self.root / "JPEGImages" if beside.name.lower() == "annotations" else beside


def read_voc(root: Path, split: str, class_names: Sequence[str] = VOC_CLASSES) -> Dataset:
    """Read the images that ImageSets/Main/`split`.txt of the VOC folder `root` names: `VocFolder.read`.

    Raises `UsageError` if the folder has no annotations, or the list of the split cannot be read.
    """
    return open_voc(root).read(split, class_names)


def open_voc(root: Path) -> VocFolder:
    """The VOC folder at `root`. Raises `UsageError` if it is none."""
    found = VocFolder.open(root)
    if found is None:
        missing = "no such folder" if not root.is_dir() else "not a Pascal VOC folder"
        raise UsageError(f"{root}: {missing}: expected Annotations/*.xml in it, or XML files beside images")
    return found


def _has_xml(folder: Path) -> bool:
    return any(folder.glob("*.xml"))


def _lists_a_class(name: str, lists: Mapping[str, Path]) -> bool:
    """Whether a list of the devkit is one of a class, such as dog_train beside train."""
    kind, _, split = name.rpartition("_")
    return bool(kind) and split in lists


def _listed(path: Path) -> list[str]:
    return [line.split()[0] for line in read_lines(path, "a list of images") if line.split()]


def _parse(path: Path) -> ET.Element:
    """Raises `OSError`, `ValueError` or `ET.ParseError`."""
    text = path.read_text(encoding="utf-8-sig")
    if "<!ENTITY" in text:
        raise ValueError("it declares XML entities, which VOC files do not have")
    return ET.fromstring(text)  # noqa: S314


def _name(element: ET.Element) -> str:
    return element.findtext("name", "").strip()


def _object(
    element: ET.Element, size: tuple[int, int], where: str, names: tuple[str, ...], problems: list[Problem]
) -> tuple[tuple[float, float, float, float], int, bool] | None:
    name = _name(element)
    if name not in names:
        problems.append(unknown_category(where, name, names))
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
