"""The tables of a report, independent of the output format, with ThunderNet's Table 9 beside ours.

Table 9 (section 4.5) has frames per second, one thread on ARM and x86, 320x320, batch norm folded.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pocketdet.benchmarks.interleaved import summarise
from pocketdet.benchmarks.layers import clock_cost, layer_label, times_by_type
from pocketdet.benchmarks.machine import ARM_64
from pocketdet.benchmarks.record import BundleInfo, LayerRun, Record, SweepPoint
from pocketdet.benchmarks.report.entries import Entry
from pocketdet.benchmarks.verdict import median_rois, totals


@dataclass(frozen=True)
class Table:
    """A table of text cells: the first `left` columns are names, the others numbers; notes follow it."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int = 1
    notes: tuple[str, ...] = ()


SLOWEST: Final = 15


def layer_tables(records: Sequence[Record], devices: Sequence[str]) -> tuple[Table, Table]:
    """Make the tables of all records whose layers were timed on a processor that is not emulated.

    Returns:
        The `SLOWEST` layers of each record, and its types of layers; without rows if no layers were timed.
    """
    slowest: list[tuple[str, ...]] = []
    types: list[tuple[str, ...]] = []
    notes: list[str] = []
    for record, device in zip(records, devices, strict=True):
        found = record.layers
        if found is None or record.emulated:
            continue
        names = (record.bundle.name, device)
        whole = sum(layer.milliseconds for layer in found.layers)
        slowest += [(*names, *row) for row in _slowest(found, whole)]
        types += [
            (*names, one.type, str(one.count), f"{one.milliseconds:.3f}", f"{one.milliseconds / whole:.1%}")
            for one in times_by_type(found)
        ]
        notes.append(
            f"{record.bundle.name} on {device}: {clock_cost(found)}; {sum(found.timed)} timed frames."
        )
    head = ("model", "device")
    return (
        Table(
            f"Measured milliseconds of layers, the {SLOWEST} slowest",
            (*head, "stage", "layer", "type", "median", "share of layers"),
            tuple(slowest),
            5,
            tuple(notes),
        ),
        Table(
            "Measured milliseconds of layers by type",
            (*head, "type", "layers", "sum of medians", "share of layers"),
            tuple(types),
            3,
        ),
    )


def _slowest(found: LayerRun, whole: float) -> list[tuple[str, ...]]:
    ordered = sorted(found.layers, key=lambda layer: -layer.milliseconds)[:SLOWEST]
    return [
        (
            layer.stage,
            layer_label(layer.type, layer.name, layer.module),
            layer.type,
            f"{layer.milliseconds:.3f}",
            f"{layer.milliseconds / whole:.1%}",
        )
        for layer in ordered
    ]


ARM: Final = "Snapdragon 845"
X86: Final = "Xeon E5-2682v4"
GPU: Final = "GeForce 1080Ti"
INPUT: Final = (320, 320)
DEVICE_COLUMNS: Final = 4  # of the first table: fps, RoIs, the paper's fps, parity


@dataclass(frozen=True)
class PaperRow:
    """A model of Table 9: its MACs in millions (COCO) and frames per second by device."""

    mmacs: int
    fps: dict[str, float]


TABLE_9: Final = {
    "thundernet-snet49": PaperRow(262, {ARM: 24.1, X86: 47.3, GPU: 267.0}),
    "thundernet-snet146": PaperRow(473, {ARM: 13.8, X86: 32.3, GPU: 248.0}),
    "thundernet-snet535": PaperRow(1300, {ARM: 5.8, X86: 15.3, GPU: 214.0}),
}


def make_tables(entries: Sequence[Entry]) -> tuple[Table, ...]:
    """Make all tables of a report.

    Args:
        entries: Records that `check_comparable` accepts.

    Returns:
        Table 9, times, stages, layers, the sweep over RoIs and the sources; tables without rows are omitted.
    """
    devices = device_labels(entries)
    made = [_table_9(entries, devices), _times(entries, devices), _stages(entries, devices)]
    made += layer_tables([entry.record for entry in entries], devices)
    made += [_sweep(entries, devices), _sources(entries, devices)]
    return tuple(table for table in made if table.rows)


def device_labels(entries: Sequence[Entry]) -> tuple[str, ...]:
    """Name the device of each entry, with its address if two devices have the same name.

    Returns:
        A label per entry; one of PyTorch names the engine and the GPU that it ran on.
    """
    devices = [(_device_name(e.record), e.record.target.address) for e in entries]
    alike = {name for name, _ in devices if len({a for n, a in devices if n == name}) > 1}
    return tuple(f"{name} ({address})" if name in alike else name for name, address in devices)


def _device_name(record: Record) -> str:
    if record.engine.name == "ncnn":
        return record.device.name
    on_gpu = record.engine.processor != "CPU"
    return f"{record.engine.processor if on_gpu else record.device.name}, PyTorch"


def shown_rois(record: Record) -> str:
    """Show the number of RoIs of a record in tables and plots.

    Returns:
        The median number, with that of the bundle if it is less; "-" without a run or a head.
    """
    kept = record.bundle.rois
    if record.run is None or not kept:
        return "-"
    found = median_rois(record.run)
    return str(found) if found >= kept else f"{found} of {kept}"


