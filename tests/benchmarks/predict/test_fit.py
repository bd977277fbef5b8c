"""Fits of synthetic devices with known rates, and non-negative least squares compared with all subsets."""

from itertools import chain, combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from pocketdet.benchmarks.predict.fit import fit_device, solve
from pocketdet.benchmarks.predict.prediction import ratio_band
from pocketdet.benchmarks.predict.workload import FLOAT, Workload, amounts

Array = NDArray[np.float64]
RATES = np.array([0.02, 0.01, 0.03, 0.0, 0.2, 0.5])


def models(count: int, seed: int = 1) -> dict[str, Workload]:
    rng = np.random.default_rng(seed)
    details = [parts[0] for parts in FLOAT.values()]
    return {f"m{i}": Workload(dict(zip(details, rng.uniform(1, 100, 6), strict=True))) for i in range(count)}


def times(works: dict[str, Workload], factor: float = 1.0) -> dict[str, float]:
    return {name: factor * float(amounts(work, FLOAT) @ RATES) for name, work in works.items()}


def test_exact_times_recover_the_rates_and_predict_excluded_models() -> None:
    works = models(15)
    fit = fit_device(works, times(works), FLOAT)
    assert fit.rates == pytest.approx(RATES, abs=1e-9)
    assert fit.ratios == pytest.approx(np.ones(15), abs=1e-7)
    assert fit.errors == pytest.approx(np.zeros(15), abs=1e-7)


def test_an_excluded_model_does_not_affect_its_own_prediction() -> None:
    works = models(15)
    wrong = times(works)
    wrong["m3"] *= 10
    fit = fit_device(works, wrong, FLOAT)
    assert fit.ratios[3] == pytest.approx(0.1, rel=1e-6)


def test_only_models_with_a_time_are_fitted() -> None:
    works = models(15)
    known = {name: time for name, time in times(works).items() if name != "m0"}
    assert fit_device(works, {**known, "unknown": 1.0}, FLOAT).models == tuple(f"m{i}" for i in range(1, 15))


@pytest.mark.parametrize("count", [5, 8, 9, 14, 26, 100])
def test_the_band_contains_four_of_five_new_ratios(count: int) -> None:
    rng = np.random.default_rng(count)
    held = []
    for _ in range(400):
        ratios = rng.lognormal(0, 0.3, count + 1)
        low, high = ratio_band(ratios[:-1])
        assert low <= high
        held.append(low <= ratios[-1] <= high)
    least = 0.8 if count >= 9 else (count - 1) / (count + 1)
    assert np.mean(held) > least - 0.06


def least_squares_by_subsets(a: Array) -> float:
    """The least squared error over all subsets of columns whose least squares solution is not negative."""
    b = np.ones(len(a))
    columns = range(a.shape[1])
    best = float(b @ b)
    for subset in chain.from_iterable(combinations(columns, n) for n in range(1, a.shape[1] + 1)):
        chosen = a[:, list(subset)]
        x = np.linalg.lstsq(chosen, b, rcond=None)[0]
        if (x >= 0).all():
            best = min(best, float(np.sum((chosen @ x - b) ** 2)))
    return best


@pytest.mark.parametrize("rows", [4, 9, 30])
@pytest.mark.parametrize("columns", [1, 2, 4, 6])
@pytest.mark.parametrize("seed", range(5))
def test_no_subset_does_better(rows: int, columns: int, seed: int) -> None:
    rng = np.random.default_rng([seed, rows, columns])
    a = rng.normal(size=(rows, columns)) + 0.5
    b = rng.normal(size=rows)
    if rows < columns:
        b = a @ rng.uniform(0, 1, columns)
    a /= b[:, None]  # relative errors: the target is 1
    x = solve(a)
    assert (x >= 0).all()
    assert float(np.sum((a @ x - 1) ** 2)) <= least_squares_by_subsets(a) * (1 + 1e-9) + 1e-12


def test_units_of_the_columns_do_not_matter() -> None:
    rng = np.random.default_rng(5)
    a = rng.uniform(size=(12, 4))
    units = np.array([1e-6, 1.0, 1e3, 1e8])
    assert np.allclose(solve(a * units) * units, solve(a), rtol=1e-9)


def test_columns_that_cannot_lower_the_error_get_zero() -> None:
    a = np.array([[1.0, 0.0, -1.0], [1.0, 0.0, -1.0]]) / 3
    assert solve(a).tolist() == pytest.approx([3.0, 0.0, 0.0])
    assert solve(-a).tolist() == pytest.approx([0.0, 0.0, 3.0])
    assert solve(-np.ones((3, 2))).tolist() == [0.0, 0.0]
