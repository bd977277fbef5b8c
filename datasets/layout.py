"""Which layout a dataset has, seen from its files, and datasets read by where they are.

`find_own_data` chooses which parts of a user's annotated images to train on, and which to measure on.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Protocol

from pydantic import Field

from pocketdet.datasets.coco import CocoFile, is_coco, read_coco
from pocketdet.datasets.image_file import folder_named, no_such_path
from pocketdet.datasets.records import Dataset
from pocketdet.datasets.voc import VocFolder
from pocketdet.datasets.yolo import YAML_FILES, YoloFolder
from pocketdet.errors import UsageError
from pocketdet.io import os_errors


class AnnotatedData(Protocol):
    """Annotated images of one layout, in one or more splits."""

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits; none if the data have no parts."""
        ...

    def files(self, split: str | None) -> tuple[Path, ...]:
        """The files that hold the annotations of a split, in the order of its images."""
        ...

    def read(self, split: str | None, class_names: Sequence[str] | None) -> Dataset:
        """Read a split, over `class_names` or, for None, over the data's own. Raises `UsageError`."""
        ...


@dataclass(frozen=True)
class DataSource:
    """Where annotated images are."""

    annotations: Annotated[Path, Field(description="A COCO json file, or a Pascal VOC or YOLO folder.")]
    images: Annotated[Path | None, Field(description="Folder of the images of a COCO file.")] = None
    split: Annotated[str | None, Field(description="Part of a folder that has parts, such as train.")] = None

    def __str__(self) -> str:
        return str(self.annotations)

    def open(self) -> AnnotatedData:
        """The data, their layout recognised. Raises `UsageError`."""
        if self.images is None:
            return open_folder(self.annotations)
        if self.annotations.is_dir():
            raise UsageError(
                f"{self.annotations}: is a folder: with a folder of images, a COCO json file is expected; "
                "the images of Pascal VOC and YOLO folders are found without one"
            )
        if not self.annotations.exists():
            raise no_such_path(self.annotations)
        return CocoFile(self.annotations, self.images)


def read_source(source: DataSource, class_names: Sequence[str] | None = None) -> Dataset:
    """Read annotated images, over `class_names` or, for None, over their own. Raises `UsageError`."""
    return source.open().read(source.split, class_names)


def read_sources(sources: Sequence[DataSource], class_names: Sequence[str] | None = None) -> list[Dataset]:
    """Read several sources, each over `class_names`.

    For None, those that declare their classes (COCO, YOLO) keep them, and the VOC folders, which declare
    none, have those of the first; VOC folders alone have all names in their files in alphabetical order.
    Raises `UsageError`.
    """
    opened = [source.open() for source in sources]
    found: dict[int, Dataset] = {}
    if class_names is None:
        for index, data in enumerate(opened):
            if not isinstance(data, VocFolder):
                found[index] = data.read(sources[index].split, None)
        if found:
            class_names = found[min(found)].class_names
        else:
            pairs = zip(opened, sources, strict=True)
            named = (data.class_names(s.split) for data, s in pairs if isinstance(data, VocFolder))
            class_names = sorted(set().union(*named))
    return [
        found[index] if index in found else data.read(source.split, class_names)
        for index, (data, source) in enumerate(zip(opened, sources, strict=True))
    ]


def open_folder(path: Path) -> VocFolder | YoloFolder:
    """The Pascal VOC or YOLO data at `path`: a folder, its folder Annotations or labels, or a data.yaml.

    Raises `UsageError` if there are none, or of more than one layout.
    """
    found = find_layout(path)
    if isinstance(found, tuple):
        raise UsageError(
            f"{path}: has COCO files: name one, such as {found[0]}, and the folder of its images"
        )
    return found


def find_layout(path: Path) -> VocFolder | YoloFolder | tuple[Path, ...]:
    """As `open_folder`, but of a folder with COCO json files and no other annotations, these files."""
    if path.is_file():
        return _open_file(path)
    if not path.is_dir():
        raise no_such_path(path)
    with os_errors(UsageError, f"{path}: cannot be read"):
        return _find_in_folder(path)


def _find_in_folder(path: Path) -> VocFolder | YoloFolder | tuple[Path, ...]:
    inside = path.parent if path.name.lower() in ("annotations", "labels") else None
    part = _open_part(path, inside) if inside else None
    if part is not None:
        return part
    voc, yolo, coco = VocFolder.open(path), YoloFolder.open(path), _coco_files(path)
    if (voc is not None) + (yolo is not None) + bool(coco) > 1:
        raise _ambiguous(path, voc, yolo, coco)
    found = voc or yolo or coco
    if not found:
        raise _nothing(path)
    return found


def _open_file(path: Path) -> YoloFolder:
    if path.suffix.lower() in (".yaml", ".yml"):
        found = YoloFolder.open(path)
        assert found is not None
        return found
    if path.suffix.lower() == ".json":
        raise UsageError(f"{path}: a COCO json file needs images, the folder of its images")
    raise UsageError(f"{path}: expected a COCO json file, a data.yaml (YOLO), or a folder (Pascal VOC, YOLO)")


