"""Several programs timed against each other on one machine, so that the machine's moods hit all of them.

In every round each contestant runs one burst of frames, in an order drawn anew: a processor that slows down,
or a neighbour that wakes up, is met by all. The first frames of a burst refill the caches that the one before
emptied, and do not count. Statistics of the samples are in `samples`.
"""

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pocketdet.errors import UsageError

Samples = NDArray[np.float64]
"""Milliseconds (rounds, frames of a burst that count)."""


@dataclass(frozen=True)
class Contestant:
    """Something to time: `run` does one frame."""

    name: str
    run: Callable[[], object]


@dataclass(frozen=True)
class Plan:
    """How long a contest is: `warm_up` frames each, then `rounds` bursts of `burst` frames each.

    The first `refill` frames of a burst are not counted. `seed` draws the orders. Raises `UsageError` for a
    plan that would count nothing.
    """

    rounds: int = 25
    burst: int = 8
    refill: int = 2
    warm_up: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise UsageError(f"{self.rounds} rounds: expected 1 or more")
        if self.warm_up < 0 or self.refill < 0 or self.burst <= self.refill:
            raise UsageError(
                f"bursts of {self.burst} frames, {self.refill} of them not counted, after {self.warm_up} to "
                "warm up: expected at least one that counts and no negative number"
            )

    @property
    def frames(self) -> int:
        """Frames of a contestant that count."""
        return self.rounds * (self.burst - self.refill)


def hold(
    contestants: Sequence[Contestant],
    plan: Plan,
    *,
    clock: Callable[[], float] = time.perf_counter,
    progress: Callable[[], None] = lambda: None,
) -> dict[str, Samples]:
    """Time all contestants; the samples of each by its name, in the order given.

    `clock` gives seconds. `progress` is called after each burst: `rounds` times for every contestant.
    Python's garbage collector rests meanwhile. Whatever a contestant raises ends the contest.
    Raises `UsageError` if two have one name.
    """
    if len({c.name for c in contestants}) < len(contestants):
        raise UsageError(f"contestants {[c.name for c in contestants]}: expected different names")
    samples = {c.name: np.zeros((plan.rounds, plan.burst - plan.refill)) for c in contestants}
    for contestant in contestants:
        for _ in range(plan.warm_up):
            contestant.run()
    generator = np.random.default_rng(plan.seed)
    with _no_garbage_collection():
        for i in range(plan.rounds):
            for place in generator.permutation(len(contestants)):
                contestant = contestants[place]
                samples[contestant.name][i] = _burst(contestant.run, plan, clock)
                progress()
    return samples


def _burst(run: Callable[[], object], plan: Plan, clock: Callable[[], float]) -> list[float]:
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
