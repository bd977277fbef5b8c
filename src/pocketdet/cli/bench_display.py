"""The output of `pocketdet bench`: a progress line per device, then a table per device."""

import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from pocketdet.benchmarks.record import Record

LINE_EVERY_S: Final = 60.0  # without a terminal


class ProgressDisplay:
    """The progress of all devices, drawn by their ticks and from no thread of its own.

    Without a terminal it is printed in lines: one for each step that takes time, then one a minute.
    """

    def __init__(self) -> None:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[clock]}"),
        )
        self._console = Console(stderr=True)
        self._progress = Progress(*columns, console=self._console, transient=True, auto_refresh=False)

    def device(self, name: str) -> "DeviceProgress":
        """Add the line of a device."""
        task = self._progress.add_task(name, total=None, clock="")
        return DeviceProgress(self._progress, task, name, self._console)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._progress.stop()


class DeviceProgress:
    """The line of one device: a bar that fills within the time that a step may take."""

    def __init__(self, progress: Progress, task: TaskID, name: str, console: Console) -> None:
        self._progress, self._task, self._name, self._console = progress, task, name, console
        self._label, self._seconds, self._start = "", 0.0, time.monotonic()
        self._next_line_s = LINE_EVERY_S

    def step(self, label: str, seconds: float) -> None:
        """Begin a step.

        Args:
            label: Name of the step.
            seconds: The time it may take; 0 if that is not known.
        """
        self._label, self._seconds, self._start = label, seconds, time.monotonic()
        self._next_line_s = LINE_EVERY_S
        description = f"{self._name}: {label}"
        if self._console.is_terminal:
            self._progress.reset(self._task, total=seconds or None, description=description, clock="")
        elif seconds:
            self._print(f"{description}, at most {_clock(seconds)}")
        self.tick()

    def tick(self) -> None:
        """Redraw the bar, or print a line if a minute has passed."""
        gone = min(time.monotonic() - self._start, self._seconds)
        clock = f"{_clock(gone)} of {_clock(self._seconds)}" if self._seconds else ""
        if self._console.is_terminal:
            self._progress.update(self._task, completed=gone, clock=clock, refresh=True)
        elif gone >= self._next_line_s:
            self._next_line_s += LINE_EVERY_S
            self._print(f"{self._name}: {self._label}, {clock}")

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def _clock(seconds: float) -> str:
    """Minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def print_records(records: "Sequence[tuple[Path, Record]]", console: Console) -> None:
    """Print a row per record, then why records are INVALID, the files, and the reports to make of them."""
    if not records:
        return
    by_device: dict[str, list[Record]] = {}
    for _, record in records:
        by_device.setdefault(f"{record.device.name} ({record.target.kind})", []).append(record)
    for device, rows in by_device.items():
        console.print(Text(f"{device}: milliseconds from image to boxes", style="bold"), soft_wrap=True)
        table = Table(box=None, padding=(0, 1, 0, 0))
        table.add_column("bundle", overflow="fold")
        table.add_column("golden", no_wrap=True)
        for column in ("RoIs", "median", "p90", "p99", "fps"):
            table.add_column(column, justify="right", no_wrap=True)
        table.add_column("verdict")
        for record in rows:
            table.add_row(*_cells(record))
        console.print(table)
    _print_layers([record for _, record in records], console)
    for path, record in records:
        _print_notes(record, console)
        console.print(f"wrote {path}", markup=False, soft_wrap=True)
    _print_next(records, console)


def _print_layers(records: "Sequence[Record]", console: Console) -> None:
    from pocketdet.benchmarks.report.tables import layer_tables

    for record in records:
        name = f"{record.bundle.name} on {record.device.name}"
        for found in layer_tables([record], [record.device.name]):
            if not found.rows:
                continue
            console.print(Text(f"{name}: {found.title}", style="bold"), soft_wrap=True)
            table = Table(box=None, padding=(0, 1, 0, 0))
            for i in range(2, len(found.head)):  # without model and device
                justify: Literal["left", "right"] = "left" if i < found.left else "right"
                table.add_column(found.head[i], overflow="fold", justify=justify)
            for row in found.rows:
                table.add_row(*map(Text, row[2:]))
            console.print(table)
            for note in found.notes:
                console.print(note, markup=False, soft_wrap=True)


def _cells(record: "Record") -> tuple[str | Text, ...]:
    from pocketdet.benchmarks.report.tables import shown_rois

    checks, s, verdict = record.golden.checks, record.summary, record.verdict
    emulated = record.target.kind == "emulated"
    # milliseconds of an emulator are in the record; here they would mislead
    times = ("-",) * 3 if s is None or emulated else (f"{s.median:.2f}", f"{s.p90:.2f}", f"{s.p99:.2f}")
    rate = "-" if s is None or s.fps is None else f"{s.fps:.1f}"
    golden = f"{sum(check.ok for check in checks)}/{len(checks)}"
    quick = ", quick" if verdict.quick and not verdict.proved else ""
    style = "bold red" if verdict.label == "INVALID" else "green"
    shown = Text(verdict.label + quick, style)
    return Text(record.bundle.name), golden, shown_rois(record), *times, rate, shown


def _print_notes(record: "Record", console: Console) -> None:
    engine, name = record.engine, f"{record.bundle.name} on {record.device.name}"
    notes = []
    if engine.language == "Python" and engine.name == "ncnn":
        notes.append("measured in Python; make native builds pocketdet-run, which measures if it is there")
    if engine.precision_requested != engine.precision_observed:
        notes.append(f"{engine.precision_requested} was requested, {engine.precision_observed} was used")
    if record.protocol.attempt > 1:
        notes.append(f"run {record.protocol.attempt}, after INVALID ones")
    if record.sustained is not None:
        from pocketdet.benchmarks.verdict import first_and_last_minute

        first, last = first_and_last_minute(record.sustained)
        notes.append(f"sustained: median {first:.2f} ms in the first minute, {last:.2f} ms in the last")
    for note in (*notes, *(reason.sentence for reason in record.verdict.reasons)):
        console.print(f"{name}: {note}", markup=False, soft_wrap=True)


def _print_next(records: "Sequence[tuple[Path, Record]]", console: Console) -> None:
    """Print a report command for all records, or one for each group that one table may compare."""
    from pocketdet.benchmarks.report import Entry, check_comparable, comparable_groups
    from pocketdet.errors import UsageError

    entries = [Entry(path, record) for path, record in records]
    groups = comparable_groups(entries)
    for number, group in enumerate(groups, 1):
        paths = shlex.join(str(entry.path) for entry in group)
        out = f" --out bench-report-{number}" if len(groups) > 1 else ""
        console.print(f"next: pocketdet report {paths}{out}", markup=False, soft_wrap=True)
    try:
        check_comparable(entries)
    except UsageError as error:
        console.print(str(error), markup=False, soft_wrap=True)
