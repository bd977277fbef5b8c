"""How large the values of a blob are, counted in one pass and in bounded memory."""

from math import frexp

import numpy as np
from numpy.typing import NDArray

from pocketdet.export.quantize.settings import Array

BINS = 4096


class Histogram:
    """Counts of |x| in `BINS` equal bins over [0, limit), where limit is the next power of two above the
    largest.

    The limit doubles as larger values come, which merges bins in pairs: edges stay edges, so the result does
    not depend on the order or the grouping of what was added. Exact zeros are not counted: int8 represents
    them.
    """

    def __init__(self) -> None:
        self.counts: NDArray[np.int64] = np.zeros(BINS, np.int64)
        self.largest = 0.0
        self._exponent = 0

    @property
    def limit(self) -> float:
        """Upper edge of the last bin; meaningless while nothing but zeros was added."""
        return float(2.0**self._exponent)

    @property
    def total(self) -> int:
        """How many values were counted."""
        return int(self.counts.sum())

    def add(self, values: Array) -> None:
        """Count finite values of any shape."""
        magnitude = np.abs(values).reshape(-1)
        magnitude = magnitude[magnitude > 0]
        if magnitude.size == 0:
            return
        largest = float(magnitude.max())
        exponent = frexp(largest)[1]  # largest < 2 ** exponent
        if self.largest == 0:
            self._exponent = exponent
        for _ in range(min(max(exponent - self._exponent, 0), BINS.bit_length())):
            merged = self.counts.reshape(-1, 2).sum(axis=1)
            self.counts = np.concatenate([merged, np.zeros(BINS // 2, np.int64)])
        self._exponent = max(exponent, self._exponent)
        self.largest = max(largest, self.largest)
        # times BINS / limit, a power of two that may itself be beyond float32
        index = np.ldexp(magnitude, BINS.bit_length() - 1 - self._exponent).astype(np.int32)
        self.counts += np.bincount(index, minlength=BINS)
