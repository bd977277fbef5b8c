"""The tables of a report, free of any format."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from pocketdet.benchmarks.record import BundleInfo, Record, SweepPoint
from pocketdet.benchmarks.report.comparable import Entry
from pocketdet.benchmarks.report.paper import ARM, X86, paper_device, paper_fps
from pocketdet.benchmarks.samples import summarise
from pocketdet.benchmarks.verdict import totals


@dataclass(frozen=True)
class Table:
    """Cells as text; `left` columns are names, the others numbers. Notes stand below."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int = 1
    notes: tuple[str, ...] = ()


def make_tables(entries: Sequence[Entry]) -> tuple[Table, ...]:
    """Table 9 first, then times, stages, the sweep over RoIs, and where everything came from."""
    devices = device_labels(entries)
    made = [_table_9(entries, devices), _times(entries, devices), _stages(entries, devices)]
    made += [_sweep(entries, devices), _sources(entries, devices)]
    return tuple(table for table in made if table.rows)


def device_labels(entries: Sequence[Entry]) -> tuple[str, ...]:
    """What to call the device of each entry: its name, with the address where names are alike.

    PyTorch is named beside the device, or beside the GPU that it ran on.
    """
    devices = [(_device_name(e.record), e.record.target.address) for e in entries]
    alike = {name for name, _ in devices if len({a for n, a in devices if n == name}) > 1}
    return tuple(f"{name} ({address})" if name in alike else name for name, address in devices)


def _device_name(record: Record) -> str:
    if record.engine.name == "ncnn":
        return record.device.name
    on_gpu = record.engine.processor != "CPU"
    return f"{record.engine.processor if on_gpu else record.device.name}, PyTorch"


def parity(record: Record) -> str:
    """How the device agrees with PyTorch: checks that hold, and the largest box difference in pixels."""
    checks = record.golden.checks
    mark = "✓" if record.golden.ok else "✗"
    boxes = next((c.max_abs for c in checks if c.name == "image to boxes" and c.max_abs is not None), None)
    pixels = "" if boxes is None else f", {boxes:.2g} px"
    return f"{mark} {sum(c.ok for c in checks)}/{len(checks)}{pixels}"


