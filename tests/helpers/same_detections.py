"""Whether two runs of a detector found the same, and by how much they differ."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class PlainDetections:
    """Detections of one image: boxes (N, 4) float32, scores (N,) float32, labels (N,)."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int32]


@dataclass(frozen=True)
class Difference:
    """lost: detections without a partner, of total; pixels and score: the largest among partners."""

    total: int
    lost: int
    pixels: float
    score: float


def found_in(document: dict[str, Any]) -> list[PlainDetections]:
    """What `pocketdet-run detect` wrote, per image."""
    return [
        PlainDetections(
            np.array([d["box"] for d in image["detections"]], np.float32).reshape(-1, 4),
            np.array([d["score"] for d in image["detections"]], np.float32),
            np.array([d["label"] for d in image["detections"]], np.int32),
        )
        for image in document["images"]
    ]


def difference(
    one: list[PlainDetections], other: list[PlainDetections], pixels: float, score: float
) -> Difference:
    """Pair detections of a label within `pixels` and `score`, nearest first come."""
    assert len(one) == len(other)
    total = lost = 0
    most_pixels = most_score = 0.0
    for a, b in zip(one, other, strict=True):
        free = np.ones(len(b.scores), bool)
        for box, value, label in zip(a.boxes, a.scores, a.labels, strict=True):
            distance = np.abs(b.boxes - box).max(axis=1, initial=0)
            fits = free & (b.labels == label) & (distance <= pixels) & (np.abs(b.scores - value) <= score)
            if not fits.any():
                continue
            partner = int(np.where(fits, distance, np.inf).argmin())
            free[partner] = False
            most_pixels = max(most_pixels, float(distance[partner]))
            most_score = max(most_score, float(abs(b.scores[partner] - value)))
        matched = int((~free).sum())
        total += max(len(a.scores), len(b.scores))
        lost += max(len(a.scores), len(b.scores)) - matched
    return Difference(total, lost, most_pixels, most_score)
