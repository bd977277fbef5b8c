"""A dataset that was read, independent of its format: even parts of it, and everything wrong with it."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pocketdet.datasets.image_file import read_stored_image
from pocketdet.errors import ImageError, UsageError, did_you_mean

Kind = Literal[
    "missing folder",
    "missing image",
    "corrupt image",
    "wrong image size",
    "duplicate image",
    "box outside",
    "zero area",
    "unknown category",
    "unknown image",
    "bad annotation",
    "empty annotation file",
]


@dataclass(frozen=True)
class ImageAnnotations:
    """One image and its objects.

    Attributes:
        path: the image.
        size: (width, height) in pixels as the annotation file says.
        boxes: (N, 4) float32 (x1, y1, x2, y2) pixels, edges as in docs/reference/definitions.md.
        labels: (N,) int64, 0-based indices into the class names.
        ignored: (N,) bool: crowds (COCO) and difficult objects (VOC), neither trained on nor counted.
        image_id: the image's identity in its annotation file.
    """

    path: Path
    size: tuple[int, int]
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    ignored: NDArray[np.bool_]
    image_id: int


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with the data: what, where, and the value found."""

    kind: Kind
    where: str
    detail: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.where}: {self.detail}"


@dataclass(frozen=True)
class Dataset:
    """Images in the order of the annotation file, without what `problems` names.

    A box with a problem is left out, so is an image; the rest of its file stays.
    """

    class_names: tuple[str, ...]
    images: tuple[ImageAnnotations, ...]
    problems: tuple[Problem, ...] = ()

    @property
    def objects(self) -> int:
        """How many boxes there are, ignored ones included."""
        return sum(len(image.boxes) for image in self.images)


def image_annotations(
    path: Path,
    size: tuple[int, int],
    objects: list[tuple[tuple[float, float, float, float], int, bool]],
    image_id: int,
) -> ImageAnnotations:
    """An `ImageAnnotations` from a list of (box, label, ignored)."""
    return ImageAnnotations(
        path,
        size,
        np.array([box for box, _, _ in objects], np.float32).reshape(-1, 4),
        np.array([label for _, label, _ in objects], np.int64),
        np.array([ignored for _, _, ignored in objects], np.bool_),
        image_id,
    )


def unknown_category(where: str, name: str, names: Sequence[str]) -> Problem:
    """An object whose category is not among the class names."""
    detail = f"category {name!r} is not among the classes{did_you_mean(name, names)}"
    return Problem("unknown category", where, detail)


def box_problem(box: tuple[float, float, float, float], size: tuple[int, int], where: str) -> Problem | None:
    """What is wrong with a box (x1, y1, x2, y2) in an image of (width, height), or nothing.

    Up to one pixel over an edge is rounding and no problem.
    """
    x1, y1, x2, y2 = box
    text = "(" + ", ".join(f"{value:g}" for value in box) + ")"
    if not np.isfinite(box).all():
        return Problem("bad annotation", where, f"box {text} is not finite")
    if x2 <= x1 or y2 <= y1:
        return Problem("zero area", where, f"box {text} has no area")
    if x1 < -1 or y1 < -1 or x2 > size[0] + 1 or y2 > size[1] + 1:
        return Problem("box outside", where, f"box {text} leaves the {size[0]}x{size[1]} image")
    return None


def clip_box(
    box: tuple[float, float, float, float], size: tuple[int, int]
) -> tuple[float, float, float, float]:
    """The part of a box inside an image of (width, height)."""
    width, height = size
    return max(box[0], 0.0), max(box[1], 0.0), min(box[2], float(width)), min(box[3], float(height))


