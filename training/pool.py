"""All pictures of a run, decoded once and kept in memory, and which of them is drawn when."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pocketdet.datasets import Dataset, read_picture
from pocketdet.training.labelled import Labelled


@dataclass(frozen=True)
class Pool:
    """One source: its pictures, and its judged objects as (picture, index in picture).

    Attributes:
        pictures: the decoded data.
        objects: (M, 2) int64, every object that is not ignored.
        cumulative: (M,) float64, the running sum of the chance of each object to be drawn.
    """

    pictures: tuple[Labelled, ...]
    objects: NDArray[np.int64]
    cumulative: NDArray[np.float64]

    def draw(self, rng: np.random.Generator) -> tuple[Labelled, int]:
        """A picture and the index of the object for whose sake it was drawn."""
        row = min(int(np.searchsorted(self.cumulative, rng.random())), len(self.objects) - 1)
        picture, index = self.objects[row]
        return self.pictures[picture], int(index)


def make_pool(pictures: Sequence[Labelled], classes: int, class_power: float) -> Pool:
    """Objects are drawn with probability (frequency of their class) ** `class_power`, 0 for all alike."""
    objects = [(i, k) for i, picture in enumerate(pictures) for k in range(len(picture.labels))]
    labels = np.array([pictures[i].labels[k] for i, k in objects], np.int64)
    frequency = np.bincount(labels, minlength=classes)
    weights = frequency[labels].astype(np.float64) ** class_power
    chances = np.cumsum(weights / weights.sum())
    return Pool(tuple(pictures), np.array(objects, np.int64).reshape(-1, 2), chances)


def load(dataset: Dataset, progress: Callable[[], None] = lambda: None) -> list[Labelled]:
    """Decode every picture (about 270 kB for 300x300); boxes of `ignored` objects are kept apart."""
    loaded = []
    for image in dataset.images:
        judged = ~image.ignored
        pixels = read_picture(image.path)
        loaded.append(Labelled(pixels, image.boxes[judged], image.labels[judged], image.boxes[image.ignored]))
        progress()
    return loaded
