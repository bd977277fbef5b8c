"""A part of a data set that stands for the whole."""

from dataclasses import replace

from pocketdet.datasets.records import Dataset


def spaced(total: int, limit: int) -> list[int]:
    """The middles of `limit` equal parts of 0 .. `total` - 1; all numbers for 0, or where there are fewer."""
    count = limit if 0 < limit < total else total
    return [(2 * i + 1) * total // (2 * count) for i in range(count)]


def evenly_spaced(dataset: Dataset, limit: int) -> Dataset:
    """`limit` pictures of a data set, 0 for all: the same ones each time.

    The first pictures of a file often are one video or a few classes; these are not.
    """
    return replace(dataset, images=tuple(dataset.images[i] for i in spaced(len(dataset.images), limit)))


def extent(pictures: int, total: int) -> str:
    """How much of a data set something was measured on, in words."""
    if pictures < total:
        return f"{pictures} of {total} pictures"
    return "the only picture" if total == 1 else f"all {total} pictures"
