"""The annotated images that `pocketdet val` measures on."""

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
from pocketdet.datasets.voc import VocFolder, open_voc
from pocketdet.errors import UsageError

SPLITS = ("test", "val", "valid", "validation")  # the first that exists is measured


def choose_source(data: Path | None, images: Path | None, voc: Path | None, split: str | None) -> DataSource:
    """What the options name. Raises `UsageError` unless they name one source, whole."""
    if (data is None) == (voc is None):
        raise UsageError(
            "name the annotated images in one of two ways: --data test.json --images DIR (COCO), "
            "or --data DIR --split test (Pascal VOC and YOLO)"
        )
    if images is not None and voc is not None:
        raise UsageError("--images belongs to --data; the images of --voc are in its JPEGImages")
    if voc is not None:
        open_voc(voc)
        return _with_split(DataSource(voc, split=split))
    assert data is not None
    is_file = images is not None or data.suffix.lower() == ".json"
    if is_file and split is not None:
        raise UsageError("--split belongs to a folder; name another COCO file with --data instead")
    if is_file and images is None:
        raise UsageError(f"--data {data} needs --images DIR, the folder of its images")
    return DataSource(data, images) if is_file else _with_split(DataSource(data, split=split))


def _with_split(source: DataSource) -> DataSource:
    """The source with the first split of `SPLITS` that it has, if it has splits and none is named."""
    return source if source.split else replace(source, split=first_split(SPLITS, source.open().splits))


@dataclass(frozen=True)
class EvaluationData:
    """A dataset that was checked, the hash of its annotations, and how many images they list."""

    dataset: Dataset
    sha256: str
    listed: int


def read_evaluation_data(
    source: DataSource,
    class_names: tuple[str, ...],
    *,
    limit: int,
    skip_bad: bool,
    progress: Callable[[str, int], Callable[[], None]],
) -> EvaluationData:
    """Read `limit` images, evenly spaced over the set (all for 0), and decode each of them once.

    A VOC folder does not say which classes it has: it must have no others than `class_names`.
    Raises `UsageError` with one report if something is wrong and `skip_bad` is false, or no object is left.
    """
    data = source.open()
    if isinstance(data, VocFolder):
        dataset = data.read(source.split, class_names)
        _refuse_other_classes(source, dataset)
    else:
        dataset = data.read(source.split, None)
    digest, listed = _digest(data.files(source.split)), len(dataset.images)
    part = evenly_spaced(dataset, limit)
    checked = check_dataset(part, progress("checking the data", len(part.images)))
    return EvaluationData(keep_sound(checked, skip_bad=skip_bad), digest, listed)


def _refuse_other_classes(source: DataSource, dataset: Dataset) -> None:
    """Whatever --skip-bad says: without these objects, detections of them would count as mistakes."""
    found = [p.detail for p in dataset.problems if p.kind == "unknown category"]
    if found:
        raise UsageError(
            f"{source} has objects of classes that the detector does not have: "
            f"{'; '.join(list(dict.fromkeys(found))[:5])}"
        )


def _digest(files: Sequence[Path]) -> str:
    """SHA-256 of the annotation files, one after another."""
    digest = hashlib.sha256()
    for path in files:
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()
