"""One device's rates from its published times, and how far off they are for a model that was left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from pocketdet.benchmarks.predict.classes import Classes, amounts
from pocketdet.benchmarks.predict.nnls import nnls
from pocketdet.benchmarks.predict.workload import Workload

Array = NDArray[np.float64]

# Below this the classes cannot be told apart and a leave-one-out quantile means nothing.
FEWEST_MODELS: Mapping[str, int] = {"float": 12, "int8": 8}
BAND = 0.8


@dataclass(frozen=True)
class DeviceFit:
    """Nanoseconds per MAC or value moved for each class, and the ratios predicted / published of models that
    were left out, in the order of `models`.
    """

    rates: Array
    models: tuple[str, ...]
    ratios: Array

    @property
    def errors(self) -> Array:
        """Absolute relative errors of the left-out models."""
        return np.asarray(np.abs(self.ratios - 1))

    @property
    def band(self) -> tuple[float, float]:
        """Ratios predicted / published between which a new model's lies with 80% chance."""
        return ratio_band(self.ratios)

    @property
    def coverage(self) -> float:
        """Share of the models whose ratio lies in the band of the others."""
        others = (np.delete(self.ratios, i) for i in range(len(self.ratios)))
        bands = [ratio_band(ratios) for ratios in others]
        return float(np.mean([low <= r <= high for r, (low, high) in zip(self.ratios, bands, strict=True)]))


def fit_device(
    works: Mapping[str, Workload], milliseconds: Mapping[str, float], classes: Classes
) -> DeviceFit:
    """Fit one device to the models that both mappings have, and again without each of them in turn.

    The relative error is what the least squares make small: the rows are amounts / published time, the target
    is 1. All fits have rates >= 0.
    """
    models = tuple(name for name in works if name in milliseconds)
    rows = np.array([amounts(works[name], classes) / milliseconds[name] for name in models])
    ratios = np.array([row @ solve(np.delete(rows, i, axis=0)) for i, row in enumerate(rows)])
    return DeviceFit(solve(rows), models, ratios)


def solve(rows: Array) -> Array:
    """Rates, (classes,), that bring `rows @ rates` closest to 1."""
    return nnls(rows, np.ones(len(rows)))


def ratio_band(ratios: Sequence[float] | Array) -> tuple[float, float]:
    """The order statistics of n ratios that the next one lies between with at least 80% chance, if it is
    exchangeable with them (split conformal prediction: rank ceil(0.9 (n + 1)) from either side).
    """
    ordered = np.sort(np.asarray(ratios))
    tail = (1 - BAND) / 2
    above = min(ceil((1 - tail) * (len(ordered) + 1)), len(ordered))
    return float(ordered[len(ordered) - above]), float(ordered[above - 1])
