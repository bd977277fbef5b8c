"""A contest between engines as a picture: bars of the medians, bundles side by side, parts below another."""

from pathlib import Path
from typing import TYPE_CHECKING

from pocketdet.benchmarks.engine_contest import HEAD
from pocketdet.benchmarks.engine_report import EngineReport, Standing
from pocketdet.errors import UsageError
from pocketdet.evaluation.figures import INK, MUTED, RULE, WIDTH, drawn, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = ("#9aa5b1", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")  # grey, then Okabe and Ito's
_TOP, _FOOT, _BAR, _GAP = 84, 72, 30, 58  # heights in pixels
_LEFT, _BETWEEN, _RIGHT = 112, 26, 24  # widths in pixels
MOST_BUNDLES = 4  # that fit side by side
_WORDS = 150  # pixels for what is written beside the longest bar


def write_plot(path: str | Path, report: EngineReport) -> None:
    """Draw a report to a PNG or JPEG file, 1200 pixels wide; the whiskers end at the 90th percentile.

    Raises `UsageError` as `accuracy.figures.drawn` does, and for more than `MOST_BUNDLES` bundles.
    """
    if len(report.outcomes) > MOST_BUNDLES:
        raise UsageError(f"{len(report.outcomes)} bundles: at most {MOST_BUNDLES} fit side by side in a plot")
    names = list(dict.fromkeys(e.name for o in report.outcomes for e in o.field.entrants))
    colours = {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(names)}
    tall = len(names) * _BAR
    height = _TOP + max(len(o.parts) for o in report.outcomes) * (tall + _GAP) + _FOOT
    count = len(report.outcomes)
    width = (WIDTH - _LEFT - _RIGHT - (count - 1) * _BETWEEN) / count
    with drawn(path, height) as figure:
        title = "Milliseconds of one frame, one thread, fp32: median, whisker to the 90th percentile"
        figure.text(_BETWEEN / WIDTH, 1 - 30 / height, title, size=13)
        for column, outcome in enumerate(report.outcomes):
            left, top = _LEFT + column * (width + _BETWEEN), float(_TOP)
            name = shortened(outcome.field.manifest.name, int(width / 8))
            figure.text(left / WIDTH, 1 - 64 / height, name, size=12, weight="bold")
            for part in outcome.parts:
                box = left / WIDTH, 1 - (top + tall + 24) / height, width / WIDTH, tall / height
                axes = figure.add_axes(box)
                label = f"{part.name}, {outcome.rois} RoIs" if part.name == HEAD else part.name
                axes.set_title(label, loc="left", size=10, color=INK)
                axes.set_yticks(range(len(names)), names if column == 0 else [])
                _draw_part(axes, report.standings(part), colours, width / (width - _WORDS))
                top += tall + _GAP
        for line, text in enumerate(_foot(report)):
            figure.text(_BETWEEN / WIDTH, (52 - 18 * line) / height, shortened(text, 190), color=MUTED)


def _draw_part(axes: "Axes", standings: list[Standing], colours: dict[str, str], room: float) -> None:
    """One bar in each row of `colours`; the axis is `room` times as long as the longest bar."""
    longest = max(s.summary.p90 for s in standings)
    axes.set_xlim(0, room * longest)
    axes.set_ylim(len(colours) - 0.5, -0.5)
    axes.tick_params(length=0)
    axes.set_xticks([])
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)
    timed = {s.name: s for s in standings}
    for row, (name, colour) in enumerate(colours.items()):
        if name not in timed:
            axes.text(0.02 * longest, row, "not timed", va="center", color=MUTED)
            continue
        standing, summary = timed[name], timed[name].summary
        axes.barh(row, summary.median, height=0.72, color=colour)
        axes.plot((summary.median, summary.p90), (row, row), color=INK, linewidth=1)
        axes.plot((summary.p90, summary.p90), (row - 0.14, row + 0.14), color=INK, linewidth=1)
        ratio = "" if row == 0 else f"   {standing.ratio.value:.2f}×"
        text = f"{summary.median:.2f} ms{ratio}"
        place = summary.p90 + 0.03 * longest
        axes.text(place, row, text, va="center", color=INK, weight="bold" if row else "normal")
    axes.axvline(standings[0].summary.median, color=RULE, linewidth=0.8, zorder=0)


def _foot(report: EngineReport) -> tuple[str, ...]:
    machine, peak, plan = report.machine, report.peak, report.plan
    packages = ", ".join(
        f"{name} {version}" for name, version in machine.versions.items() if name != "python"
    )
    return (
        f"{machine.processor}, {peak.gflops:.0f} GFLOP/s FMA peak of one thread ({peak.instructions}); "
        f"{plan.rounds} rounds of {plan.burst - plan.refill} frames in turn; {report.picture}",
        packages,
        "The factor at a bar: how many times as fast as the first bar, median over the rounds. "
        "Every panel has its own scale.",
    )