def _table_9(entries: Sequence[Entry], devices: Sequence[str]) -> Table:
    """Models down, devices across: ours, the paper's, and parity with PyTorch.

    Of the paper's ARM and x86 devices, those of which nothing of the kind was measured come last.
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
        head += [f"{device}{soc}: fps", f"paper, {theirs}" if theirs else "paper", "parity with PyTorch"]
    unmet = [d for d in (ARM, X86) if d not in {paper_device(r) for r in cells.values()}]
    head += [f"paper, {theirs}" for theirs in unmet]
    rows = []
    for model in models:
        bundle = next(r.bundle for (name, _), r in cells.items() if name == model)
        row = [model, f"{bundle.macs / 1e6:.0f}"]
        for device in columns:
            found = cells.get((model, device))
            row += ["-"] * 3 if found is None else _cells(found, notes)
        row += [_paper(bundle, theirs) for theirs in unmet]
        rows.append(tuple(row))
    first = entries[0].record
    conditions = (
        f"fps is 1000 / median, {first.engine.threads} thread, one pinned core, "
        f"{first.arithmetic}, input {first.bundle.input[0]}x{first.bundle.input[1]}{_rois(entries)}. "
        "The paper's figures were measured on its own devices, whose names head the columns."
    )
    return Table(
        "Frames per second (the layout of ThunderNet's Table 9)",
        tuple(head),
        tuple(rows),
        1,
        (conditions, *notes),
    )


def _rois(entries: Sequence[Entry]) -> str:
    """How many RoIs the two-stage detectors among the records have."""
    found = {e.record.bundle.rois for e in entries}
    whose = " in two-stage detectors" if 0 in found else ""
    return f", {max(found)} RoIs{whose}" if max(found) else ""


def _cells(record: Record, notes: list[str]) -> list[str]:
    return [_fps(record, notes), _paper(record.bundle, paper_device(record)), parity(record)]


def _macs(entry: Entry) -> int:
    return entry.record.bundle.macs


def _fps(record: Record, notes: list[str]) -> str:
    """Frames per second of a VALID run; else INVALID and a note that says why."""
    quick = " quick" if record.verdict.quick else ""
    if record.summary is not None and record.summary.fps is not None:
        return f"{record.summary.fps:.1f}{quick}"
    notes.append(f"{record.bundle.name} on {record.device.name}: {record.verdict}")
    return f"INVALID{quick}"


def _paper(bundle: BundleInfo, device: str | None) -> str:
    fps = paper_fps(bundle, device)
    return "-" if fps is None else f"{fps:.1f}"


def _times(entries: Sequence[Entry], devices: Sequence[str]) -> Table:
    rows = []
    for entry, device in zip(entries, devices, strict=True):
        r, s = entry.record, entry.record.summary
        if s is None or r.run is None or entry.emulated:
            continue
        figures = (s.median, s.p90, s.p99, s.mean, s.trimmed_mean)
        rates = (s.fps, s.fps_p90)
        rows.append((
            r.bundle.name, device, "VALID" if r.verdict.valid else "INVALID",
            *(f"{value:.2f}" for value in figures),
            *("-" if fps is None else f"{fps:.1f}" for fps in rates),
            str(r.run.frames), f"{r.run.measured_s:.0f}",
        ))  # fmt: skip
    head = (
        "model",
        "device",
        "verdict",
        "median",
        "p90",
        "p99",
        "mean",
        "trimmed mean",
        "fps",
        "fps at p90",
        "frames",
        "s",
    )
    return Table("Milliseconds from image to boxes", head, tuple(rows), 3)


def _stages(entries: Sequence[Entry], devices: Sequence[str]) -> Table:
    timed = [(e, d) for e, d in zip(entries, devices, strict=True) if e.record.run and not e.emulated]
    stages = all_stages(e.record for e, _ in timed)
    rows = []
    for entry, device in timed:
        medians = stage_medians(entry.record)
        cells = (f"{medians[stage]:.2f}" if stage in medians else "-" for stage in stages)
        rows.append((entry.record.bundle.name, device, *cells))
    return Table("Median milliseconds of each stage", ("model", "device", *stages), tuple(rows), 2)


def all_stages(records: Iterable[Record]) -> tuple[str, ...]:
    """The stages of all records, each once, in an order that is that of every detector."""
    merged: list[str] = []
    for record in records:
        place = 0
        for stage in record.run.stages if record.run else ():
            if stage not in merged:
                merged.insert(place, stage)
            place = merged.index(stage) + 1
    return tuple(merged)


def stage_medians(record: Record) -> dict[str, float]:
    """Median milliseconds of each stage of a record that was timed."""
    assert record.run is not None
    medians = np.median(np.asarray(record.run.milliseconds), axis=0)
    return dict(zip(record.run.stages, medians.tolist(), strict=True))


def _sweep(entries: Sequence[Entry], devices: Sequence[str]) -> Table:
    """Latency against the number of RoIs asked for; where the picture gave fewer, that number, too."""
    swept = [(e, d) for e, d in zip(entries, devices, strict=True) if e.record.roi_sweep and not e.emulated]
    counts = sorted({p.rois for e, _ in swept for p in e.record.roi_sweep})
    rows = []
    for entry, device in swept:
        found = {p.rois: _swept(p) for p in entry.record.roi_sweep}
        rows.append((entry.record.bundle.name, device, *(found.get(n, "-") for n in counts)))
    head = ("model", "device", *map(str, counts))
    notes = ("In brackets the RoIs that there were, where the picture gave fewer.",)
    return Table("Median milliseconds by the number of RoIs", head, tuple(rows), 2, notes)


def _swept(point: SweepPoint) -> str:
    median, kept = summarise(totals(point.run)).median, kept_rois(point)
    return f"{median:.2f}" if kept == point.rois else f"{median:.2f} ({kept})"


def kept_rois(point: SweepPoint) -> int:
    """The median number of RoIs that a frame really had."""
    return int(np.median(point.run.proposals))


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
        "model",
        "device",
        "system",
        "target",
        "engine",
        "runner",
        "bundle",
        "digest",
        "pocketdet",
        "measured",
        "record",
    )
    return Table("Where the numbers come from", head, tuple(rows), len(head))
