"""Read records for a report, and check that they can be compared in one table."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pocketdet.benchmarks.record import Image, Record
from pocketdet.benchmarks.record_io import read_record
from pocketdet.errors import UsageError


@dataclass(frozen=True)
class Entry:
    """A record, the file it came from, and the other runs that it was chosen from (`latest_runs`)."""

    path: Path
    record: Record
    others: tuple["Entry", ...] = ()


_ASPECTS: dict[str, Callable[[Record], Any]] = {
    "input size": lambda r: "x".join(map(str, r.bundle.input)),
    "number of RoIs": lambda r: r.bundle.rois or None,
    "threads": lambda r: r.engine.threads,
    "arithmetic": lambda r: r.arithmetic,
    "ncnn version": lambda r: r.engine.version if r.engine.name == "ncnn" else None,
    "runner": lambda r: r.engine.runner if r.engine.name == "ncnn" else None,
    "set of images": lambda r: ", ".join(map(_describe, r.protocol.pictures)),
    "division into stages": lambda r: _stages(r) if r.bundle.rois else None,
    "division into stages of one-stage detectors": lambda r: None if r.bundle.rois else _stages(r),
}


def read_entries(paths: Iterable[Path]) -> tuple[Entry, ...]:
    """Read records from files, and from all .json files of folders.

    Returns:
        The records, by device in the order of the paths, then by MACs.

    Raises:
        UsageError: If a file is not a record, or a folder has no .json file.
    """
    files = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        inside = sorted(path.glob("*.json"))
        if not inside:
            raise UsageError(f"{path}: expected records, found no .json file in this folder")
        files += inside
    entries = [Entry(path, read_record(path)) for path in files]
    places = {_place(entry.record): i for i, entry in reversed(list(enumerate(entries)))}
    return tuple(sorted(entries, key=lambda e: (places[_place(e.record)], e.record.bundle.macs)))


def latest_runs(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """Choose one of several runs of a bundle that were measured on one device in the same way.

    It is the latest VALID one by the protocol's own length; else the latest VALID one; else the latest.

    Args:
        entries: The records.

    Returns:
        The chosen ones, each with the `others` it was chosen from, in the order of the first runs.
    """
    runs: dict[tuple[Any, ...], list[Entry]] = {}
    for entry in entries:
        bundle = entry.record.bundle
        measured = (aspect(entry.record) for aspect in _ASPECTS.values())
        runs.setdefault((_place(entry.record), bundle.name, bundle.digest, *measured), []).append(entry)
    chosen = []
    for alike in runs.values():
        best = max(alike, key=_preference)
        chosen.append(replace(best, others=tuple(e for e in alike if e is not best)))
    return tuple(chosen)


def _preference(entry: Entry) -> tuple[bool, bool, str]:
    verdict = entry.record.verdict
    return verdict.valid, not verdict.quick, entry.record.created


def check_comparable(entries: Sequence[Entry]) -> None:
    """Check that records were measured in the same way.

    Raises:
        UsageError: If there is no record, or two records differ; the message names the difference and the
            files.
    """
    if not entries:
        raise UsageError("expected at least one record")
    for aspect, value in _ASPECTS.items():
        seen: dict[Any, Path] = {}
        for entry in entries:
            setting = value(entry.record)
            if setting is not None:
                seen.setdefault(setting, entry.path)
        if len(seen) > 1:
            (one, first), (other, second) = list(seen.items())[:2]
            raise UsageError(
                f"these records cannot be compared: the {aspect} is {one} in {first} and {other} in "
                f"{second}; report them apart"
            )
    digests: dict[str, Entry] = {}
    places: dict[tuple[tuple[str, ...], str], Entry] = {}
    for entry in entries:
        bundle, name = entry.record.bundle, entry.record.bundle.name
        same = digests.setdefault(name, entry)
        if same.record.bundle.digest != bundle.digest:
            raise UsageError(
                f"these records cannot be compared: {name} is the bundle {same.record.bundle.digest[:12]} in "
                f"{same.path} and {bundle.digest[:12]} in {entry.path}; report them apart, or measure one "
                "of them under another name (export --name)"
            )
        other = places.setdefault((_place(entry.record), name), entry)
        if other is not entry:
            raise UsageError(
                f"{name} on {entry.record.device.name} is there twice, in {other.path} and {entry.path}: "
                "leave one of them out, or name the files to report"
            )


def comparable_groups(entries: Sequence[Entry]) -> tuple[tuple[Entry, ...], ...]:
    """Divide records into groups that `check_comparable` accepts.

    Returns:
        As few groups as one pass finds, in the order of their first records.
    """
    groups: list[list[Entry]] = []
    for entry in entries:
        group = next((g for g in groups if _are_comparable([*g, entry])), None)
        if group is None:
            groups.append([entry])
        else:
            group.append(entry)
    return tuple(map(tuple, groups))


def _are_comparable(entries: Sequence[Entry]) -> bool:
    try:
        check_comparable(entries)
    except UsageError:
        return False
    return True


def _describe(image: Image) -> str:
    """Name, size and digest; images of one name may differ."""
    digest = f" {image.sha256[:8]}" if image.sha256 else ""
    return f"{image.name} {image.width}x{image.height}{digest}"


def _stages(record: Record) -> str | None:
    return ", ".join(record.run.stages) if record.run else None


def _place(record: Record) -> tuple[str, ...]:
    """The identity of a device; a GPU and the machine that it is in are two devices."""
    return record.device.name, record.target.address, record.engine.name, record.engine.processor
