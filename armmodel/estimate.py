"""The time of a bundle on a device by the better of two methods, with its band.

"modelled": the modelled time of its networks on the device (`Device.milliseconds`), over the median of
modelled / published of the networks whose times are published for the device.
"predicted": the regression over published runs (`benchmarks.predict`), which sees no layouts and no kernels.

A device has the method whose error is smaller for published networks that the estimate did not use; a bundle
unlike the networks that the regression was fitted to is modelled in any case.

A `Target` is what a user names: a device with published runs, one whose core has a model, or a phone.
"""

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from pocketdet.armmodel.cores import CORES
from pocketdet.armmodel.devices import DEVICES, UNPUBLISHED, Device
from pocketdet.armmodel.instrument import Instrument
from pocketdet.armmodel.modelled import Modelled, Progress, model
from pocketdet.armmodel.subject import BundleSubject
from pocketdet.armmodel.validation import Validation, load_validation
from pocketdet.benchmarks.phones import Phone, load_phones
from pocketdet.benchmarks.predict import Prediction, Workload, bundle_work, predict
from pocketdet.benchmarks.predict.coefficients import DeviceModel, DeviceModels, similar_names, tokens
from pocketdet.benchmarks.predict.prediction import ratio_band
from pocketdet.benchmarks.predict.workload import precision_of
from pocketdet.errors import GraphError, PocketdetError, UsageError
from pocketdet.runtime.bundle import Bundle

_CLOCK: Final = "its clock is from general knowledge (phones.toml), not from a published run"


@dataclass(frozen=True)
class Target:
    """A device, and what is known of it; at least one of `fitted` and `device`.

    Attributes:
        name: Its name.
        fitted: The regression over its published runs, None if there is no such run.
        device: The cluster that is modelled, None if its core has no model or several threads run.
        notes: Sentences about the search.
    """

    name: str
    fitted: DeviceModel | None
    device: Device | None
    notes: tuple[str, ...] = ()


@functools.cache
def unpublished_devices() -> tuple[Device, ...]:
    """Devices that are modelled without a published run to compare with: named ones, and chips of phones."""
    chips = [chip for chip in load_phones().chip if chip.ghz]
    return (
        *UNPUBLISHED,
        *(Device(chip.name, chip.core.lower(), chip.ghz or 0.0, cores="big", note=_CLOCK) for chip in chips),
    )


def modelled_device(fitted: DeviceModel) -> Device | None:
    """The cluster that a published run on one thread used, None if its core has no model."""
    if fitted.threads != 1:
        return None
    for device in DEVICES:
        if (device.published, device.cores) == (fitted.name, fitted.cores):
            return device
    chips = [d for d in unpublished_devices() if tokens(d.name) <= tokens(fitted.name)]
    return chips[0] if chips and fitted.cores != "little" else None


def find_targets(query: str, threads: int, models: DeviceModels) -> list[Target]:
    """Find devices by words of their names, or the chips of phones by words of the phones' names.

    Args:
        query: Words such as "855+" or "pixel 3".
        threads: Number of threads; only one thread is modelled.
        models: The regression's devices.

    Returns:
        At least one device; those with published runs first.

    Raises:
        UsageError: If nothing has such a name, or nothing is known of it.
    """
    try:
        return _by_name(query, threads, models)
    except UsageError:
        phones = load_phones().find(query)
        if not is_known(query, models):
            raise unknown_device(query, models) from None
        if not phones:
            raise
    firsts: dict[str, Phone] = {}
    for phone in phones:
        firsts.setdefault(phone.chip.name, phone)
    found: list[Target] = []
    missing = []
    for phone in firsts.values():
        region = "" if phone.only else " in some regions"
        note = f"{phone.name}: its chip{region} is the {phone.chip.name}"
        try:
            chips = _by_name(phone.chip.name, threads, models)
        except UsageError as error:
            missing.append(_why_not(phone, models, error))
        else:
            found += [replace(chip, notes=(note,)) for chip in chips]
    if not found:
        raise UsageError("; ".join(missing))
    return sorted(found, key=lambda target: target.fitted is None)


def is_known(query: str, models: DeviceModels) -> bool:
    """Whether a device, with any number of threads, or a phone has all words of a query in its name."""
    wanted, runs = tokens(query), (f"{d.name} {d.cores}" for d in models.devices)
    return bool(wanted) and any(wanted <= tokens(name) for name in (*runs, *_names(models)))


def unknown_device(query: str, models: DeviceModels) -> UsageError:
    """To be raised where nothing is named so: with similar names, and what to do."""
    hint = similar_names(query, _names(models))
    return UsageError(
        f"no device or phone is named {query!r}; {hint}--list shows all; for another phone, name its chip"
    )


def _names(models: DeviceModels) -> tuple[str, ...]:
    modelled, published = (d.name for d in unpublished_devices()), (d.name for d in models.devices)
    return tuple(dict.fromkeys((*load_phones().names, *modelled, *published)))


def _by_name(query: str, threads: int, models: DeviceModels) -> list[Target]:
    others = _named(query, unpublished_devices()) if threads == 1 else []
    try:
        fitted = models.find(query, threads)
    except UsageError:
        if not others:
            raise
        fitted = []
    targets = [Target(device.name, device, modelled_device(device)) for device in fitted]
    taken = {target.device for target in targets}
    return targets + [Target(device.name, None, device) for device in others if device not in taken]


def _named(query: str, devices: Iterable[Device]) -> list[Device]:
    """Those with all words; only the one without other words if there is one: Google Tensor, not G2."""
    wanted = tokens(query)
    found = [device for device in devices if wanted and wanted <= tokens(device.name)]
    return [device for device in found if tokens(device.name) == wanted] or found


def _why_not(phone: Phone, models: DeviceModels, error: UsageError) -> str:
    """Say why nothing is known of a phone's chip; `error` is why it is not in the published runs."""
    chip = phone.chip
    has = f"{phone.name} has the {chip.name}"
    if any(tokens(chip.name) <= tokens(device.name) for device in models.devices):
        return f"{has}: {error}"
    unpublished = f"{has}, of which no run is published, and its fast core, {chip.core}, "
    if _named(chip.name, unpublished_devices()):
        return unpublished + "is modelled on one thread alone: pass --threads 1"
    return unpublished + "has no model"


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
