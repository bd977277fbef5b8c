"""The report of `pocketdet bench-engines`: a table for each bundle as text, and bars of the medians."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pocketdet.benchmarks.comparison import (
    ALIGNED,
    HEAD,
    NATIVE,
    CaseTimes,
    ComparisonReport,
    ComparisonResult,
)
from pocketdet.benchmarks.interleaved import speed_ratio
from pocketdet.errors import UsageError
from pocketdet.evaluation.figures import INK, MUTED, RULE, WIDTH, drawn, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BUSY = 0.6  # runnable tasks per core before the run, above which other programs distort the times
_COLOURS = ("#9aa5b1", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")  # grey, then Okabe and Ito's
_TOP, _FOOT, _BAR, _GAP = 84, 72, 30, 58  # heights in pixels
_LEFT, _BETWEEN, _RIGHT = 112, 26, 24  # widths in pixels
_LABEL = 150  # pixels for the text beside the longest bar
MOST_BUNDLES = 4  # that fit side by side
_FEW_ROIS = "image to boxes has fewer RoIs than the bundle keeps: images with more take longer"


def print_report(report: ComparisonReport, console: Console) -> None:
    """Print tables, engines, failures and the machine."""
    for result in report.results:
        # a title of the table's own would be cut to its width; a name from an untrusted bundle is no markup
        title = f"\n{result.comparison.manifest.name}: {_conditions(report, result)}"
        console.print(Text(title, style="bold"), soft_wrap=True)
        console.print(_table(report, result))
        for line in _comparisons(report, result):
            console.print(line, markup=False, soft_wrap=True)
        if result.proposals < result.rois:
            console.print(_FEW_ROIS, style="yellow", markup=False, soft_wrap=True)
        for case in result.comparison.cases:
            console.print(f"{case.name}: {case.detail}", markup=False, soft_wrap=True)
        for engine in result.comparison.excluded:
            console.print(f"left out: {engine.name}, {engine.reason}", markup=False, soft_wrap=True)
        for name, problems in result.failed.items():
            first = next(iter(result.parts[0].samples))
            failure = f"{name} does not agree with {first} and was not timed:"
            console.print(failure, style="bold red", markup=False, soft_wrap=True)
            for line in problems:
                console.print(f"  {line}", markup=False, soft_wrap=True)
    for line in machine_lines(report):
        console.print(line, markup=False, soft_wrap=True)


def machine_lines(report: ComparisonReport) -> list[str]:
    """Describe the machine, its peak and its load, one sentence each."""
    machine, peak = report.machine, report.peak
    governor = f", governor {machine.governor}" if machine.governor else ""
    lines = [
        f"\nmachine: {machine.processor}, {machine.cores} cores{governor}, {machine.system}",
        "versions: " + ", ".join(f"{name} {version}" for name, version in machine.versions.items()),
        f"FMA peak of one thread ({peak.instructions}): {peak.gflops_before:.1f} GFLOP/s before, "
        f"{peak.gflops_after:.1f} after; a MAC of the graph without padding counts as one FMA",
    ]
    if machine.load is not None and report.load_after is not None:
        busy = machine.load > _BUSY * machine.cores
        lines.append(
            f"load: {machine.load:.2f} runnable tasks before, {report.load_after:.2f} after (this run is one)"
            + ("; others were at work: trust the ratios more than the milliseconds" if busy else "")
        )
    return lines


def write_plot(path: str | Path, report: ComparisonReport) -> None:
    """Draw the medians as bars, 1200 pixels wide; the whiskers end at the 90th percentile.

    Args:
        path: PNG or JPEG file to write.
        report: The report to draw: bundles side by side, parts below each other.

    Raises:
        UsageError: If there are more than `MOST_BUNDLES` bundles, matplotlib is missing, or the file cannot
            be written.
    """
    if len(report.results) > MOST_BUNDLES:
        raise UsageError(f"{len(report.results)} bundles: at most {MOST_BUNDLES} fit side by side in a plot")
    names = list(dict.fromkeys(case.name for r in report.results for case in r.comparison.cases))
    colours = {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(names)}
    tall = len(names) * _BAR
    height = _TOP + max(len(r.parts) for r in report.results) * (tall + _GAP) + _FOOT
    count = len(report.results)
    width = (WIDTH - _LEFT - _RIGHT - (count - 1) * _BETWEEN) / count
    with drawn(path, height) as figure:
        title = "Milliseconds of one frame, one thread, fp32: median, whisker to the 90th percentile"
        figure.text(_BETWEEN / WIDTH, 1 - 30 / height, title, size=13)
        for column, result in enumerate(report.results):
            left, top = _LEFT + column * (width + _BETWEEN), float(_TOP)
            name = shortened(result.comparison.manifest.name, int(width / 8))
            figure.text(left / WIDTH, 1 - 64 / height, name, size=12, weight="bold")
            for part in result.parts:
                box = left / WIDTH, 1 - (top + tall + 24) / height, width / WIDTH, tall / height
                axes = figure.add_axes(box)
                axes.set_title(_part_label(part.name, result), loc="left", size=10, color=INK)
                axes.set_yticks(range(len(names)), names if column == 0 else [])
                _draw_part(axes, report.case_times(part), colours, width / (width - _LABEL))
                top += tall + _GAP
        for line, text in enumerate(_footnotes(report)):
            figure.text(_BETWEEN / WIDTH, (52 - 18 * line) / height, shortened(text, 190), color=MUTED)


def _part_label(name: str, result: ComparisonResult) -> str:
    return f"{name}, {result.rois} RoIs" if name == HEAD else name


def _conditions(report: ComparisonReport, result: ComparisonResult) -> str:
    plan = report.plan
    few = f" of {result.rois}" if result.proposals < result.rois else ""
    proposals = f"{result.proposals}{few} RoIs, " if result.rois else ""
    return (
        f"1 thread, fp32, {plan.rounds} rounds of {plan.burst - plan.refill} frames in turn, "
        f"{report.image} ({proposals}{result.detections} detections)"
    )


def _table(report: ComparisonReport, result: ComparisonResult) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("part", "engine"):
        table.add_column(column, no_wrap=True)
    for column in ("median ms", "p90 ms", "× plain [95%]", "of peak"):
        table.add_column(column, justify="right", no_wrap=True)
    for part in result.parts:
        times = report.case_times(part)
        best = min(times, key=lambda t: t.summary.median)
        for i, case in enumerate(times):
            label = "" if i else _part_label(part.name, result)
            style = "green" if case is best and len(times) > 1 else None
            table.add_row(label, *_cells(case, first=i == 0), style=style)
        table.add_section()
    return table


def _cells(times: CaseTimes, first: bool) -> tuple[str, ...]:
    ratio, summary = times.ratio, times.summary
    shown = "1" if first else f"{ratio.value:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]"
    return times.name, f"{summary.median:.2f}", f"{summary.p90:.2f}", shown, f"{times.peak_share:.0%}"


def _comparisons(report: ComparisonReport, result: ComparisonResult) -> list[str]:
    """Compare each of our engines, image to boxes, with all others in one sentence."""
    whole = result.parts[-1]
    lines = []
    for own in (ALIGNED, NATIVE):
        ratios = [
            f"{speed_ratio(samples, whole.samples[own], report.plan.seed)} as fast as {name}"
            for name, samples in whole.samples.items()
            if own in whole.samples and name != own
        ]
        lines += [f"{own}, {whole.name}: {', '.join(ratios)}"] * bool(ratios)
    return lines


def _draw_part(axes: "Axes", times: list[CaseTimes], colours: dict[str, str], scale: float) -> None:
    """Draw one bar in each row of `colours`; the axis is `scale` times as long as the longest bar."""
    longest = max(t.summary.p90 for t in times)
    axes.set_xlim(0, scale * longest)
    axes.set_ylim(len(colours) - 0.5, -0.5)
    axes.tick_params(length=0)
    axes.set_xticks([])
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)
    timed = {t.name: t for t in times}
    for row, (name, colour) in enumerate(colours.items()):
        if name not in timed:
            axes.text(0.02 * longest, row, "not timed", va="center", color=MUTED)
            continue
        summary = timed[name].summary
        axes.barh(row, summary.median, height=0.72, color=colour)
        axes.plot((summary.median, summary.p90), (row, row), color=INK, linewidth=1)
        axes.plot((summary.p90, summary.p90), (row - 0.14, row + 0.14), color=INK, linewidth=1)
        ratio = "" if row == 0 else f"   {timed[name].ratio.value:.2f}×"
        text = f"{summary.median:.2f} ms{ratio}"
        place = summary.p90 + 0.03 * longest
        axes.text(place, row, text, va="center", color=INK, weight="bold" if row else "normal")
    axes.axvline(times[0].summary.median, color=RULE, linewidth=0.8, zorder=0)


def _footnotes(report: ComparisonReport) -> tuple[str, ...]:
    machine, peak, plan = report.machine, report.peak, report.plan
    packages = ", ".join(
        f"{name} {version}" for name, version in machine.versions.items() if name != "python"
    )
    return (
        f"{machine.processor}, {peak.gflops:.0f} GFLOP/s FMA peak of one thread ({peak.instructions}); "
        f"{plan.rounds} rounds of {plan.burst - plan.refill} frames in turn; {report.image}",
        packages,
        "The factor at a bar: how many times as fast as the first bar, median over the rounds. "
        "Every panel has its own scale.",
    )
