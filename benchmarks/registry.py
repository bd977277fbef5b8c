"""The registry: the records in `benchmarks/results`, by anyone, without what identifies who measured.

`make_submission` makes such a record of one that `pocketdet bench` measured; `check_submission` says what is
demanded of it; `read_registry` reads them all. The documentation site has a page of them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pocketdet.benchmarks.images import standard_images
from pocketdet.benchmarks.record import Record, Target
from pocketdet.benchmarks.record_io import complete, read_record, write_record
from pocketdet.benchmarks.report.entries import Entry
from pocketdet.errors import UsageError

LOCAL_ADDRESS: Final = "localhost"
# what a device says about its model; the name of the host is not among it
PROPERTIES: Final = frozenset(
    {
        "android", "build", "distribution", "manufacturer", "model", "name", "platform", "release", "sdk",
        "soc", "soc_manufacturer", "soc_model", "system",
    }
)  # fmt: skip


def make_submission(record: Record) -> Record:
    """Take out of a record what identifies the user or one device among those of its model.

    That is the address of the target (the serial number of a phone, the host or user@host of ssh) and every
    property of the device that is not in `PROPERTIES`, such as the name of the host.

    Args:
        record: A record of `pocketdet bench`.

    Returns:
        The same samples, verdict and summary.
    """
    properties = {name: value for name, value in record.device.properties.items() if name in PROPERTIES}
    target = Target(kind=record.target.kind, address=_shared_address(record))
    device = record.device.model_copy(update={"properties": properties})
    return complete(record.model_copy(update={"target": target, "device": device}), record.verdict.rules)


def check_submission(record: Record, label: str) -> None:
    """Check that a record may be in the registry. An INVALID one may: the page marks it.

    Args:
        record: A record whose verdict follows from its samples (`read_record`).
        label: Name of its file in messages.

    Raises:
        UsageError: If it identifies the user, or was measured on an emulator, with `--quick`, on other images
            than the standard frames, or by a checkout with changed files.
    """
    if record.emulated:
        raise UsageError(f"{label}: expected a record of a real device, an emulated one has no time")
    if record.protocol.quick:
        raise UsageError(f"{label}: expected the whole protocol, found --quick; measure again without it")
    if record.verdict.rules > 1 and record.protocol.pictures != standard_images():
        found = ", ".join(image.name for image in record.protocol.pictures[:4])
        raise UsageError(
            f"{label}: expected the standard frames, found {found}; measure again without --image"
        )
    if record.source.changed:
        raise UsageError(
            f"{label}: measured by a checkout with changed files, which nobody else has; commit them, or use "
            "an installed release"
        )
    if record.target.address != _shared_address(record):
        raise UsageError(
            f"{label}: has the address of the device; write the file with pocketdet bench --submit"
        )
    personal = sorted(record.device.properties.keys() - PROPERTIES)
    if personal:
        raise UsageError(
            f"{label}: has properties of the device that are not shared ({', '.join(personal)}); write the "
            "file with pocketdet bench --submit"
        )


def write_submission(path: Path, record: Record) -> None:
    """Write the file that is sent.

    Args:
        path: The file to create, in JSON; an existing one is never replaced.
        record: A record of `pocketdet bench`.

    Raises:
        UsageError: If the registry refuses the record, or the file exists or cannot be written.
    """
    submission = make_submission(record)
    check_submission(submission, str(path))
    write_record(path, submission)


def read_registry(folder: Path) -> tuple[Entry, ...]:
    """Read all records of a registry.

    Args:
        folder: The folder; every file in it is a record.

    Returns:
        The records by model (MACs, then name), device and time.

    Raises:
        UsageError: If a file is no record, may not be in a registry, or is there twice; the message names it.
    """
    entries = []
    for path in sorted(folder.iterdir()):
        if path.suffix != ".json":
            raise UsageError(f"{path}: expected records in this folder, NAME.json")
        record = read_record(path)
        check_submission(record, str(path))
        entries.append(Entry(path, record))
    _check_unique(entries)
    return tuple(sorted(entries, key=_order))


def _check_unique(entries: Sequence[Entry]) -> None:
    seen: dict[tuple[str, ...], Path] = {}
    for entry in entries:
        record = entry.record
        identity = (record.created, record.device.name, record.bundle.digest, record.engine.runner)
        first = seen.setdefault(identity, entry.path)
        if first is not entry.path:
            raise UsageError(f"{entry.path}: the same measurement as {first}; remove one of them")


def _order(entry: Entry) -> tuple[int, str, str, str, str]:
    record = entry.record
    bundle = record.bundle
    return bundle.macs, bundle.name, record.arithmetic, record.device.name, record.created


def _shared_address(record: Record) -> str:
    """The address that every record of this kind of target has in the registry."""
    return LOCAL_ADDRESS if record.target.kind == "local" else record.target.kind