def paper_device(record: Record) -> str | None:
    """Return the paper's device of the same kind as that of a record; `None` if it has none."""
    if record.engine.processor != "CPU":
        return GPU
    architecture = record.device.architecture
    if architecture in ARM_64:
        return ARM
    return X86 if architecture in ("x86_64", "amd64") else None


def paper_fps(bundle: BundleInfo, device: str | None) -> float | None:
    """Look up the paper's frames per second.

    Args:
        bundle: The bundle; its architecture is that of the model.
        device: A device of the paper.

    Returns:
        Frames per second; `None` if the paper has none for this model, device and input size.
    """
    row = TABLE_9.get(bundle.architecture)
    if row is None or device is None or bundle.input != INPUT:
        return None
    return row.fps[device]


def parity(record: Record) -> str:
    """Describe the golden test of a record.

    Returns:
        Checks that passed of all checks, and the largest difference of a box in pixels.
    """
    checks = record.golden.checks
    not_proved = sum(check.ok and not check.proved for check in checks)
    mark = ("?" if not_proved else "✓") if record.golden.ok else "✗"
    boxes = next((c.max_abs for c in checks if c.name == "image to boxes" and c.max_abs is not None), None)
    pixels = "" if boxes is None else f", {boxes:.2g} px"
    unproved = f", {not_proved} not proved" if not_proved else ""
    return f"{mark} {sum(c.ok and c.proved for c in checks)}/{len(checks)}{unproved}{pixels}"


def _table_9(entries: Sequence[Entry], devices: Sequence[str]) -> Table:
    """Models in rows, devices in columns: our fps, the paper's, and parity with PyTorch.

    The paper's ARM and x86 devices without a measured counterpart come last.
    """
    columns = list(dict.fromkeys(devices))
    models = list(dict.fromkeys(e.record.bundle.name for e in sorted(entries, key=_macs)))
    cells = {(e.record.bundle.name, d): e.record for e, d in zip(entries, devices, strict=True)}
    head: list[str] = ["model", "MMACs"]
    notes: list[str] = []
    for device in columns:
        record = next(r for (_, d), r in cells.items() if d == device)
        chip = record.device.soc if record.engine.processor == "CPU" else None
        soc = f", {chip}" if chip and chip not in device else ""
        theirs = paper_device(record)
        paper = f"paper, {theirs}" if theirs else "paper"
        head += [f"{device}{soc}: fps", "RoIs", paper, "parity with PyTorch"]
    unmet = [d for d in (ARM, X86) if d not in {paper_device(r) for r in cells.values()}]
    head += [f"paper, {theirs}" for theirs in unmet]
    rows = []
    for model in models:
        bundle = next(r.bundle for (name, _), r in cells.items() if name == model)
        row = [model, f"{bundle.macs / 1e6:.0f}"]
        for device in columns:
            found = cells.get((model, device))
            row += ["-"] * DEVICE_COLUMNS if found is None else _cells(found, notes)
        row += [_paper(bundle, theirs) for theirs in unmet]
        rows.append(tuple(row))
    first = entries[0].record
    rois = rois_of(entry.record for entry in entries)
    conditions = (
        f"fps is 1000 / median, {first.engine.threads} thread, one pinned core, "
        f"{first.arithmetic}, input {first.bundle.input[0]}x{first.bundle.input[1]}{rois}. "
        "The paper's figures were measured on its own devices, whose names head the columns."
    )
    others = map(_other_runs, (entry for entry in entries if entry.others))
    title = "Frames per second (the layout of ThunderNet's Table 9)"
    return Table(title, tuple(head), tuple(rows), 1, (conditions, *notes, *others))


def _other_runs(entry: Entry) -> str:
    """Say which of several runs is shown, and what the others measured."""
    kind = "latest VALID one" if entry.record.verdict.valid else "latest one"
    others = ", ".join(f"{_median(other.record)} ({other.path.name})" for other in entry.others)
    return (
        f"{entry.record.bundle.name} on {entry.record.device.name}: {entry.path.name} is the {kind} "
        f"of {len(entry.others) + 1} runs; the others: {others}"
    )


def _median(record: Record) -> str:
    if record.verdict.valid and record.summary is not None:
        return f"median {record.summary.median:.2f} ms" + " quick" * record.verdict.quick
    return record.verdict.label


def rois_of(records: Iterable[Record]) -> str:
    """Return the number of RoIs that the two-stage detectors among comparable records keep, as a phrase."""
    found = {record.bundle.rois for record in records}
    whose = " in two-stage detectors" if 0 in found else ""
    return f", {max(found)} RoIs{whose}" if max(found) else ""


def _cells(record: Record, notes: list[str]) -> list[str]:
    fps, rois = _fps(record, notes), shown_rois(record)
    return [fps, rois, _paper(record.bundle, paper_device(record)), parity(record)]


def _macs(entry: Entry) -> int:
    return entry.record.bundle.macs