def evenly_spaced_indices(total: int, limit: int) -> list[int]:
    """The middles of `limit` equal parts of 0 .. `total` - 1; all numbers for 0, or where there are fewer."""
    count = limit if 0 < limit < total else total
    return [(2 * i + 1) * total // (2 * count) for i in range(count)]


def evenly_spaced(dataset: Dataset, limit: int) -> Dataset:
    """`limit` images of a dataset, 0 for all: the same ones each time.

    The first images of a file often are one video or a few classes; these are not.
    """
    return replace(
        dataset, images=tuple(dataset.images[i] for i in evenly_spaced_indices(len(dataset.images), limit))
    )


def hold_out(dataset: Dataset, share: float) -> tuple[Dataset, Dataset]:
    """The dataset without a share of its images, and these: evenly spaced, the same ones each time.

    Args:
        dataset: its problems stay with the first part.
        share: 0 to 1; for more than 0, each part has one image at least, if there are two.
    """
    total = len(dataset.images)
    count = min(max(1, round(share * total)), total - 1) if share else 0
    held = set(evenly_spaced_indices(total, count)) if count > 0 else set()
    first, second = (
        tuple(image for index, image in enumerate(dataset.images) if (index in held) is wanted)
        for wanted in (False, True)
    )
    return replace(dataset, images=first), replace(dataset, images=second, problems=())


def coverage_text(images: int, total: int) -> str:
    """How much of a dataset something was measured on, in words."""
    if images < total:
        return f"{images} of {total} images"
    return "the only image" if total == 1 else f"all {total} images"


SHOWN_PER_KIND = 5


def check_dataset(dataset: Dataset, progress: Callable[[], None] = lambda: None) -> Dataset:
    """The dataset without the images that cannot be used, which join its problems.

    Every image is decoded once; `progress` is called after each. A folder that has none of its images is one
    problem.
    """
    problems = [*dataset.problems, *_empty_folders(dataset)]
    empty = {problem.where for problem in problems if problem.kind == "missing folder"}
    sound = []
    for image in dataset.images:
        missing = str(image.path.parent) in empty
        problem = None if missing else _image_problem(image)
        progress()
        if missing:
            continue
        if problem is None:
            sound.append(image)
        else:
            problems.append(problem)
    return replace(dataset, images=tuple(sound), problems=tuple(problems))


def _empty_folders(dataset: Dataset) -> Iterator[Problem]:
    """The folders of more than one image that have none of them."""
    by_folder: dict[Path, list[Path]] = {}
    for image in dataset.images:
        by_folder.setdefault(image.path.parent, []).append(image.path)
    for folder, paths in by_folder.items():
        if not folder.is_dir():
            detail = f"no such folder: {len(paths)} images are expected in it, such as {paths[0].name}"
            yield Problem("missing folder", str(folder), detail)
        elif len(paths) > 1 and not any(path.is_file() for path in paths):
            detail = f"none of {len(paths)} images is in it, such as {paths[0].name}"
            yield Problem("missing folder", str(folder), detail)


def _image_problem(image: ImageAnnotations) -> Problem | None:
    if not image.path.is_file():
        return Problem("missing image", str(image.path), "no such file")
    try:
        height, width = read_stored_image(image.path).shape[:2]
    except ImageError as error:
        return Problem("corrupt image", str(image.path), str(error).removeprefix(f"{image.path}: "))
    if (width, height) != image.size:
        said = f"the annotations say {image.size[0]}x{image.size[1]}"
        return Problem("wrong image size", str(image.path), f"it has {width}x{height} pixels, {said}")
    return None


def keep_sound(dataset: Dataset, *, skip_bad: bool) -> Dataset:
    """The dataset itself, if it can be used.

    Raises `UsageError` with the whole report if something is wrong and `skip_bad` is false, or if no box
    that counts is left.
    """
    if dataset.problems and not skip_bad:
        raise UsageError(f"{report(dataset.problems)}\nmend the data, or leave these out with --skip-bad")
    if not any((~image.ignored).any() for image in dataset.images):
        reason = f"\n{report(dataset.problems)}" if dataset.problems else ""
        raise UsageError(f"the data has no box that counts{reason}")
    return dataset


def report(problems: Sequence[Problem]) -> str:
    """How many problems of each kind there are, with the first few of each by name."""
    counts = Counter(problem.kind for problem in problems)
    lines = [f"the data has {len(problems)} problem{'s' if len(problems) != 1 else ''}:"]
    for kind, count in counts.items():
        lines.append(f"  {kind}: {count}")
        shown = [p for p in problems if p.kind == kind][:SHOWN_PER_KIND]
        lines += [f"    {p.where}: {p.detail}" for p in shown]
        if count > len(shown):
            lines.append(f"    and {count - len(shown)} more")
    return "\n".join(lines)
