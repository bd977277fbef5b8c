"""What the samples of a contest say: the usual statistics, and ratios with the doubt that is left."""

from dataclasses import dataclass

import numpy as np

from pocketdet.benchmarks.contest import Samples
from pocketdet.errors import UsageError

_TRIMMED = 0.1  # of the samples at either end
_RESAMPLES = 4000


@dataclass(frozen=True)
class Summary:
    """Milliseconds. `trimmed_mean` leaves out the fastest and the slowest tenth."""

    median: float
    p90: float
    p99: float
    mean: float
    trimmed_mean: float


@dataclass(frozen=True)
class Ratio:
    """How many times as fast one contestant is as another, with its 95% interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f}× [{self.low:.2f}, {self.high:.2f}]"


def summarise(samples: Samples) -> Summary:
    """Statistics over all frames of all rounds. Raises `UsageError` if there are none."""
    if samples.size == 0:
        raise UsageError("expected at least one sample to summarise, found none")
    values = np.sort(samples, axis=None)
    median, p90, p99 = np.percentile(values, [50, 90, 99])
    cut = int(_TRIMMED * len(values))
    trimmed = values[cut : len(values) - cut]
    return Summary(float(median), float(p90), float(p99), float(values.mean()), float(trimmed.mean()))


def speed_ratio(base: Samples, other: Samples, seed: int = 0) -> Ratio:
    """How many times as fast `other` is as `base`: above 1 it is faster.

    Each round gives one ratio of medians; the value is the median over the rounds. What slows a whole round
    down cancels out. The interval is the bootstrap's: rounds drawn anew with repetition, seeded.
    Raises `UsageError` if the two do not come from the same rounds.
    """
    if len(base) != len(other) or base.size == 0 or other.size == 0:
        raise UsageError(f"expected samples of the same rounds, found {base.shape} and {other.shape}")
    ratios = np.median(base, axis=1) / np.median(other, axis=1)
    drawn = np.random.default_rng(seed).integers(len(ratios), size=(_RESAMPLES, len(ratios)))
    low, high = np.percentile(np.median(ratios[drawn], axis=1), [2.5, 97.5])
    return Ratio(float(np.median(ratios)), float(low), float(high))
