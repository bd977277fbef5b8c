"""Non-negative least squares against every subset of columns solved plainly."""

from itertools import chain, combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from pocketdet.benchmarks.predict.nnls import nnls

Array = NDArray[np.float64]


def by_subsets(a: Array, b: Array) -> float:
    """The least squared error over all supports whose least squares solution is not negative."""
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
    x = nnls(a, b)
    assert (x >= 0).all()
    assert float(np.sum((a @ x - b) ** 2)) <= by_subsets(a, b) * (1 + 1e-9) + 1e-12


def test_units_of_the_columns_do_not_matter() -> None:
    rng = np.random.default_rng(5)
    a, b = rng.uniform(size=(12, 4)), np.ones(12)
    units = np.array([1e-6, 1.0, 1e3, 1e8])
    assert np.allclose(nnls(a * units, b) * units, nnls(a, b), rtol=1e-9)


def test_what_cannot_help_gets_nothing() -> None:
    a = np.array([[1.0, 0.0, -1.0], [2.0, 0.0, -2.0]])
    assert nnls(a, np.array([3.0, 6.0])).tolist() == pytest.approx([3.0, 0.0, 0.0])
    assert nnls(a, np.array([-3.0, -6.0])).tolist() == pytest.approx([0.0, 0.0, 3.0])
    assert nnls(-np.ones((3, 2)), np.ones(3)).tolist() == [0.0, 0.0]
