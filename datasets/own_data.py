"""Which parts of a user's annotated images to train on, and which to measure on."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from pocketdet.datasets.coco import is_coco, read_coco
from pocketdet.datasets.layout import DataSource, find_layout, first_split
from pocketdet.errors import UsageError

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
