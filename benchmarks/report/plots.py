"""The plots of a report: PNG, 1200 pixels wide. Emulated times are in none of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pocketdet.benchmarks.record import Record
from pocketdet.benchmarks.report.entries import Entry
from pocketdet.benchmarks.report.tables import (
    ARM,
    GPU,
    INPUT,
    TABLE_9,
    X86,
    all_stages,
    device_labels,
    paper_device,
    rois_of,
    shown_rois,
    stage_medians,
)
from pocketdet.benchmarks.verdict import median_rois, totals
from pocketdet.evaluation.figures import COLOURS, INK, MARKS, MUTED, RULE, WIDTH, drawn, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LEFT, _RIGHT, _TOP, _BOTTOM, _ROW = 370, 110, 64, 56, 46  # pixels
_WINDOWS = 60  # of a sustained run


@dataclass(frozen=True)
class Line:
    """A record in a plot: a row or a curve."""

    device: str
    record: Record

    @property
    def name(self) -> str:
        """Bundle, RoIs, a mark if INVALID, and device, which may be cut off."""
        rois = shown_rois(self.record)
        marks = [f"{rois} RoIs"] if rois != "-" else []
        if not self.record.verdict.valid:
            marks.append("INVALID")
        marked = f" ({', '.join(marks)})" if marks else ""
        return f"{self.record.bundle.name}{marked}, {self.device}"


def write_plots(folder: Path, entries: Sequence[Entry]) -> dict[str, Path]:
    """Draw latency, stages, RoIs, the sustained run and frames per second, as far as the records have them.

    Returns:
        Files by title.

    Raises:
        UsageError: If matplotlib is missing, or a file cannot be written.
    """
    lines = [
        Line(device, e.record)
        for e, device in zip(entries, device_labels(entries), strict=True)
        if not e.record.emulated and e.record.run is not None
    ]
    plots: dict[str, tuple[str, Callable[[Path, list[Line]], None], list[Line]]] = {
        "Latency distribution": ("latency.png", _latency, lines),
        "Stage breakdown": ("stages.png", _stages, lines),
        "Latency against the number of RoIs": ("rois.png", _rois, [x for x in lines if x.record.roi_sweep]),
        "Sustained run": ("sustained.png", _sustained, [x for x in lines if x.record.sustained]),
        "Frames per second against MACs": ("fps.png", _fps, [x for x in lines if x.record.verdict.valid]),
    }
    written = {}
    for title, (name, draw, drawable) in plots.items():
        if drawable:
            draw(folder / name, drawable)
            written[title] = folder / name
    return written


def _rows(figure: "Figure", lines: Sequence[Line], height: int, title: str, label: str) -> "Axes":
    """Axes with one row per record, its name at the left."""
    figure.text(24 / WIDTH, 1 - 34 / height, title, size=13)
    tall = len(lines) * _ROW
    box = (_LEFT / WIDTH, _BOTTOM / height, (WIDTH - _LEFT - _RIGHT) / WIDTH, tall / height)
    axes = figure.add_axes(box)
    axes.set_ylim(len(lines) - 0.5, -0.5)
    axes.set_yticks(range(len(lines)), [shortened(line.name, 48) for line in lines])
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.set_xlabel(label)
    axes.grid(axis="x", color=RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    return axes


def _latency(path: Path, lines: list[Line]) -> None:
    """Frames as dots, the quartiles as a box, the median and the 90th percentile as strokes."""
    height = _TOP + _BOTTOM + _ROW * len(lines)
    generator = np.random.default_rng(0)
    with drawn(path, height) as figure:
        title = "Every frame: milliseconds from image to boxes; box 25 to 75%, strokes median and 90%"
        axes = _rows(figure, lines, height, title, "milliseconds")
        longest = 0.0
        for row, line in enumerate(lines):
            assert line.record.run is not None
            values = totals(line.record.run)
            low, median, high, p90, p99 = np.percentile(values, [25, 50, 75, 90, 99])
            colour = COLOURS[row % len(COLOURS)]
            places = row + generator.uniform(-0.3, 0.3, len(values))
            axes.plot(values, places, ".", color=colour, markersize=2, alpha=0.25, rasterized=True)
            axes.barh(row, high - low, left=low, height=0.5, color=colour, alpha=0.35)
            axes.plot((median, median), (row - 0.34, row + 0.34), color=INK, linewidth=2)
            axes.plot((p90, p90), (row - 0.22, row + 0.22), color=INK, linewidth=1)
            axes.text(
                1.01, row, f"{median:.1f} ms", transform=axes.get_yaxis_transform(), va="center", color=INK
            )
            longest = max(longest, float(p99))
        axes.set_xlim(0, 1.25 * longest)


def _stages(path: Path, lines: list[Line]) -> None:
    height = _TOP + _BOTTOM + _ROW * len(lines) + 40
    with drawn(path, height) as figure:
        axes = _rows(
            figure, lines, height, "Where the time goes: median milliseconds of each stage", "milliseconds"
        )
        found = [stage_medians(line.record) for line in lines]
        stages = all_stages(line.record for line in lines)
        ends = np.zeros(len(lines))
        for i, stage in enumerate(stages):
            medians = np.array([times.get(stage, 0.0) for times in found])
            axes.barh(range(len(lines)), medians, left=ends, height=0.6, color=COLOURS[i % 8], label=stage)
            ends += medians
        for row, end in enumerate(ends):
            axes.text(end + 0.01 * ends.max(), row, f"{end:.1f} ms", va="center", color=INK)
        axes.set_xlim(0, 1.05 * ends.max())
        place = (_LEFT / WIDTH, 1 - 62 / height)
        figure.legend(
            loc="upper left", bbox_to_anchor=place, ncols=len(stages), frameon=False, borderaxespad=0
        )


def _curves(figure: "Figure", height: int, title: str, across: str, up: str) -> "Axes":
    figure.text(24 / WIDTH, 1 - 34 / height, title, size=13)
    axes = figure.add_axes((90 / WIDTH, 64 / height, (WIDTH - 90 - 400) / WIDTH, (height - 64 - 70) / height))
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.grid(color=RULE, linewidth=0.6)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return axes


def _legend(axes: "Axes") -> None:
    axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1), frameon=False, borderaxespad=0)


def _rois(path: Path, lines: list[Line]) -> None:
    with drawn(path, 480) as figure:
        title = "Median milliseconds by the number of RoIs there were; whiskers to the 90th percentile"
        axes = _curves(figure, 480, title, "RoIs", "milliseconds")
        for i, line in enumerate(lines):
            points = sorted(line.record.roi_sweep, key=lambda p: p.rois)
            p50, p90 = np.array([np.percentile(totals(p.run), [50, 90]) for p in points]).T
            up = np.array([np.zeros_like(p50), p90 - p50])
            axes.errorbar(
                [median_rois(p.run) for p in points],
                p50,
                up,
                color=COLOURS[i % 8],
                marker=MARKS[i % 8],
                capsize=3,
                label=shortened(line.name, 52),
            )
        axes.set_ylim(bottom=0)
        axes.set_xlim(left=0)
        _legend(axes)


def _sustained(path: Path, lines: list[Line]) -> None:
    with drawn(path, 480) as figure:
        title = "Sustained: median milliseconds over time, band from the 10th to the 90th percentile"
        axes = _curves(figure, 480, title, "minutes", "milliseconds")
        for i, line in enumerate(lines):
            assert line.record.sustained is not None
            minutes = np.asarray(line.record.sustained.started_s) / 60
            values = totals(line.record.sustained)
            windows = np.array_split(np.arange(len(values)), min(_WINDOWS, len(values)))
            middle = [float(np.median(minutes[w])) for w in windows]
            low, median, high = np.array([np.percentile(values[w], [10, 50, 90]) for w in windows]).T
            axes.fill_between(middle, low, high, color=COLOURS[i % 8], alpha=0.2, linewidth=0)
            axes.plot(middle, median, color=COLOURS[i % 8], label=shortened(line.name, 52))
        axes.set_ylim(bottom=0)
        axes.set_xlim(left=0)
        _legend(axes)


def _fps(path: Path, lines: list[Line]) -> None:
    """VALID runs filled, the paper's figures hollow."""
    devices = list(dict.fromkeys(line.device for line in lines))
    with drawn(path, 480) as figure:
        title = f"Frames per second against multiply-accumulates{rois_of(x.record for x in lines)}"
        axes = _curves(figure, 480, title, "million MACs", "fps")
        for i, device in enumerate(devices):
            mine = sorted(_point(x.record) for x in lines if x.device == device)
            macs, rates = np.array(mine).T
            axes.plot(macs, rates, color=COLOURS[i % 8], marker=MARKS[i % 8], label=shortened(device, 52))
        kinds = {ARM: "o", X86: "s"} | ({GPU: "^"} if GPU in {paper_device(x.record) for x in lines} else {})
        for theirs, mark in kinds.items() if lines[0].record.bundle.input == INPUT else ():
            macs, rates = np.array([(row.mmacs, row.fps[theirs]) for row in TABLE_9.values()]).T
            label = f"paper, {theirs}"
            axes.plot(macs, rates, ":", color=MUTED, marker=mark, markerfacecolor="white", label=label)
        axes.set_xscale("log")
        axes.set_yscale("log")
        _plain_ticks(axes)
        _legend(axes)


def _point(record: Record) -> tuple[float, float]:
    """Million MACs and frames per second of a VALID record."""
    assert record.summary is not None
    assert record.summary.fps is not None
    return record.bundle.macs / 1e6, record.summary.fps


def _plain_ticks(axes: "Axes") -> None:
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_formatter(NullFormatter())
