"""The annotated images that `pocketdet val` measures on, and int8 with `pocketdet export --max-ap-drop`."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pocketdet.datasets import (
    Dataset,
    DataSource,
    check_dataset,
    evenly_spaced,
    first_split,
    keep_sound,
)
from pocketdet.datasets.layout import AnnotatedData
from pocketdet.datasets.voc import VocFolder, open_voc
from pocketdet.errors import UsageError

SPLITS = ("test", "val", "valid", "validation")  # the first that exists is measured


@dataclass(frozen=True)
class OpenedSource:
    """Where annotated images are, with the split to measure on, and what is there."""

    source: DataSource
    data: AnnotatedData

    def __str__(self) -> str:
        return str(self.source)

    @property
    def is_unsplit(self) -> bool:
        """Whether it is a folder whose images are not divided into splits."""
        return self.source.images is None and self.source.split is None


def open_source(data: Path | None, images: Path | None, voc: Path | None, split: str | None) -> OpenedSource:
    """What the options name. Raises `UsageError` unless they name one source, whole."""
    if (data is None) == (voc is None):
        raise UsageError(
            "name the annotated images in one of two ways: --data test.json --images DIR (COCO), "
            "or --data DIR --split test (Pascal VOC and YOLO)"
        )
    if images is not None and voc is not None:
        raise UsageError("--images belongs to --data; the images of --voc are in its JPEGImages")
    if voc is not None:
        return _with_split(DataSource(voc, split=split), open_voc(voc))
    assert data is not None
    is_file = images is not None or data.suffix.lower() == ".json"
    if is_file and split is not None:
        raise UsageError("--split belongs to a folder; name another COCO file with --data instead")
    if is_file and images is None:
        raise UsageError(f"--data {data} needs --images DIR, the folder of its images")
    source = DataSource(data, images, None if is_file else split)
    return OpenedSource(source, source.open()) if is_file else _with_split(source, source.open())


def _with_split(source: DataSource, data: AnnotatedData) -> OpenedSource:
    """The source with the first split of `SPLITS` that it has, if it has splits and none is named."""
    return OpenedSource(replace(source, split=source.split or first_split(SPLITS, data.splits)), data)


@dataclass(frozen=True)
class EvaluationData:
    """A dataset that was checked, the hash of its annotations, and how many images they list."""

    dataset: Dataset
    sha256: str
    listed: int


def read_evaluation_data(
    opened: OpenedSource,
    class_names: tuple[str, ...],
    *,
    limit: int = 0,
    skip_bad: bool = False,
    progress: Callable[[str, int], Callable[[], None]],
) -> EvaluationData:
    """Read `limit` images, evenly spaced over the set (all for 0), and decode each of them once.

    A VOC folder does not say which classes it has: it must have no others than `class_names`.
    Raises `UsageError` with one report if something is wrong and `skip_bad` is false, or no object is left.
    """
    split, data = opened.source.split, opened.data
    if isinstance(data, VocFolder):
        dataset = data.read(split, class_names)
        _refuse_other_classes(opened, dataset)
    else:
        dataset = data.read(split, None)
    digest, listed = _digest(data.files(split)), len(dataset.images)
    part = evenly_spaced(dataset, limit)
    checked = check_dataset(part, progress("checking the data", len(part.images)))
    return EvaluationData(keep_sound(checked, skip_bad=skip_bad), digest, listed)


def _refuse_other_classes(opened: OpenedSource, dataset: Dataset) -> None:
    """Whatever --skip-bad says: without these objects, detections of them would count as mistakes."""
    found = [p.detail for p in dataset.problems if p.kind == "unknown category"]
    if found:
        raise UsageError(
            f"{opened} has objects of classes that the detector does not have: "
            f"{'; '.join(list(dict.fromkeys(found))[:5])}"
        )


def _digest(files: Sequence[Path]) -> str:
    """SHA-256 of the annotation files, one after another."""
    digest = hashlib.sha256()
    for path in files:
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()
