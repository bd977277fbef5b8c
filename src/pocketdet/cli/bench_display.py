"""The output of `pocketdet bench`: a progress line per device, then a table per device."""

import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from pocketdet.benchmarks.record import Record


class ProgressDisplay:
    """The progress of all devices, drawn by their ticks and from no thread of its own."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False)

    def device(self, name: str) -> "DeviceProgress":
        """Add the line of a device.

        Args:
            name: Name of the device.

        Returns:
            Its progress.
        """
        return DeviceProgress(self._progress, self._progress.add_task(name, total=None), name)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()


class DeviceProgress:
    """The line of one device: a bar that fills within the time that a step may take."""

    def __init__(self, progress: Progress, task: TaskID, name: str) -> None:
        self._progress, self._task, self._name = progress, task, name
        self._seconds, self._start = 0.0, time.monotonic()

    def step(self, label: str, seconds: float) -> None:
        """Begin a step.

        Args:
            label: Name of the step.
            seconds: The time it may take; 0 if that is not known.
        """
        self._seconds, self._start = seconds, time.monotonic()
        self._progress.reset(self._task, total=seconds or None, description=f"{self._name}: {label}")
        self.tick()

    def tick(self) -> None:
        """Redraw the bar."""
        gone = min(time.monotonic() - self._start, self._seconds)
        self._progress.update(self._task, completed=gone, refresh=True)


def print_records(records: "Sequence[tuple[Path, Record]]", console: Console) -> None:
    """Print a row per record, then why records are INVALID, then the files.

    Args:
        records: Records and their files.
        console: Where to print.
    """
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
        for column in ("median", "p90", "p99", "fps", "at p90"):
            table.add_column(column, justify="right", no_wrap=True)
        table.add_column("verdict", no_wrap=True)
        for record in rows:
            table.add_row(*_cells(record))
        console.print(table)
    for path, record in records:
        _print_notes(record, console)
        console.print(f"wrote {path}", markup=False, soft_wrap=True)
    paths = " ".join(str(path) for path, _ in records)
    console.print(f"next: pocketdet report {paths}", markup=False, soft_wrap=True)


def _cells(record: "Record") -> tuple[str | Text, ...]:
    checks, s = record.golden.checks, record.summary
    emulated = record.target.kind == "emulated"
    # milliseconds of an emulator are in the record; here they would mislead
    times = ("-",) * 3 if s is None or emulated else (f"{s.median:.2f}", f"{s.p90:.2f}", f"{s.p99:.2f}")
    rates = ("-", "-") if s is None or s.fps is None else (f"{s.fps:.1f}", f"{s.fps_p90:.1f}")
    golden = f"{sum(check.ok for check in checks)}/{len(checks)}"
    quick = ", quick" if record.verdict.quick else ""
    verdict = Text("VALID" + quick, "green") if record.verdict.valid else Text("INVALID" + quick, "bold red")
    return Text(record.bundle.name), golden, *times, *rates, verdict


def _print_notes(record: "Record", console: Console) -> None:
    engine, name = record.engine, f"{record.bundle.name} on {record.device.name}"
    if engine.precision_requested != engine.precision_observed:
        precision = f"{engine.precision_requested} was requested, {engine.precision_observed} was used"
        console.print(f"{name}: {precision}", markup=False, soft_wrap=True)
    for reason in record.verdict.reasons:
        console.print(f"{name}: {reason.sentence}", markup=False, soft_wrap=True)
