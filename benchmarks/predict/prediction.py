"""Predict the time of a workload on a fitted device, with its band."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pocketdet.benchmarks.predict.coefficients import DeviceModel, FitRecord, Range
from pocketdet.benchmarks.predict.workload import BY_PRECISION, Workload, amounts, precision_of
from pocketdet.errors import UsageError

BAND = 0.8
MOVED, ODD = "values_moved", "odd_channels"
_SHARE = "{{share:.0%}} of the MACs are {}, at most {{most:.0%}} in the fitted models"
_TOO_MUCH = {
    **{name: _SHARE.format(name) for classes in BY_PRECISION.values() for name in classes},
    MOVED: "{share:.2g} values are moved per MAC, at most {most:.2g} in the fitted models",
    ODD: _SHARE.format("in layers with channels that are no multiple of 4"),
}


@dataclass(frozen=True)
class Prediction:
    """Milliseconds of the networks of one frame, never measured.

    Attributes:
        device: Name of the device.
        threads: Number of threads.
        cores: Cores that ncnn may use: all, big or little.
        milliseconds: The time.
        low: Lower end of the band that contains four models of five, wider if `notes` says so.
        high: Upper end of that band.
        median_error: Median error of published models that the estimate of them did not use.
        models: Number of published models.
        notes: Sentences about the band and the layers.
        like_fitted: Whether published models have layers and amounts like those of the bundle.
        method: "predicted" from the times of other models, or "modelled" from the cycles of this one.
        frame: The time from image to boxes, None if the method does not know it.
    """

    device: str
    threads: int
    cores: str
    milliseconds: float
    low: float
    high: float
    median_error: float
    models: int
    notes: tuple[str, ...] = ()
    like_fitted: bool = True
    method: Literal["predicted", "modelled"] = "predicted"
    frame: float | None = None


def predict(work: Workload, device: DeviceModel, ranges: Mapping[str, Range]) -> Prediction:
    """Predict the time on a fitted device.

    Args:
        work: The workload.
        device: The device.
        ranges: The ranges of the `DeviceModels` that has the device.

    Returns:
        The time with its band, which is doubled if the workload is outside the fitted models.

    Raises:
        UsageError: If the device has no published runs at the precision of the workload.
    """
    precision = precision_of(work)
    fit = device.fits.get(precision)
    if fit is None:
        raise UsageError(f"{device.name}: too few published runs in {precision} to predict from")
    time = _milliseconds(work, fit, precision)
    outside = reasons_outside(work, precision, ranges[precision])
    factor = 2 if outside else 1
    low, high = time * min(1 / fit.ratio_high, 1) ** factor, time * max(1 / fit.ratio_low, 1) ** factor
    dense = next(iter(fit.rates.values()))
    notes = [f"outside what was fitted, band doubled: {reason}" for reason in outside]
    if work.unlike:
        high += work.unlike * dense
        notes.append(
            f"{work.unlike / work.macs:.0%} of the MACs are in layers that no fitted model has (such as "
            "matrix products over RoIs, deformable convolutions): counted as dense 1x1, and the band allows "
            "twice that"
        )
    return Prediction(
        device.name,
        device.threads,
        device.cores,
        time,
        low,
        high,
        fit.median_error,
        fit.models,
        tuple(notes),
        like_fitted=not notes,
    )


def ratio_band(ratios: Sequence[float] | NDArray[np.float64]) -> tuple[float, float]:
    """Compute the band that contains the next ratio with a probability of at least 80%.

    The band is that of split conformal prediction for exchangeable ratios: the order statistics of rank
    ceil(0.9 (n + 1)) from either side.

    Args:
        ratios: n ratios.
    """
    ordered = np.sort(np.asarray(ratios))
    tail = (1 - BAND) / 2
    above = min(ceil((1 - tail) * (len(ordered) + 1)), len(ordered))
    return float(ordered[len(ordered) - above]), float(ordered[above - 1])


def reasons_outside(work: Workload, precision: str, fitted: Range) -> list[str]:
    """Compare a workload with the fitted models.

    Args:
        work: The workload.
        precision: Its fit, "float" or "int8".
        fitted: What the fitted models span.

    Returns:
        A phrase for each amount that is outside; empty if none is.
    """
    found = []
    low, high = fitted.macs
    if not low <= work.macs <= high:
        found.append(f"{work.macs:.0f} million MACs, fitted were {low:.0f} to {high:.0f}")
    for name, share in shares(work, precision).items():
        most = fitted.largest_shares[name]
        if share > most * 1.001:
            found.append(_TOO_MUCH[name].format(share=share, most=most))
    return found


def shares(work: Workload, precision: str) -> dict[str, float]:
    """Compute the amount of each class per MAC, and the share of MACs in layers with odd channels.

    Args:
        work: The workload.
        precision: Its fit, "float" or "int8".

    Returns:
        Shares by class.
    """
    classes = BY_PRECISION[precision]
    parts = dict(zip(classes, (amounts(work, classes) / work.macs).tolist(), strict=True))
    odd = sum(amount for name, amount in work.amounts.items() if name.endswith("_odd"))
    return {**parts, ODD: odd / work.macs}


def range_of(works: Sequence[Workload], precision: str) -> Range:
    """Compute what fitted workloads span.

    Args:
        works: The workloads.
        precision: Their fit, "float" or "int8".

    Returns:
        The range, rounded to 8 digits.
    """
    every = [shares(work, precision) for work in works]
    macs = [work.macs for work in works]
    most = {name: rounded(max(s[name] for s in every)) for name in every[0]}
    return Range(macs=(rounded(min(macs)), rounded(max(macs))), largest_shares=most)


def _milliseconds(work: Workload, fit: FitRecord, precision: str) -> float:
    rates = np.array([fit.rates[name] for name in BY_PRECISION[precision]])
    return float(amounts(work, BY_PRECISION[precision]) @ rates)


def rounded(value: float) -> float:
    """Round to the eight digits of the file of coefficients."""
    return float(f"{value:.8g}")
