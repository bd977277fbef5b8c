"""A contest between engines as a picture: bars of the medians, bundles side by side, parts below another."""

from pathlib import Path
from typing import TYPE_CHECKING

from pocketdet.accuracy.figures import INK, MUTED, RULE, WIDTH, drawn, shortened
from pocketdet.benchmarks.engine_contest import HEAD
from pocketdet.benchmarks.engine_report import EngineReport, Standing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = ("#9aa5b1", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")  # grey, then Okabe and Ito's
_TOP, _FOOT, _BAR, _GAP = 92, 66, 34, 62  # heights in pixels
_LEFT, _BETWEEN, _RIGHT = 112, 26, 24  # widths in pixels
_ROOM = 1.62  # of the longest bar: space for what is written beside it


def write_plot(path: str | Path, report: EngineReport) -> None:
    """Draw a report to a PNG or JPEG file, 1200 pixels wide; the whiskers end at the 90th percentile.

    Raises `UsageError` as `accuracy.figures.drawn` does.
    """
    names = list(dict.fromkeys(e.name for o in report.outcomes for e in o.field.entrants))
    colours = {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(names)}
    rows = [
        max(len(o.parts[i].samples) for o in report.outcomes) for i in range(len(report.outcomes[0].parts))
    ]
    height = _TOP + sum(n * _BAR + _GAP for n in rows) + _FOOT
    count = len(report.outcomes)
    width = (WIDTH - _LEFT - _RIGHT - (count - 1) * _BETWEEN) / count
    with drawn(path, height) as figure:
        title = "Milliseconds of one frame, one thread, fp32: median, whisker to the 90th percentile"
        figure.text(_BETWEEN / WIDTH, 1 - 30 / height, title, size=13)
        for column, outcome in enumerate(report.outcomes):
            left, top = _LEFT + column * (width + _BETWEEN), float(_TOP)
            name = shortened(outcome.field.manifest.name, int(width / 8))
            figure.text(left / WIDTH, 1 - 64 / height, name, size=12, weight="bold")
            for part, bars in zip(outcome.parts, rows, strict=True):
                box = (
                    left / WIDTH,
                    1 - (top + bars * _BAR + 24) / height,
                    width / WIDTH,
                    bars * _BAR / height,
                )
                label = f"{part.name}, {outcome.rois} RoIs" if part.name == HEAD else part.name
                _draw_part(figure.add_axes(box), report.standings(part), label, colours, named=column == 0)
                top += bars * _BAR + _GAP
        for line, text in enumerate(_foot(report)):
            figure.text(_BETWEEN / WIDTH, (34 - 18 * line) / height, shortened(text, 190), color=MUTED)


def _draw_part(
    axes: "Axes", standings: list[Standing], label: str, colours: dict[str, str], *, named: bool
) -> None:
    medians = [s.summary.median for s in standings]
    longest = max(s.summary.p90 for s in standings)
    axes.set_title(label, loc="left", size=10, color=INK)
    axes.set_xlim(0, _ROOM * longest)
    axes.set_ylim(len(standings) - 0.5, -0.5)
    axes.set_yticks(range(len(standings)), [s.name for s in standings] if named else [])
    axes.tick_params(length=0)
    axes.set_xticks([])
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)
    axes.barh(range(len(standings)), medians, height=0.72, color=[colours[s.name] for s in standings])
    for row, standing in enumerate(standings):
        summary = standing.summary
        axes.plot((summary.median, summary.p90), (row, row), color=INK, linewidth=1)
        axes.plot((summary.p90, summary.p90), (row - 0.14, row + 0.14), color=INK, linewidth=1)
        ratio = "" if row == 0 else f"   {standing.ratio.value:.2f}×"
        text = f"{summary.median:.2f} ms{ratio}"
        place = max(summary.p90, summary.median) + 0.02 * longest
        axes.text(place, row, text, va="center", color=INK, weight="bold" if row else "normal")
    axes.axvline(medians[0], color=RULE, linewidth=0.8, zorder=0)


def _foot(report: EngineReport) -> tuple[str, str]:
    machine, peak, plan = report.machine, report.peak, report.plan
    packages = ", ".join(
        f"{name} {version}" for name, version in machine.versions.items() if name != "python"
    )
    return (
        f"{machine.processor}, {peak.gflops:.0f} GFLOP/s FMA peak of one thread ({peak.instructions}); "
        f"{plan.rounds} rounds of {plan.burst - plan.refill} frames in turn; {packages}",
        "The number at a bar is how many times as fast it is as the first bar, the median over the rounds.",
    )
