"""Interleaved timing: the order of bursts, the counted frames, and that a common slowdown cancels out."""

import gc
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketdet.benchmarks.interleaved import run_interleaved, speed_ratio, summarise
from pocketdet.benchmarks.plan import InterleavedPlan
from pocketdet.errors import UsageError


class SimulatedClock:
    """A clock that only the timed functions advance, and a log of the calls."""

    def __init__(self) -> None:
        self.now = 0.0
        self.log: list[str] = []

    def read(self) -> float:
        return self.now

    def function(self, name: str, milliseconds: float, first: float = 0.0) -> Callable[[], None]:
        """A function that takes `milliseconds`, and `first` more if another function ran before it."""

        def run() -> None:
            cold = not self.log or self.log[-1] != name
            self.now += 1e-3 * (milliseconds + first * cold)
            self.log.append(name)

        return run


def test_bursts_alternate_and_refill_frames_are_not_counted() -> None:
    clock, calls = SimulatedClock(), []
    plan = InterleavedPlan(rounds=6, burst=4, refill=1, warm_up=3, seed=1)
    functions = {"a": clock.function("a", 2, first=9), "b": clock.function("b", 5, first=9)}
    samples = run_interleaved(functions, plan, clock=clock.read, progress=lambda: calls.append(None))
    assert list(samples) == ["a", "b"]
    np.testing.assert_allclose(samples["a"], np.full((6, 3), 2.0))
    np.testing.assert_allclose(samples["b"], np.full((6, 3), 5.0))
    assert plan.frames == samples["a"].size
    assert len(calls) == 12
    assert clock.log[:6] == ["a"] * 3 + ["b"] * 3
    rounds = ["".join(clock.log[6 + 8 * i : 14 + 8 * i]) for i in range(6)]
    assert set(rounds) == {"aaaabbbb", "bbbbaaaa"}


def test_the_order_depends_on_the_seed() -> None:
    def order(seed: int) -> list[str]:
        clock = SimulatedClock()
        functions = {name: clock.function(name, 1) for name in "abcd"}
        run_interleaved(functions, InterleavedPlan(8, 1, 0, 0, seed), clock=clock.read)
        return clock.log

    assert order(3) == order(3)
    assert order(3) != order(4)
    assert all(sorted(order(3)[i : i + 4]) == list("abcd") for i in range(0, 32, 4))


def test_an_error_ends_the_measurement_and_enables_garbage_collection() -> None:
    states = []

    def broken() -> None:
        states.append(gc.isenabled())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_interleaved({"a": broken}, InterleavedPlan(warm_up=0))
    assert states == [False]
    assert gc.isenabled()


@pytest.mark.parametrize(
    "values", [{"rounds": 0}, {"burst": 2, "refill": 2}, {"refill": -1}, {"warm_up": -1}, {"burst": 0}]
)
def test_a_plan_without_counted_frames_is_refused(values: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="expected"):
        InterleavedPlan(**values)


def test_a_summary_has_the_expected_statistics() -> None:
    found = summarise(np.arange(1.0, 21.0).reshape(4, 5))
    assert (found.median, found.mean) == (10.5, 10.5)
    assert found.p90 == pytest.approx(18.1)
    assert found.p99 == pytest.approx(19.81)
    spoilt = np.ones((4, 5))
    spoilt[0, 0], spoilt[3, 4] = 100, 0
    assert summarise(spoilt).trimmed_mean == 1
    with pytest.raises(UsageError, match="at least one sample"):
        summarise(np.zeros((0, 5)))


def test_a_slowdown_of_a_whole_round_cancels_out() -> None:
    slowdown = np.array([1, 1, 8, 3, 1, 2, 5, 1.0])[:, None]
    base, other = slowdown * np.array([3.0, 3, 3]), slowdown * np.array([2.0, 2, 2])
    ratio = speed_ratio(base, other)
    assert (ratio.low, ratio.value, ratio.high) == (1.5, 1.5, 1.5)
    assert str(ratio) == "1.50× [1.50, 1.50]"
    assert speed_ratio(base, base).value == 1


def test_the_interval_contains_the_true_ratio_and_narrows_with_more_rounds() -> None:
    rng = np.random.default_rng(5)

    def measured(rounds: int) -> tuple[float, float]:
        base, other = (t * rng.lognormal(0, 0.05, (rounds, 6)) for t in (10.0, 8.0))
        ratio = speed_ratio(base, other, seed=2)
        assert ratio == speed_ratio(base, other, seed=2)
        assert ratio.low <= ratio.value <= ratio.high
        return ratio.low, ratio.high

    few = [measured(8) for _ in range(40)]
    many = [measured(64) for _ in range(40)]
    assert sum(low <= 1.25 <= high for low, high in many) >= 34  # 38 of 40 are expected
    assert np.mean([h - low for low, h in many]) < 0.6 * np.mean([h - low for low, h in few])


@pytest.mark.parametrize("shape", [(3, 6), (0, 6), (5, 0)])
def test_ratios_need_the_same_rounds(shape: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="the same rounds"):
        speed_ratio(np.ones((5, 6)), np.ones(shape))


@given(st.floats(0.1, 10), st.integers(1, 20), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_a_ratio_scales_with_its_base(scale: float, rounds: int, frames: int, seed: int) -> None:
    base, other = np.random.default_rng(seed).uniform(1, 2, (2, rounds, frames))
    one, scaled = speed_ratio(base, other), speed_ratio(scale * base, other)
    assert scaled.value == pytest.approx(scale * one.value)
    assert (scaled.low, scaled.high) == pytest.approx((scale * one.low, scale * one.high))
