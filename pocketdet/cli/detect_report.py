"""What `pocketdet detect` prints: detections, frames, classes, and where the milliseconds went."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pocketdet.runtime.detector import Detections
from pocketdet.runtime.sources import Frame

_ROWS = 20


@dataclass
class Summary:
    """Gathers frame after frame. `keep_records` keeps every detection for JSON."""

    keep_records: bool = False
    frames: list[tuple[str, int, str, float]] = field(default_factory=list)
    classes: Counter[str] = field(default_factory=Counter)
    stages: dict[str, list[float]] = field(default_factory=dict)
    records: list[dict[str, Any]] = field(default_factory=list)
    last: Detections | None = None

    def add(self, frame: Frame, found: Detections) -> None:
        """Count one frame."""
        counts = Counter(found.names)
        text = ", ".join(f"{count} {name}" for name, count in counts.most_common())
        self.frames.append((frame.name, len(found), text, found.total_milliseconds))
        self.classes.update(counts)
        self.last = found
        for stage, milliseconds in found.milliseconds.items():
            self.stages.setdefault(stage, []).append(milliseconds)
        if self.keep_records:
            self.records.append(_record(frame, found))

    def times(self) -> dict[str, dict[str, float]]:
        """Median and 90th percentile in milliseconds for every stage and the total."""
        columns = {**self.stages, "total": [frame[3] for frame in self.frames]}
        return {name: {"median": median(v), "p90": _p90(v)} for name, v in columns.items() if v}

    def fps(self) -> float | None:
        """Pictures a second from the median total; reading, drawing and writing are not counted."""
        times = self.times()
        return 1000 / times["total"]["median"] if times else None

    def to_json(self) -> dict[str, Any]:
        """Frames with their detections, class counts and times."""
        counts = {"frames": self.records, "classes": dict(self.classes)}
        return {**counts, "milliseconds": self.times(), "fps": self.fps()}


def detection_table(found: Detections) -> Table:
    """One row per detection, best first: class, score, box in pixels."""
    table = Table("class", title=f"{len(found)} detection{'s' * (len(found) != 1)}", title_justify="left")
    for column in ("score", "x1", "y1", "x2", "y2"):
        table.add_column(column, justify="right")
    for name, score, box in list(zip(found.names, found.scores, found.boxes, strict=True))[:_ROWS]:
        table.add_row(escape(name), f"{score:.2f}", *(f"{v:.1f}" for v in box))
    if len(found) > _ROWS:
        table.add_row(f"... and {len(found) - _ROWS} more")
    return table


def print_summary(summary: Summary, title: str, written: list[Path], console: Console) -> None:
    """Detections of one picture, or a row per frame and the counts of all; then times and files."""
    if len(summary.frames) == 1 and summary.last is not None:
        console.print(detection_table(summary.last))
    else:
        console.print(_frame_table(summary))
    console.print(_time_table(summary, title))
    if summary.fps():
        console.print(f"{summary.fps():.1f} fps: 1000 / median total, without reading, drawing and writing")
    for path in written[:3]:
        console.print(f"wrote {path}", markup=False, soft_wrap=True)
    if len(written) > 3:
        console.print(f"... and {len(written) - 3} more", markup=False)


def _frame_table(summary: Summary) -> Table:
    total = sum(summary.classes.values())
    table = Table(
        "picture", title=f"{total} detections in {len(summary.frames)} pictures", title_justify="left"
    )
    table.add_column("found", overflow="fold")
    table.add_column("ms", justify="right")
    for name, _, text, milliseconds in summary.frames[:_ROWS]:
        table.add_row(escape(name), escape(text) or "-", f"{milliseconds:.1f}")
    if len(summary.frames) > _ROWS:
        everything = ", ".join(f"{count} {name}" for name, count in summary.classes.most_common())
        table.add_row(f"... and {len(summary.frames) - _ROWS} more", "", "")
        table.add_row("all", escape(everything) or "-", "")
    return table


def _time_table(summary: Summary, title: str) -> Table:
    table = Table("stage", title=title, title_justify="left")
    for column in ("median ms", "90% ms", "share"):
        table.add_column(column, justify="right")
    times = summary.times()
    for name, value in times.items():
        share = value["median"] / max(times["total"]["median"], 1e-9)
        style = "bold" if name == "total" else None
        table.add_row(name, f"{value['median']:.2f}", f"{value['p90']:.2f}", f"{share:.0%}", style=style)
    return table


def _p90(values: list[float]) -> float:
    return quantiles(values, n=10, method="inclusive")[8] if len(values) > 1 else values[0]


def _record(frame: Frame, found: Detections) -> dict[str, Any]:
    rows = zip(found.names, found.labels, found.scores, found.boxes, strict=True)
    return {
        "name": frame.name,
        "width": frame.image.shape[1],
        "height": frame.image.shape[0],
        "detections": [
            {"name": n, "label": int(label), "score": float(s), "box": [float(v) for v in b]}
            for n, label, s, b in rows
        ],
        "milliseconds": found.milliseconds,
    }