def _open_part(path: Path, root: Path) -> VocFolder | YoloFolder | None:
    """The data of a folder that is named by its annotations."""
    return YoloFolder.open(root) if path.name == "labels" else VocFolder.open(root)


def _coco_files(folder: Path) -> tuple[Path, ...]:
    """The COCO json files in a folder and in the folders in it."""
    found = (path for pattern in ("*.json", "*/*.json") for path in folder.glob(pattern))
    return tuple(sorted(path for path in found if is_coco(path)))


def first_split(wanted: Sequence[str], splits: Collection[str]) -> str | None:
    """The first of the `wanted` names that is among `splits`, if there is one."""
    return next((name for name in wanted if name in splits), None)


def _ambiguous(
    path: Path, voc: VocFolder | None, yolo: YoloFolder | None, coco: Sequence[Path]
) -> UsageError:
    """Each layout as it could be named instead."""
    ways = []
    if voc is not None:
        folder = folder_named(path, "annotations") or path / "Annotations, with the XML files"
        ways.append(f"the folder {folder} (Pascal VOC)")
    if yolo is not None:
        labels = path / "labels" if (path / "labels").is_dir() else path / "data.yaml, to be written"
        ways.append(f"{yolo.source if yolo.source.is_file() else labels} (YOLO)")
    ways += [f"the file {coco[0]} (COCO)"] if coco else []
    return UsageError(f"{path}: has annotations of more than one layout: name {', or '.join(ways)}")


def _nothing(path: Path) -> UsageError:
    inside = sorted(each.name for each in path.iterdir())
    shown = ", ".join(inside[:5]) + (" ..." if len(inside) > 5 else "")
    return UsageError(
        f"{path}: no annotations found: expected a Pascal VOC folder (Annotations/*.xml), a YOLO folder "
        f"({YAML_FILES[0]}, or labels/*.txt beside images/) or a COCO json file; found {shown or 'nothing'}"
    )


TRAINING_SPLITS = ("train", "training", "trainval")
EVALUATION_SPLITS = ("val", "valid", "validation", "test")


@dataclass(frozen=True)
class OwnData:
    """Annotated images to train on, and others of the same layout to measure on, if there are any."""

    training: DataSource
    evaluation: DataSource | None


def find_own_data(path: Path) -> OwnData:
    """What to train on and what to measure on.

    Args:
        path: a COCO json file, a Pascal VOC or YOLO folder, a data.yaml, or a folder with COCO json files.

    Raises:
        UsageError: if there are no annotations, several layouts, or no part to train on.
    """
    if path.suffix.lower() == ".json" and path.is_file():
        others = [each for each in sorted(path.parent.glob("*.json")) if each != path and is_coco(each)]
        return _of_files(path, others)
    found = find_layout(path)
    if isinstance(found, tuple):
        parts = {_part_of(file.relative_to(path)): file for file in found}
        training = parts[_training_part(path, parts)]
        return _of_files(training, [file for file in found if file != training])
    if not found.splits:
        return OwnData(DataSource(path), None)
    part = _training_part(path, found.splits)
    measured = first_split(EVALUATION_SPLITS, [name for name in found.splits if name != part])
    evaluation = DataSource(path, split=measured) if measured else None
    return OwnData(DataSource(path, split=part), evaluation)


def _of_files(training: Path, others: list[Path]) -> OwnData:
    """COCO files: one to train on, and the one of the others whose name says that it is for evaluation."""
    parts = {_part_of(Path(file.parent.name, file.name)): file for file in others}
    measured = first_split(EVALUATION_SPLITS, parts)
    return OwnData(_coco_source(training), _coco_source(parts[measured]) if measured else None)


def _training_part(path: Path, parts: Collection[str]) -> str:
    name = next(iter(parts)) if len(parts) == 1 else first_split(TRAINING_SPLITS, parts)
    if name is None:
        raise UsageError(f"{path}: has the parts {', '.join(parts)}: expected one called train to train on")
    return name


def _part_of(file: Path) -> str:
    """The split that the name of a COCO file says it is, or the name."""
    text = str(file.with_suffix("")).lower()
    return next((name for name in ("trainval", "train", "val", "test") if name in text), file.name)


def _coco_source(path: Path) -> DataSource:
    """A COCO file with the folder of its images. Raises `UsageError` if that cannot be found."""
    images = read_coco(path, Path()).images
    if not images:
        raise UsageError(f"{path}: it lists no images")
    first, tried = images[0].path, list(_image_folders(path))
    folder = next((each for each in tried if (each / first).is_file()), None)
    if folder is None:
        raise UsageError(
            f"{path}: its images, such as {first}, are not found: expected them beside the file, in a folder "
            f"images, or in {path.stem}"
        )
    return DataSource(path, folder)


def _image_folders(path: Path) -> Iterator[Path]:
    """Where the images of a COCO file may be, the folder of the file first."""
    last = path.stem.rpartition("_")[2]  # instances_train2017
    for folder in (path.parent, path.parent.parent):
        for name in ("", "images", path.stem, last, f"images/{path.stem}", f"images/{last}"):
            yield folder / name
