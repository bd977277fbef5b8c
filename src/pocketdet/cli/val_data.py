"""The dataset of `pocketdet val`."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pocketdet.datasets import Dataset, check_dataset, evenly_spaced, keep_sound, read_coco, read_voc
from pocketdet.errors import UsageError


@dataclass(frozen=True)
class Source:
    """A COCO file and the folder of its images, or a Pascal VOC folder and a split."""

    annotations: Path
    images: Path | None = None
    split: str | None = None

    def __str__(self) -> str:
        return str(self.annotations)


def choose_source(data: Path | None, images: Path | None, voc: Path | None, split: str | None) -> Source:
    """Return the source named by the options. Raises `UsageError` unless they name exactly one."""
    if (data is None) == (voc is None):
        raise UsageError(
            "name one dataset: --data test.json --images DIR (COCO), or --voc DIR --split test (Pascal VOC)"
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
class Labelled:
    """A checked dataset, the SHA-256 of its annotations and the number of listed images."""

    dataset: Dataset
    sha256: str
    listed: int


def read_labelled(
    source: Source,
    class_names: tuple[str, ...],
    *,
    limit: int,
    skip_bad: bool,
    progress: Callable[[str, int], Callable[[], None]],
) -> Labelled:
    """Read and check a dataset.

    Args:
        source: the dataset. A VOC folder must have no other classes than `class_names`.
        class_names: classes of the detector.
        limit: number of images, evenly spaced over the dataset; 0 for all.
        skip_bad: skip invalid images and boxes instead of raising an error.
        progress: starts a progress bar of a title and total; returns its advance function.

    Raises:
        UsageError: with one report of all problems unless `skip_bad`, or if no object remains.
    """
    if source.images is not None:
        dataset = read_coco(source.annotations, source.images)
    else:
        dataset = read_voc(source.annotations, source.split or "", class_names)
        _refuse_other_classes(source, dataset)
    digest, listed = _digest(source), len(dataset.images)
    part = evenly_spaced(dataset, limit)
    checked = check_dataset(part, progress("checking the data", len(part.images)))
    return Labelled(keep_sound(checked, skip_bad=skip_bad), digest, listed)


def _refuse_other_classes(source: Source, dataset: Dataset) -> None:
    """Reject objects of unknown classes despite --skip-bad: detections of them would be false positives."""
    found = [p.detail for p in dataset.problems if p.kind == "unknown category"]
    if found:
        raise UsageError(
            f"{source} has objects of classes that the detector does not have: "
            f"{'; '.join(list(dict.fromkeys(found))[:5])}"
        )


def _digest(source: Source) -> str:
    """SHA-256 of the COCO file, or of a VOC split and its annotations in that order."""
    if source.images is not None:
        return hashlib.sha256(source.annotations.read_bytes()).hexdigest()
    split = (source.annotations / "ImageSets" / "Main" / f"{source.split}.txt").read_bytes()
    digest = hashlib.sha256(split)
    for line in split.decode().splitlines():
        path = source.annotations / "Annotations" / f"{line.split()[0]}.xml" if line.split() else None
        if path is not None and path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()
