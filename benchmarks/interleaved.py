"""Interleaved timing: several functions timed on one machine, so that its fluctuations affect all alike.

In every round each function runs one burst of frames, in a random order: a processor that slows down, or
another program that wakes up, affects all of them. The first frames of a burst refill the caches that the
previous burst emptied, and are not counted.
"""

import gc
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pocketdet.benchmarks.plan import InterleavedPlan
from pocketdet.errors import UsageError

Samples = NDArray[np.float64]
"""Milliseconds, (rounds, counted frames of a burst)."""

_TRIMMED = 0.1  # of the samples at either end
_RESAMPLES = 4000


@dataclass(frozen=True)
class Summary:
    """Milliseconds. `trimmed_mean` excludes the fastest and the slowest tenth."""

    median: float
    p90: float
    p99: float
    mean: float
    trimmed_mean: float


@dataclass(frozen=True)
class Ratio:
    """How many times as fast one function is as another, with its 95% confidence interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f}× [{self.low:.2f}, {self.high:.2f}]"


def run_interleaved(
    functions: Mapping[str, Callable[[], object]],
    plan: InterleavedPlan,
    *,
    clock: Callable[[], float] = time.perf_counter,
    progress: Callable[[], None] = lambda: None,
) -> dict[str, Samples]:
    """Time all functions in turn. Python's garbage collector is off meanwhile.

    Args:
        functions: The functions by name. One call is one frame; whatever a call raises ends the measurement.
        plan: Number of rounds and of frames.
        clock: Time in seconds.
        progress: Called after each burst: `plan.rounds` times for every function.

    Returns:
        Milliseconds of each function by name, in the order of `functions`.
    """
    samples = {name: np.zeros((plan.rounds, plan.burst - plan.refill)) for name in functions}
    for run in functions.values():
        for _ in range(plan.warm_up):
            run()
    names = list(functions)
    generator = np.random.default_rng(plan.seed)
    with _no_garbage_collection():
        for i in range(plan.rounds):
            for place in generator.permutation(len(names)):
                samples[names[place]][i] = _burst(functions[names[place]], plan, clock)
                progress()
    return samples


def summarise(samples: Samples) -> Summary:
    """Compute statistics over all frames of all rounds.

    Args:
        samples: Milliseconds, of any shape.

    Returns:
        Median, percentiles and means, in milliseconds.

    Raises:
        UsageError: If there are no samples.
    """
    if samples.size == 0:
        raise UsageError("expected at least one sample to summarise, found none")
    values = np.sort(samples, axis=None)
    median, p90, p99 = np.percentile(values, [50, 90, 99])
    cut = int(_TRIMMED * len(values))
    trimmed = values[cut : len(values) - cut]
    return Summary(float(median), float(p90), float(p99), float(values.mean()), float(trimmed.mean()))


def speed_ratio(base: Samples, other: Samples, seed: int = 0) -> Ratio:
    """Compute how many times as fast `other` is as `base`: above 1 it is faster.

    Each round gives one ratio of medians; the value is the median over the rounds. What slows a whole round
    down cancels out. The interval is that of the percentile bootstrap over rounds.

    Args:
        base: Milliseconds, (rounds, frames).
        other: Milliseconds of the same rounds, (rounds, any number of frames).
        seed: Seed of the bootstrap.

    Returns:
        The ratio with its 95% interval.

    Raises:
        UsageError: If the two do not come from the same number of rounds, or one is empty.
    """
    if len(base) != len(other) or base.size == 0 or other.size == 0:
        raise UsageError(f"expected samples of the same rounds, found {base.shape} and {other.shape}")
    ratios = np.median(base, axis=1) / np.median(other, axis=1)
    drawn = np.random.default_rng(seed).integers(len(ratios), size=(_RESAMPLES, len(ratios)))
    low, high = np.percentile(np.median(ratios[drawn], axis=1), [2.5, 97.5])
    return Ratio(float(np.median(ratios)), float(low), float(high))


def _burst(run: Callable[[], object], plan: InterleavedPlan, clock: Callable[[], float]) -> list[float]:
    spans = []
    for _ in range(plan.burst):
        start = clock()
        run()
        spans.append(1e3 * (clock() - start))
    return spans[plan.refill :]


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
