"""How much boxes overlap, in float64."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[Any]


def intersections(one: Boxes, other: Boxes) -> NDArray[np.float64]:
    """(N, 4) and (M, 4) boxes -> (N, M) areas of their intersections, in square pixels."""
    a, b = np.asarray(one, np.float64)[:, None], np.asarray(other, np.float64)[None]
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    area: NDArray[np.float64] = np.maximum(sides, 0).prod(axis=-1)
    return area


def areas(boxes: Boxes) -> NDArray[np.float64]:
    """(N, 4) boxes -> (N,) areas, in square pixels."""
    wide = np.asarray(boxes, np.float64)
    area: NDArray[np.float64] = (wide[:, 2:] - wide[:, :2]).prod(axis=-1)
    return area


def iou(one: Boxes, other: Boxes) -> NDArray[np.float64]:
    """(N, 4) and (M, 4) boxes -> (N, M) intersection over union in [0, 1], 0 where both have no area.

    Boxes are edges (docs/reference/definitions.md): a width is x2 - x1.
    """
    common = intersections(one, other)
    union = areas(one)[:, None] + areas(other)[None] - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


def covered(one: Boxes, other: Boxes) -> NDArray[np.float64]:
    """(N, 4) and (M, 4) boxes -> (N, M) share of each of the first that lies in each of the second."""
    common = intersections(one, other)
    own = np.broadcast_to(areas(one)[:, None], common.shape)
    return np.divide(common, own, out=np.zeros_like(common), where=own > 0)
