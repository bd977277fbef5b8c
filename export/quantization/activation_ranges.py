"""The ranges of activations over the calibration items, and the scales that follow from them.

An activation is quantized as int8 = clip(round(x * scale), -127, 127), with scale = 127 / threshold. The
threshold is found in a `Histogram` of |x|:

- min-max: the largest value; no value saturates.
- mse: the threshold with the smallest mean squared error of rounding and saturation.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from math import frexp

import numpy as np
from numpy.typing import NDArray

from pocketdet.export.quantization.measure import GraphRunner, check_finite
from pocketdet.export.quantization.settings import Array, Items, Method
from pocketdet.runtime.engines.fork_map import map_in_forks
from pocketdet.runtime.ncnn_graph import Graph

BINS = 4096
LEVELS = 127
_LEAST_BINS = 128
_STEP = 16
_ITEMS_AT_ONCE = 8  # of one worker

Progress = Callable[[str, int, int], None]
"""Receives the name of a step, and how many items of how many are done."""


class Histogram:
    """Counts of |x| in `BINS` equal bins over [0, limit), in one pass and in bounded memory.

    The limit is the next power of two above the largest value. It doubles if a larger value is added, which
    merges bins in pairs, so the result does not depend on the order of the values. Exact zeros are not
    counted since int8 represents them.
    """

    def __init__(self) -> None:
        self.counts: NDArray[np.int64] = np.zeros(BINS, np.int64)
        self.largest = 0.0
        self._exponent = 0

    @property
    def limit(self) -> float:
        """The upper edge of the last bin; undefined if only zeros were added."""
        return float(2.0**self._exponent)

    @property
    def total(self) -> int:
        """The number of counted values."""
        return int(self.counts.sum())

    def add(self, values: Array) -> None:
        """Count finite values of any shape."""
        magnitude = np.abs(values).reshape(-1)
        magnitude = magnitude[magnitude > 0]
        if magnitude.size == 0:
            return
        self._widen(float(magnitude.max()))
        # times BINS / limit, a power of two that may itself be beyond float32
        index = np.ldexp(magnitude, BINS.bit_length() - 1 - self._exponent).astype(np.int32)
        self.counts += np.bincount(index, minlength=BINS)

    def merge(self, other: "Histogram") -> None:
        """Add the counts of another histogram, which must not be used afterwards."""
        if other.largest == 0:
            return
        self._widen(other.largest)
        other._widen(self.largest)
        self.counts += other.counts

    def _widen(self, largest: float) -> None:
        """Raise the limit above a value."""
        exponent = frexp(largest)[1]  # largest < 2 ** exponent
        if self.largest == 0:
            self._exponent = exponent
        for _ in range(min(max(exponent - self._exponent, 0), BINS.bit_length())):
            merged = self.counts.reshape(-1, 2).sum(axis=1)
            self.counts = np.concatenate([merged, np.zeros(BINS // 2, np.int64)])
        self._exponent = max(exponent, self._exponent)
        self.largest = max(largest, self.largest)


def threshold(histogram: Histogram, method: Method) -> float:
    """The largest |x| that int8 represents; 0 if all values were zero."""
    if histogram.total == 0:
        return 0.0
    if method == "min-max":
        return histogram.largest
    bins = mse_bins(histogram.counts)
    return min(bins * histogram.limit / BINS, histogram.largest)


def candidates(counts: NDArray[np.int64]) -> list[int]:
    """The numbers of bins below the thresholds to try; the last one covers every value."""
    used = int(np.flatnonzero(counts)[-1]) + 1
    return [*range(_LEAST_BINS, used, _STEP), max(used, _LEAST_BINS)]


def mse_bins(counts: NDArray[np.int64]) -> int:
    """The number of bins with the smallest squared error; the largest of equals."""
    errors = {bins: squared_error(counts, bins) for bins in candidates(counts)}
    return min(reversed(errors), key=errors.__getitem__)


def squared_error(counts: NDArray[np.int64], bins: int) -> float:
    """The sum of squared errors, in squared bins, if all values are at the centres of their bins."""
    centres = np.arange(len(counts)) + 0.5
    scale = LEVELS / bins
    rounded = np.minimum(np.rint(centres * scale), LEVELS) / scale
    return float(np.sum(counts * (centres - rounded) ** 2))


@dataclass
class ObservedRange:
    """The range of a blob.

    Attributes:
        histogram: of all absolute values.
        channels: the largest absolute value of each channel (axis 0 of a map, the last axis of a matrix or
            vector).
    """

    histogram: Histogram = field(default_factory=Histogram)
    channels: NDArray[np.float32] | None = None

    def add(self, values: Array) -> None:
        """Add the values of one item."""
        self.histogram.add(values)
        along = values.reshape(len(values), -1) if values.ndim > 2 else values.reshape(-1, values.shape[-1]).T
        self._add_channels(np.abs(along).max(axis=1))

    def merge(self, other: "ObservedRange") -> None:
        """Add the values that another range has seen, which must not be used afterwards."""
        self.histogram.merge(other.histogram)
        if other.channels is not None:
            self._add_channels(other.channels)

    def _add_channels(self, largest: NDArray[np.float32]) -> None:
        self.channels = largest if self.channels is None else np.maximum(self.channels, largest)


def observe(
    graph: Graph, items: Items, blobs: Iterable[str], progress: Progress, workers: int = 1
) -> Mapping[str, ObservedRange]:
    """Run a graph on the calibration items and observe the ranges of `blobs`.

    The ranges do not depend on the number of `workers`, the processes that share the items.

    Raises:
        EngineError: if a blob holds NaN or infinity, or a worker is killed.
    """
    names = tuple(blobs)
    runner = cache(lambda: GraphRunner(graph))  # made in the process that uses it

    def observe_some(indices: Sequence[int]) -> dict[str, ObservedRange]:
        ranges = {blob: ObservedRange() for blob in names}
        for index in indices:
            values = runner().run(items.all[index], names)
            check_finite(values, index)
            for blob, array in values.items():
                ranges[blob].add(array)
        return ranges

    seen = {blob: ObservedRange() for blob in names}
    every = items.calibrate
    parts = [every[start : start + _ITEMS_AT_ONCE] for start in range(0, len(every), _ITEMS_AT_ONCE)]
    done = 0
    for part, ranges in zip(parts, map_in_forks(observe_some, parts, workers), strict=True):
        for blob, observed in ranges.items():
            seen[blob].merge(observed)
        done += len(part)
        progress("observe", done, len(every))
    return seen
