"""Cuts along the channels: where Slice and Crop cut, and where the same cut belongs in a widened blob.

The wide cut is free to choose; whether a choice routes every channel to where it went is decided later, by
`placement`. Here the most promising one is taken: the position that leaves enough lanes of every value on
either side, at the same fraction of the blob if that does, else on a whole number of lanes.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from pocketdet.export.passes.lanes.content import Content, IntArray
from pocketdet.runtime.ncnn_graph import Layer, Shape

_KEEP = -233


class Interval(NamedTuple):
    """Positions begin <= k < end."""

    begin: int
    end: int


def cut_intervals(layer: Layer, shape: Shape, outputs: Sequence[Shape]) -> list[Interval]:
    """The channels that each output of a Slice or of a Crop by starts and ends takes."""
    if layer.type == "Slice":
        ends = np.cumsum([0, *(out[0] for out in outputs)])
        return [Interval(int(begin), int(end)) for begin, end in pairwise(ends)]
    axes = layer.int_array(11) or tuple(range(len(shape)))
    where = [axis % len(shape) for axis in axes]
    if 0 not in where:
        return [Interval(0, shape[0])]
    start = layer.int_array(9)[where.index(0)]
    begin = 0 if start == _KEEP else start % shape[0] if start < 0 else start
    return [Interval(begin, begin + outputs[0][0])]


def wide_intervals(
    intervals: Sequence[Interval], narrow: Content, wide: Content, lanes: int
) -> list[Interval] | None:
    """Where the cuts belong in the wide blob; None if a part would be empty.

    Parts of equal size that divide the blob evenly stay so.
    """
    sizes = {interval.end - interval.begin for interval in intervals}
    even = len(sizes) == 1 and len(narrow) % next(iter(sizes)) == 0
    even = even and all(interval.begin % next(iter(sizes)) == 0 for interval in intervals)
    bounds = sorted({bound for interval in intervals for bound in interval})
    where = {bound: _wide_bound(bound, narrow, wide, lanes, even) for bound in bounds}
    found = [Interval(where[interval.begin], where[interval.end]) for interval in intervals]
    return found if all(interval.begin < interval.end for interval in found) else None


def _wide_bound(bound: int, narrow: Content, wide: Content, lanes: int, even: bool) -> int:
    if bound in (0, len(narrow)):
        return 0 if bound == 0 else len(wide)
    share = bound * len(wide) / len(narrow)
    positions = np.arange(len(wide) + 1, dtype=np.int64)
    preference = np.abs(positions - share) + np.where(positions % lanes == 0, 0, len(wide))
    if even and share == int(share):
        preference[int(share)] = -1
    return int(np.lexsort((preference, _missing(bound, narrow, wide)))[0])


def _missing(bound: int, narrow: Content, wide: Content) -> IntArray:
    """For each wide cut, how many channels would find no lane of their value on their side."""
    kinds, of_all = np.unique(
        np.concatenate([(c.group << np.int64(32)) | c.version for c in (narrow, wide)]), return_inverse=True
    )
    of_narrow, of_wide = of_all[: len(narrow)], of_all[len(narrow) :]
    before = np.bincount(of_narrow[:bound], minlength=len(kinds))
    behind = np.bincount(of_narrow[bound:], minlength=len(kinds))
    counts = np.zeros((len(wide) + 1, len(kinds)), np.int64)
    counts[np.arange(len(wide)) + 1, of_wide] = 1
    counts = counts.cumsum(axis=0)
    lacking = np.maximum(before - counts, 0) + np.maximum(behind - (counts[-1] - counts), 0)
    return np.asarray(lacking.sum(axis=1), np.int64)
