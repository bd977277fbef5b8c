"""Counting magnitudes, and the search for a threshold against its definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketdet.export.quantization.activation_ranges import (
    BINS,
    LEVELS,
    Histogram,
    candidates,
    mse_bins,
    squared_error,
    threshold,
)
from pocketdet.export.quantization.settings import METHODS


def histogram_of(*arrays):
    found = Histogram()
    for array in arrays:
        found.add(np.asarray(array, np.float32))
    return found


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_order_and_grouping_do_not_matter(values, random):
    whole = histogram_of(values)
    shuffled = random.sample(values, len(values))
    parts = histogram_of(*([value] for value in shuffled))
    merged = Histogram()
    for value in shuffled:
        merged.merge(histogram_of([value]))
    for other in (parts, merged):
        assert np.array_equal(whole.counts, other.counts)
        assert (whole.largest, whole.total) == (other.largest, other.total)
        if whole.total:
            assert whole.limit == other.limit


def test_counts_by_hand():
    found = histogram_of([0.0, -0.0, 1.0, -1.5, 1.999])
    assert found.limit == 2.0
    assert found.total == 3
    assert found.largest == np.float32(1.999)
    assert np.flatnonzero(found.counts).tolist() == [BINS // 2, BINS * 3 // 4, int(1.999 * BINS / 2)]


def test_a_growing_limit_keeps_every_value():
    found = histogram_of([1e-20, 1e-3], [3.0], [1e9])
    assert found.total == 4
    assert found.limit == 2.0**30
    assert found.counts[0] == 3


@pytest.mark.parametrize("value", [1e-45, 1e-38, 3.4e38])
def test_the_smallest_and_largest_numbers(value):
    found = histogram_of([value, value / 3])
    assert found.total == (1 if value == 1e-45 else 2)
    assert found.largest == np.float32(value)


@pytest.mark.parametrize("method", METHODS)
def test_zeros_alone_have_no_threshold(method):
    assert threshold(histogram_of(np.zeros(9)), method) == 0.0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e9])
def test_thresholds_are_within_the_values_and_follow_their_scale(method, scale):
    values = np.random.default_rng(0).normal(size=20000)
    plain, scaled = (threshold(histogram_of(values * s), method) for s in (1, scale))
    assert 0 < plain <= np.abs(np.float32(values)).max()
    # the limit is a power of two, so bins shift by up to a factor of two
    assert scaled == pytest.approx(plain * scale, rel=0.2)


def test_min_max_is_the_largest():
    assert threshold(histogram_of([1.0, -7.25, 3.0]), "min-max") == 7.25


def test_a_lone_outlier_is_cut_off():
    """For MSE where N (t / 127)^2 / 12 + (60 - t)^2 is least."""
    count = 200000
    found = histogram_of(np.append(np.random.default_rng(1).normal(size=count), 60.0))
    assert threshold(found, "mse") == pytest.approx(60 / (1 + count / (12 * 127**2)), rel=0.05)


def test_even_values_are_not_cut_off():
    values = np.random.default_rng(2).uniform(-1, 1, 200000)
    assert threshold(histogram_of(values), "mse") > 0.95


def distributions():
    rng = np.random.default_rng(3)
    yield histogram_of(rng.normal(size=3000)).counts
    yield histogram_of(rng.exponential(size=3000)).counts
    yield histogram_of([1.0, 2.0, 2.0, 900.0]).counts
    yield histogram_of([5.0]).counts


@pytest.mark.parametrize("index", range(4))
def test_squared_error_of_each_value_by_itself(index):
    counts = list(distributions())[index]
    for bins in candidates(counts)[::12]:
        total = 0.0
        for i, count in enumerate(counts):
            level = min(round((i + 0.5) * LEVELS / bins), LEVELS)
            total += int(count) * ((i + 0.5) - level * bins / LEVELS) ** 2
        assert squared_error(counts, bins) == pytest.approx(total, rel=1e-9)


@pytest.mark.parametrize("index", range(4))
def test_the_search_takes_the_best_candidate(index):
    counts = list(distributions())[index]
    best = mse_bins(counts)
    costs = {bins: squared_error(counts, bins) for bins in candidates(counts)}
    assert costs[best] == min(costs.values())
    assert best == max(bins for bins, found in costs.items() if found == costs[best])


def test_candidates_end_with_every_value_kept():
    for counts in distributions():
        found = candidates(counts)
        assert not counts[found[-1] :].any()
        assert found == sorted(set(found))
