"""Everything that is wrong with a dataset, named at once and before training starts."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from pocketdet.datasets.image_file import read_stored_image
from pocketdet.datasets.records import Dataset, ImageAnnotations, Problem
from pocketdet.errors import ImageError, UsageError

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