def _fps(record: Record, notes: list[str]) -> str:
    """Frames per second of a VALID run; otherwise the verdict, and a note with the reason."""
    quick = " quick" if record.verdict.quick else ""
    if record.summary is not None and record.summary.fps is not None:
        return f"{record.summary.fps:.1f}{quick}"
    notes.append(f"{record.bundle.name} on {record.device.name}: {record.verdict}")
    return "no time" if record.verdict.proved else f"INVALID{quick}"


def _paper(bundle: BundleInfo, device: str | None) -> str:
    fps = paper_fps(bundle, device)
    return "-" if fps is None else f"{fps:.1f}"


def _times(entries: Sequence[Entry], devices: Sequence[str]) -> Table:
    rows = []
    for entry, device in zip(entries, devices, strict=True):
        r, s = entry.record, entry.record.summary
        if s is None or r.run is None or entry.record.emulated:
            continue
        figures = (s.median, s.p90, s.p99, s.mean, s.trimmed_mean)
        rates = (s.fps, s.fps_p90)
        rows.append((
            r.bundle.name, device, r.verdict.label, shown_rois(r),
            *(f"{value:.2f}" for value in figures),
            *("-" if fps is None else f"{fps:.1f}" for fps in rates),
            *("-" if ms is None else f"{ms:.1f}" for ms in (r.run.first_frame_ms, r.run.load_ms)),
            str(r.run.frames), f"{r.run.measured_s:.0f}",
        ))  # fmt: skip
    head = (
        "model", "device", "verdict", "RoIs", "median", "p90", "p99", "mean", "trimmed mean", "fps",
        "fps at p90", "first frame", "load", "frames", "s",
    )  # fmt: skip
    return Table("Milliseconds from image to boxes", head, tuple(rows), 3)


def _stages(entries: Sequence[Entry], devices: Sequence[str]) -> Table:
    timed = [(e, d) for e, d in zip(entries, devices, strict=True) if e.record.run and not e.record.emulated]
    stages = all_stages(e.record for e, _ in timed)
    rows = []
    for entry, device in timed:
        medians = stage_medians(entry.record)
        cells = (f"{medians[stage]:.2f}" if stage in medians else "-" for stage in stages)
        rows.append((entry.record.bundle.name, device, shown_rois(entry.record), *cells))
    head = ("model", "device", "RoIs", *stages)
    return Table("Median milliseconds of each stage", head, tuple(rows), 2)


def all_stages(records: Iterable[Record]) -> tuple[str, ...]:
    """Merge the stages of all records, each once, in the order of every detector."""
    merged: list[str] = []
    for record in records:
        place = 0
        for stage in record.run.stages if record.run else ():
            if stage not in merged:
                merged.insert(place, stage)
            place = merged.index(stage) + 1
    return tuple(merged)


def stage_medians(record: Record) -> dict[str, float]:
    """Compute the median of each stage.

    Returns:
        Milliseconds by stage.
    """
    assert record.run is not None
    medians = np.median(np.asarray(record.run.milliseconds), axis=0)
    return dict(zip(record.run.stages, medians.tolist(), strict=True))


def _sweep(entries: Sequence[Entry], devices: Sequence[str]) -> Table:
    """Latency by the requested number of RoIs; the actual number too, if the image has fewer."""
    swept = [
        (e, d) for e, d in zip(entries, devices, strict=True) if e.record.roi_sweep and not e.record.emulated
    ]
    counts = sorted({p.rois for e, _ in swept for p in e.record.roi_sweep})
    rows = []
    for entry, device in swept:
        found = {p.rois: _swept(p) for p in entry.record.roi_sweep}
        rows.append((entry.record.bundle.name, device, *(found.get(n, "-") for n in counts)))
    head = ("model", "device", *map(str, counts))
    notes = ("In brackets: the number of RoIs, if the image has fewer.",)
    return Table("Median milliseconds by the number of RoIs", head, tuple(rows), 2, notes)


def _swept(point: SweepPoint) -> str:
    median, rois = summarise(totals(point.run)).median, median_rois(point.run)
    return f"{median:.2f}" if rois == point.rois else f"{median:.2f} ({rois})"


def _sources(entries: Sequence[Entry], devices: Sequence[str]) -> Table:
    rows = []
    for entry, device in zip(entries, devices, strict=True):
        r = entry.record
        changed = ", changed" if r.source.changed else ""
        rows.append((
            r.bundle.name, device, f"{r.device.system} {r.device.release}, {r.device.architecture}",
            f"{r.target.kind}, core {r.protocol.cpu}", f"{r.engine.name} {r.engine.version}", r.engine.runner,
            f"{r.bundle.weight_storage} weights, {r.bundle.lanes} lanes", r.bundle.digest[:12],
            f"{r.source.version} {(r.source.commit or '-')[:8]}{changed}", r.created, entry.path.name,
        ))  # fmt: skip
    head = (
        "model", "device", "system", "target", "engine", "runner", "bundle", "digest", "pocketdet",
        "measured", "record",
    )  # fmt: skip
    return Table("Where the numbers come from", head, tuple(rows), len(head))
