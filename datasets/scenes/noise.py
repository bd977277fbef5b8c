"""Noise from a seed: a small periodic tile read at any point, and whole smooth fields for the ground."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from .sdf import Array

TILE = 256


def uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """One uniform draw as a Python float, which keeps float32 arrays from turning into float64."""
    return float(rng.uniform(low, high))


@dataclass(frozen=True)
class NoiseTile:
    """Value noise of period 256 in both directions; `values` is (256, 256) float32 in [-1, 1]."""

    values: Array

    @staticmethod
    def draw(rng: np.random.Generator) -> "NoiseTile":
        """A tile of fresh values."""
        return NoiseTile(rng.uniform(-1, 1, (TILE, TILE)).astype(np.float32))

    def __call__(self, u: Array, v: Array) -> Array:
        """Noise in [-1, 1] at (u, v); features are one unit wide."""
        fu, fv = np.floor(u), np.floor(v)
        i, j = fu.astype(np.int32) & (TILE - 1), fv.astype(np.int32) & (TILE - 1)
        a, b = u - fu, v - fv
        a, b = a * a * (3 - 2 * a), b * b * (3 - 2 * b)
        flat, i1, j1 = self.values.ravel(), (i + 1) & (TILE - 1), (j + 1) & (TILE - 1)
        top = flat[j * TILE + i] * (1 - a) + flat[j * TILE + i1] * a
        bottom = flat[j1 * TILE + i] * (1 - a) + flat[j1 * TILE + i1] * a
        return (top * (1 - b) + bottom * b).astype(np.float32)

    def fbm(self, u: Array, v: Array, octaves: int = 4) -> Array:
        """Sum of octaves, each half as wide and half as strong; about [-1, 1]."""
        total, weight = self(u, v), 1.0
        for k in range(1, octaves):
            weight *= 0.5
            total = total + weight * self(u * 2**k + 17.3 * k, v * 2**k + 9.1 * k)
        return total * 0.8


def smooth_field(
    rng: np.random.Generator, shape: tuple[int, int], cell_x: float, cell_y: float | None = None
) -> Array:
    """Gaussian noise (H, W), about unit variance, whose features are cell_x by cell_y pixels."""
    height, width = shape
    cell_y = cell_x if cell_y is None else cell_y
    cell_x, cell_y = max(cell_x, 1.0), max(cell_y, 1.0)
    coarse = rng.standard_normal((int(height / cell_y) + 3, int(width / cell_x) + 3)).astype(np.float32)
    tall, wide = int(np.ceil(coarse.shape[0] * cell_y)), int(np.ceil(coarse.shape[1] * cell_x))
    fine = cv2.resize(coarse, (wide, tall), interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(fine[:height, :width], dtype=np.float32)


def octaves(
    rng: np.random.Generator, shape: tuple[int, int], cells: Sequence[float], weights: Sequence[float]
) -> Array:
    """Weighted sum of smooth fields, one for each feature size in `cells` (pixels)."""
    total = np.zeros(shape, dtype=np.float32)
    for cell, weight in zip(cells, weights, strict=True):
        total += weight * smooth_field(rng, shape, cell)
    return total


def smoothstep(low: float, high: float, x: Array) -> Array:
    """Cubic ramp: 0 at or below `low`, 1 at or above `high`."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
