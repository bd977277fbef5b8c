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
