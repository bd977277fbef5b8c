"""Which layout a dataset has, seen from its files, and datasets read by where they are."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Protocol

from pydantic import Field

from pocketdet.datasets.coco import CocoFile, is_coco
from pocketdet.datasets.folders import folder_named, no_such_path
from pocketdet.datasets.records import Dataset
from pocketdet.datasets.voc import VocFolder
from pocketdet.datasets.yolo import YAML_FILES, YoloFolder
from pocketdet.errors import UsageError


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
    try:
        return _find_in_folder(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from error


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
