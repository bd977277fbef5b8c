"""A part of a dataset that stands for the whole."""

from dataclasses import replace

from pocketdet.datasets.records import Dataset


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


def coverage_text(images: int, total: int) -> str:
    """How much of a dataset something was measured on, in words."""
    if images < total:
        return f"{images} of {total} images"
    return "the only image" if total == 1 else f"all {total} images"
