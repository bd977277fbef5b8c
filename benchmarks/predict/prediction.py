"""Predict the time of a workload with its band: on a fitted device, or one derived from similar devices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log

import numpy as np

from pocketdet.benchmarks.predict.coefficients import DeviceModel, DeviceModels, FitRecord, Range
from pocketdet.benchmarks.predict.workload import BY_PRECISION, Workload, amounts, precision_of
from pocketdet.errors import UsageError

MOVED, ODD = "values_moved", "odd_channels"
_SHARE = "{{share:.0%}} of the MACs are {}, at most {{most:.0%}} in the fitted models"
_TOO_MUCH = {
    **{name: _SHARE.format(name) for classes in BY_PRECISION.values() for name in classes},
    MOVED: "{share:.2g} values are moved per MAC, at most {most:.2g} in the fitted models",
    ODD: _SHARE.format("in layers with channels that are no multiple of 4"),
}


@dataclass(frozen=True)
class Neighbour:
    """A fitted device, one thread, and the clock in GHz of the core that ran."""

    name: str
    cores: str
    ghz: float


@dataclass(frozen=True)
class DerivedDevice:
    """A device without published runs, with a clock of `ghz`, predicted from similar devices.

    `reasoning` is printed with every prediction.
    """

    name: str
    ghz: float
    neighbours: tuple[Neighbour, ...]
    reasoning: str


SNAPDRAGON_845 = DerivedDevice(
    "Qualcomm SDM845 Snapdragon 845 (derived)",
    2.8,
    (
        Neighbour("Qualcomm MSM8998 Snapdragon 835", "big", 2.45),
        Neighbour("Rockchip RK3588", "big", 2.4),
    ),
    "in fp32: its fast core, a Cortex-A75 at 2.8 GHz, stands between the Cortex-A73 of the 835 and the "
    "Cortex-A76 of this RK3588 run; by their multiply-accumulates per clock both ran in fp32",
)
DERIVED = (SNAPDRAGON_845,)


@dataclass(frozen=True)
class Prediction:
    """Milliseconds of the networks of one frame, predicted, never measured.

    Attributes:
        device: Name of the device.
        threads: Number of threads.
        cores: Cores that ncnn may use: all, big or little.
        milliseconds: The predicted time.
        low: Lower end of the band that contains four models of five, wider if `notes` says so.
        high: Upper end of that band.
        median_error: Median error of models excluded from the fit on this device.
        models: Number of models that were fitted.
        notes: Sentences about the band and the layers.
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

    def sentence(self) -> str:
        """Return one sentence that cannot be mistaken for a measurement."""
        return (
            f"{self.device}, {self.threads} thread{'s' if self.threads > 1 else ''}: predicted "
            f"{self.milliseconds:.3g} ms ({self.low:.3g} to {self.high:.3g}), not measured"
        )


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
    errors = fit.median_error, fit.models
    return Prediction(device.name, device.threads, device.cores, time, low, high, *errors, tuple(notes))


def predict_derived(work: Workload, device: DerivedDevice, models: DeviceModels) -> Prediction:
    """Predict the time on a device without published runs.

    The time is the geometric mean of those of its neighbours, each scaled by the clocks; the band spans the
    bands of the neighbours.

    Args:
        work: The workload.
        device: The device and its neighbours.
        models: The fitted devices.

    Returns:
        The prediction for one thread on a big core.

    Raises:
        UsageError: As `predict`.
    """
    parts = []
    for near in device.neighbours:
        fitted = next(d for d in models.devices if (d.name, d.threads, d.cores) == (near.name, 1, near.cores))
        parts.append((predict(work, fitted, models.ranges), near.ghz / device.ghz))
    time = exp(sum(log(p.milliseconds * scale) for p, scale in parts) / len(parts))
    span = " and ".join(f"{p.milliseconds * scale:.3g} ms from {p.device}" for p, scale in parts)
    return Prediction(
        device.name,
        1,
        "big",
        time,
        min(p.low * scale for p, scale in parts),
        max(p.high * scale for p, scale in parts),
        max(p.median_error for p, _ in parts),
        min(p.models for p, _ in parts),
        (f"no published run: {span}, scaled by clock", device.reasoning, *parts[0][0].notes),
    )


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
    most = {name: _digits(max(s[name] for s in every)) for name in every[0]}
    return Range(macs=(_digits(min(macs)), _digits(max(macs))), largest_shares=most)


def _milliseconds(work: Workload, fit: FitRecord, precision: str) -> float:
    rates = np.array([fit.rates[name] for name in BY_PRECISION[precision]])
    return float(amounts(work, BY_PRECISION[precision]) @ rates)


def _digits(value: float) -> float:
    return float(f"{value:.8g}")
