"""What a user names: a device with published runs, a device whose core has a model, or a phone."""

import functools
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from pocketdet.armmodel.devices import DEVICES, UNPUBLISHED, Device
from pocketdet.benchmarks.phones import Phone, load_phones
from pocketdet.benchmarks.predict.coefficients import DeviceModel, DeviceModels, similar_names, tokens
from pocketdet.errors import UsageError

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
