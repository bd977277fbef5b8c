"""The time of a bundle on a device by the better of two methods, with its band.

"modelled": the modelled time of its networks on the device (`Device.milliseconds`), over the median of
modelled / published of the networks whose times are published for the device.
"predicted": the regression over published runs (`benchmarks.predict`), which sees no layouts and no kernels.

A device has the method whose error is smaller for published networks that the estimate did not use; a bundle
unlike the networks that the regression was fitted to is modelled in any case.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from pocketdet.armmodel.cores import CORES
from pocketdet.armmodel.devices import DEVICES, Device
from pocketdet.armmodel.instrument import Instrument
from pocketdet.armmodel.modelled import Modelled, Progress, model
from pocketdet.armmodel.subject import BundleSubject
from pocketdet.armmodel.targets import Target
from pocketdet.armmodel.validation import Validation, load_validation
from pocketdet.benchmarks.predict import DeviceModels, Prediction, Workload, bundle_work, predict
from pocketdet.benchmarks.predict.prediction import ratio_band
from pocketdet.benchmarks.predict.workload import precision_of
from pocketdet.errors import GraphError, PocketdetError, UsageError
from pocketdet.runtime.bundle import Bundle

FEWEST: Final = 6  # networks of one kind; the band of so few holds five of seven
_ALIGNED = "channels aligned: the prediction does not include the gain, because no published model has it"


@dataclass(frozen=True)
class Spread:
    """How the modelled times of a device compare with published ones.

    Attributes:
        device: The device.
        ratio: Median of modelled / published.
        low: Lower end of the band of ratios that holds four networks of five.
        high: Upper end of that band.
        median_error: Median error of the networks, corrected by the median ratio of the others.
        networks: Number of ratios.
        source: A sentence about whose published times they are, "" for the device's own.
    """

    device: Device
    ratio: float
    low: float
    high: float
    median_error: float
    networks: int
    source: str

    @classmethod
    def of(cls, device: Device, known: Sequence[Sequence[float]], source: str = "") -> "Spread":
        """The spread of the device's own ratios, or of those of several other devices.

        The band spans those of all devices. Of one device each network in turn is left out for the error, of
        several each device.
        """
        networks = [[ratio] for ratio in known[0]]
        parts = [np.array(ratios) for ratios in (known if len(known) > 1 else networks)]
        errors: list[float] = []
        for i, left_out in enumerate(parts):
            rest = np.concatenate([*parts[:i], *parts[i + 1 :]])
            errors += np.abs(left_out / np.median(rest) - 1).tolist()
        lows, highs = zip(*map(ratio_band, known), strict=True)
        middle = float(np.median(np.concatenate(known)))
        return cls(device, middle, min(lows), max(highs), float(np.median(errors)), len(errors), source)

    def band(self, milliseconds: float, precision: str) -> tuple[float, float]:
        """The band of the published time of what is modelled with these milliseconds in this arithmetic."""
        least, middle, most = self.device.slowdown(precision)
        return milliseconds / self.high * least / middle, milliseconds / self.low * most / middle


def spread_on(device: Device, kind: str, validation: Validation) -> Spread:
    """Compare modelled with published times of a device, or of similar devices if it has too few.

    Args:
        device: The device.
        kind: "float" or "int8": only such networks.
        validation: The ratios.

    Returns:
        The spread of the device or of the one that stands for it; else of all devices whose core has the same
        pipeline model; else of all devices.

    Raises:
        UsageError: If no device has enough networks.
    """
    pipeline = CORES[device.core].model
    few = "few published times on its core: the error and the band are those of all devices"
    like = f"no published times: the error is that of the {device.like}" if device.like else ""
    for devices, source in (
        ([d for d in DEVICES if d.name == (device.like or device.name)], like),
        ([d for d in DEVICES if CORES[d.core].model == pipeline], f"{few} with LLVM's {pipeline}"),
        (DEVICES, f"{few} that are modelled"),
    ):
        alone = not device.line_ns
        found = (_ratios(validation, d, kind, alone=alone) for d in devices)
        known = [ratios for ratios in found if len(ratios) >= FEWEST]
        if known:
            return Spread.of(device, known, source)
    raise UsageError(f"{device.name}: no device has {FEWEST} published {kind} networks to compare with")


def _ratios(validation: Validation, device: Device, kind: str, *, alone: bool) -> list[float]:
    """The ratios of a device, or those of the pipeline alone, for a device whose memory is not known."""
    ratios = validation.pipeline_ratios(device) if alone else validation.ratios.get(device.name, {})
    return [r for network, r in ratios.items() if network.endswith("_int8") == (kind == "int8")]


@dataclass
class _Case:
    """A bundle, and the arithmetic that is requested of ncnn."""

    bundle: Bundle
    arithmetic: str

    @functools.cached_property
    def work(self) -> Workload:
        """What the regression knows of it. Raises `GraphError` for layers that it refuses."""
        return bundle_work(self.bundle)

    @property
    def kind(self) -> str:
        """The precision of most of its work, "float" or "int8"."""
        try:
            return precision_of(self.work)
        except GraphError:  # attention, which is not quantized
            return "float"


def estimate(
    bundle: Bundle,
    targets: Sequence[Target],
    models: DeviceModels,
    instrument: Instrument | None,
    precision: str | None = None,
    progress: Progress | None = None,
) -> list[Prediction]:
    """Estimate the time of a bundle on devices.

    Args:
        bundle: The bundle.
        targets: The devices.
        models: The regression's coefficients.
        instrument: The programs that model cycles; without them everything is predicted.
        precision: The arithmetic requested of ncnn, None for the bundle's.
        progress: Told what is done.

    Returns:
        One estimate per device.

    Raises:
        PocketdetError: If neither method has an estimate for a device, or a program fails.
    """
    case = _Case(bundle, precision or bundle.manifest.precision.arithmetic)
    validation = load_validation() if instrument else None
    choices = [_choose(case, target, models, validation) for target in targets]
    names = dict.fromkeys(c.device.core for c in choices if isinstance(c, Spread))
    frames: dict[str, Modelled] = {}
    if instrument and names:
        subject, cores = BundleSubject(bundle, case.arithmetic), [CORES[name] for name in names]
        frames = {m.core.name: m for m in model(subject, cores, instrument, progress)}
    return [
        c if isinstance(c, Prediction) else _modelled(case, target, c, frames[c.device.core])
        for target, c in zip(targets, choices, strict=True)
    ]


def _choose(
    case: _Case, target: Target, models: DeviceModels, validation: Validation | None
) -> Prediction | Spread:
    """The prediction, or the spread of the modelled time if that is better or the only one."""
    spread = spread_on(target.device, case.kind, validation) if validation and target.device else None
    try:
        predicted = _predicted(case, target, models)
    except PocketdetError:
        if spread is None:
            raise
        return spread
    if spread is None:
        return predicted
    applies = predicted.like_fitted and not _other_arithmetic(case, spread.device)
    return predicted if applies and predicted.median_error < spread.median_error else spread


def _predicted(case: _Case, target: Target, models: DeviceModels) -> Prediction:
    if target.fitted is None:
        raise UsageError(f"{target.name}: no run of ncnn's benchmark is published to predict from")
    found = predict(case.work, target.fitted, models.ranges)
    aligned = (_ALIGNED,) * (case.bundle.manifest.layout.lanes > 1)
    other = target.device and _other_arithmetic(case, target.device)
    notes = [f"{text}: so is this time; make arm-model to model {case.arithmetic}" for text in other or ()]
    return replace(found, notes=(*target.notes, *found.notes, *aligned, *notes))


def _modelled(case: _Case, target: Target, spread: Spread, frame: Modelled) -> Prediction:
    device = spread.device
    networks = {layer.stage for layer in frame.layers}
    own = [stage.figures for stage in frame.stages if stage.name in networks]
    cycles, lines = sum(f.cycles for f in own), sum(f.lines for f in own)
    modelled = device.milliseconds(cycles, lines, case.arithmetic)
    whole = device.milliseconds(frame.total.cycles, frame.total.lines, case.arithmetic)
    low, high = spread.band(modelled, case.arithmetic)
    notes = [*target.notes, *filter(None, (device.note, spread.source)), *_other_arithmetic(case, device)]
    notes.append(
        f"modelled cycles over {device.ghz:g} GHz and over {spread.ratio:.2f}, the median of modelled / "
        f"published times of {spread.networks} {case.kind} networks"
    )
    if frame.rois < (most := case.bundle.manifest.max_rois):
        notes.append(f"modelled with the {frame.rois} RoIs of the golden image, the bundle keeps {most}")
    return Prediction(
        device=target.name,
        threads=1,
        cores=device.cores,
        milliseconds=modelled / spread.ratio,
        low=low,
        high=high,
        median_error=spread.median_error,
        models=spread.networks,
        notes=tuple(notes),
        method="modelled",
        frame=whole / spread.ratio,
    )


def _other_arithmetic(case: _Case, device: Device) -> tuple[str, ...]:
    """A sentence if the published run of the device, if any, was in another arithmetic than the bundle's."""
    if not device.published or case.arithmetic == device.precision:
        return ()
    return (f"{case.arithmetic} is asked for, the published times are in {device.precision}",)
