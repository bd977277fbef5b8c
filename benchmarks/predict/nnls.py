"""Least squares with coefficients that are not negative."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_TOLERANCE = 1e-10


def nnls(a: Array, b: Array) -> Array:
    """The x >= 0, (n,), with the least |a x - b|, for a (m, n) and b (m,).

    Lawson and Hanson, Solving Least Squares Problems, chapter 23: coefficients enter one by one, the one
    whose growth lowers the error fastest first; those that would turn negative leave again. Columns are
    scaled to the same norm, so that units do not matter; a column of zeros gets the coefficient 0.
    """
    norms = np.linalg.norm(a, axis=0)
    scale = np.where(norms > 0, norms, 1.0)
    unit = a / scale
    x = np.zeros(a.shape[1])
    free = np.zeros(a.shape[1], dtype=bool)
    for _ in range(3 * a.shape[1] + 3):
        slope = np.where(free, -np.inf, unit.T @ (b - unit @ x))
        best = int(np.argmax(slope))
        if slope[best] <= _TOLERANCE * max(float(np.linalg.norm(b)), 1.0):
            break
        free[best] = True
        x = _step(unit, b, x, free)
    return np.asarray(x / scale)


def _step(a: Array, b: Array, x: Array, free: NDArray[np.bool_]) -> Array:
    """Move x towards the least squares over the free columns; columns that reach 0 on the way are freed of
    it: `free` is changed in place.
    """
    while True:
        target = np.zeros_like(x)
        target[free] = np.linalg.lstsq(a[:, free], b, rcond=None)[0]
        negative = free & (target <= 0)
        if not negative.any():
            return target
        share = float(np.min(x[negative] / (x[negative] - target[negative])))
        x = x + share * (target - x)
        free &= x > _TOLERANCE
        x = np.where(free, x, 0.0)
