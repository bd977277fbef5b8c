"""A part of a dataset is spread over all of it."""

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pocketdet.datasets import Dataset, ImageAnnotations, evenly_spaced
from pocketdet.datasets.records import Problem, coverage_text, hold_out


def dataset_of(total: int) -> Dataset:
    """A dataset of empty images, numbered."""
    nothing = (np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, np.bool_))
    images = tuple(ImageAnnotations(Path(), (1, 1), *nothing, image_id=i) for i in range(total))
    return Dataset(("bolt",), images, (Problem("box", "a.xml", "no area"),))


@given(total=st.integers(1, 400), share=st.floats(0, 1))
def test_a_part_is_held_out(total: int, share: float) -> None:
    kept, held = hold_out(dataset_of(total), share)
    numbers = [[image.image_id for image in part.images] for part in (kept, held)]
    assert sorted(numbers[0] + numbers[1]) == list(range(total))
    assert all(part == sorted(part) for part in numbers)
    assert len(numbers[1]) == (min(max(1, round(share * total)), total - 1) if share else 0)
    assert (len(kept.problems), held.problems) == (1, ())


@given(total=st.integers(1, 400), limit=st.integers(0, 500))
def test_images_are_evenly_spaced(total: int, limit: int) -> None:
    chosen = [image.image_id for image in evenly_spaced(dataset_of(total), limit).images]
    assert len(chosen) == (min(limit, total) or total)
    gaps = np.diff([-1, *chosen, total])
    assert gaps.min() >= 1
    assert np.ptp(gaps[1:-1]) <= 1 if len(chosen) > 1 else True
    assert gaps.max() <= total / len(chosen) + 1


def test_a_part_is_never_called_the_whole() -> None:
    said = [coverage_text(3, 9), coverage_text(9, 9), coverage_text(1, 1), coverage_text(1, 2)]
    assert said == ["3 of 9 images", "all 9 images", "the only image", "1 of 2 images"]
