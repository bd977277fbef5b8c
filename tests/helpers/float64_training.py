"""Short training runs in float64, which give the same numbers on every processor.

Kernels for different instruction sets round differently, and a detector in training doubles a difference at
about every step. In float32 two processors part within twenty steps; in float64 they agree to 1e-8 after
forty. The images are made of integers and the weights are drawn in float64, so the start is the same too.
"""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from pocketdet.training.sample import Sample

NAMES = ("bolt", "nut")
COLOURS = ((40, 40, 250), (250, 40, 40))


@pytest.fixture
def float64() -> Iterator[None]:
    """Networks that are built, images, anchors and targets are float64 during the test."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def coloured_boxes(side: int, count: int) -> list[Sample]:
    """Square images with one or two boxes, in the colour of their class on grey noise."""
    rng = np.random.default_rng(5)
    images = []
    for index in range(count):
        image = rng.integers(90, 110, (side, side, 3), np.uint8)
        boxes = np.array([[1, 1, 5, 4], [4, 5, 7, 7]], np.float32)[: 1 + index % 2] * (side // 8)
        labels = (np.arange(len(boxes)) + index) % 2
        for (x1, y1, x2, y2), label in zip(boxes.astype(int), labels, strict=True):
            image[y1:y2, x1:x2] = COLOURS[label]
        images.append(Sample(image, boxes, labels, np.zeros((0, 4), np.float32)))
    return images
