"""The annotated images that `pocketdet val` measures on."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pocketdet.datasets import Dataset, check_dataset, evenly_spaced, keep_sound, read_coco, read_voc
from pocketdet.errors import UsageError


@dataclass(frozen=True)
class Source:
    """Where they are: a COCO file and the folder of its images, or a Pascal VOC folder and a split."""

    annotations: Path
    images: Path | None = None
    split: str | None = None

    def __str__(self) -> str:
        return str(self.annotations)


def choose_source(data: Path | None, images: Path | None, voc: Path | None, split: str | None) -> Source:
    """What the options name. Raises `UsageError` unless they name one source, whole."""
    if (data is None) == (voc is None):
        raise UsageError(
            "name the annotated images in one of two ways: --data test.json --images DIR (COCO), "
            "or --voc DIR --split test (Pascal VOC)"
        )
    if voc is not None:
        if images is not None:
            raise UsageError("--images belongs to --data; the images of --voc are in its JPEGImages")
        return Source(voc, split=split or "test")
    if split is not None:
        raise UsageError("--split belongs to --voc; name another COCO file with --data instead")
    if images is None:
        raise UsageError(f"--data {data} needs --images DIR, the folder of its images")
    assert data is not None
    return Source(data, images=images)


@dataclass(frozen=True)
class EvaluationData:
    """A dataset that was checked, the hash of its annotations, and how many images they list."""

    dataset: Dataset
    sha256: str
    listed: int


def read_evaluation_data(
    source: Source,
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
    if source.images is not None:
        dataset = read_coco(source.annotations, source.images)
    else:
        dataset = read_voc(source.annotations, source.split or "", class_names)
        _refuse_other_classes(source, dataset)
    digest, listed = _digest(source), len(dataset.images)
    part = evenly_spaced(dataset, limit)
    checked = check_dataset(part, progress("checking the data", len(part.images)))
    return EvaluationData(keep_sound(checked, skip_bad=skip_bad), digest, listed)


def _refuse_other_classes(source: Source, dataset: Dataset) -> None:
    """Whatever --skip-bad says: without these objects, detections of them would count as mistakes."""
    found = [p.detail for p in dataset.problems if p.kind == "unknown category"]
    if found:
        raise UsageError(
            f"{source} has objects of classes that the detector does not have: "
            f"{'; '.join(list(dict.fromkeys(found))[:5])}"
        )


def _digest(source: Source) -> str:
    """SHA-256 of the COCO file, or of the list of a VOC split and, in its order, its annotations."""
    if source.images is not None:
        return hashlib.sha256(source.annotations.read_bytes()).hexdigest()
    split = (source.annotations / "ImageSets" / "Main" / f"{source.split}.txt").read_bytes()
    digest = hashlib.sha256(split)
    for line in split.decode().splitlines():
        path = source.annotations / "Annotations" / f"{line.split()[0]}.xml" if line.split() else None
        if path is not None and path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()
