"""The scale of an activation: int8 = clip(round(x * scale), -127, 127), scale = 127 / threshold.

Each search takes a `Histogram` of |x| and returns the threshold beyond which values saturate.

min-max: the largest value seen; nothing saturates. KL: the threshold at which the distribution and its int8
version, outliers folded into the last bin, are closest in Kullback-Leibler divergence (S. Migacz, 8-bit
inference with TensorRT, 2017; the method of ncnn2table). MSE: the threshold with the smallest mean squared
error of rounding and saturation.
"""

import numpy as np
from numpy.typing import NDArray

from pocketdet.export.quantize.histogram import BINS, Histogram
from pocketdet.export.quantize.settings import Method

LEVELS = 127
_LEAST_BINS = 128
_STEP = 16


def threshold(histogram: Histogram, method: Method) -> float:
    """The largest |x| that int8 shall represent; 0 for a blob that was zero everywhere."""
    if histogram.total == 0:
        return 0.0
    if method == "min-max":
        return histogram.largest
    bins = kl_bins(histogram.counts) if method == "kl" else mse_bins(histogram.counts)
    return min(bins * histogram.limit / BINS, histogram.largest)


def candidates(counts: NDArray[np.int64]) -> list[int]:
    """Numbers of bins that a threshold may keep, the last of them covering every value."""
    used = int(np.flatnonzero(counts)[-1]) + 1
    return [*range(_LEAST_BINS, used, _STEP), max(used, _LEAST_BINS)]


def kl_bins(counts: NDArray[np.int64]) -> int:
    """How many bins to keep for the smallest divergence; the largest of equals."""
    divergences = {bins: divergence(counts, bins) for bins in candidates(counts)}
    return min(reversed(divergences), key=divergences.__getitem__)


def divergence(counts: NDArray[np.int64], bins: int) -> float:
    """KL(P || Q) in nats: P the first `bins` bins with all that is beyond in the last, Q made from the same
    bins without it: merged into 128 levels, each spread evenly over its bins that are not empty.
    """
    kept = counts[:bins].astype(np.float64)
    p = kept.copy()
    p[-1] += counts[bins:].sum()
    level = np.arange(bins) * (LEVELS + 1) // bins
    filled = kept > 0
    mass = np.bincount(level, weights=kept, minlength=LEVELS + 1)
    share = np.bincount(level, weights=filled.astype(np.float64), minlength=LEVELS + 1)
    q = np.where(filled, mass[level] / np.maximum(share[level], 1), 0.0)
    both = (p > 0) & (q > 0)
    if not both.any():
        return float("inf")
    # what P has where Q has nothing would cost infinitely much; a small share stands for it
    smooth = np.where(both, q / max(q.sum(), 1.0), 1e-4 / bins)
    p = p / p.sum()
    present = p > 0
    return float(np.sum(p[present] * np.log(p[present] / smooth[present])))


def mse_bins(counts: NDArray[np.int64]) -> int:
    """How many bins to keep for the smallest squared error; the largest of equals."""
    errors = {bins: squared_error(counts, bins) for bins in candidates(counts)}
    return min(reversed(errors), key=errors.__getitem__)


def squared_error(counts: NDArray[np.int64], bins: int) -> float:
    """Sum of squared errors, in squared bins, of all values at the centres of their bins."""
    centres = np.arange(len(counts)) + 0.5
    scale = LEVELS / bins
    rounded = np.minimum(np.rint(centres * scale), LEVELS) / scale
    return float(np.sum(counts * (centres - rounded) ** 2))
