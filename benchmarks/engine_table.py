"""A contest between engines as text: one table a bundle, what did not take part, and the machine."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pocketdet.benchmarks.engine_contest import ALIGNED, HEAD, Outcome
from pocketdet.benchmarks.engine_report import EngineReport, Standing
from pocketdet.benchmarks.samples import speed_ratio

_BUSY = 0.6  # runnable tasks a core before the run, above which the times are not the machine's best


def print_report(report: EngineReport, console: Console) -> None:
    """Everything a person wants to know of a report."""
    for outcome in report.outcomes:
        # a title of the table's own would be cut to its width; names are what a stranger's bundle says
        title = f"\n{outcome.field.manifest.name}: {_conditions(report, outcome)}"
        console.print(Text(title, style="bold"), soft_wrap=True)
        console.print(_table(report, outcome))
        for line in _comparisons(report, outcome):
            console.print(line, markup=False, soft_wrap=True)
        for entrant in outcome.field.entrants:
            console.print(f"{entrant.name}: {entrant.detail}", markup=False, soft_wrap=True)
        for left in outcome.field.left_out:
            console.print(f"left out: {left.name}, {left.reason}", markup=False, soft_wrap=True)
        for name, words in outcome.failed.items():
            first = next(iter(outcome.parts[0].samples))
            console.print(
                f"{name} does not agree with {first} and was not timed:",
                style="bold red",
                markup=False,
                soft_wrap=True,
            )
            for line in words:
                console.print(f"  {line}", markup=False, soft_wrap=True)
    for line in machine_lines(report):
        console.print(line, markup=False, soft_wrap=True)


def machine_lines(report: EngineReport) -> list[str]:
    """The machine, its peak and its load, a sentence each."""
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


def _conditions(report: EngineReport, outcome: Outcome) -> str:
    plan = report.plan
    proposals = f"{outcome.proposals} proposals, " if outcome.rois else ""
    return (
        f"1 thread, fp32, {plan.rounds} rounds of {plan.burst - plan.refill} frames in turn, "
        f"{report.picture} ({proposals}{outcome.detections} detections)"
    )


def _table(report: EngineReport, outcome: Outcome) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("part", "engine"):
        table.add_column(column, no_wrap=True)
    for column in ("median ms", "p90 ms", "× plain [95%]", "of peak"):
        table.add_column(column, justify="right", no_wrap=True)
    for part in outcome.parts:
        standings = report.standings(part)
        best = min(standings, key=lambda s: s.summary.median)
        for i, standing in enumerate(standings):
            label = "" if i else f"{part.name}, {outcome.rois} RoIs" if part.name == HEAD else part.name
            style = "green" if standing is best and len(standings) > 1 else None
            table.add_row(label, *_cells(standing, first=i == 0), style=style)
        table.add_section()
    return table


def _cells(standing: Standing, first: bool) -> tuple[str, ...]:
    ratio, summary = standing.ratio, standing.summary
    shown = "1" if first else f"{ratio.value:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]"
    times = f"{summary.median:.2f}", f"{summary.p90:.2f}"
    return standing.name, *times, shown, f"{standing.peak_share:.0%}"


def _comparisons(report: EngineReport, outcome: Outcome) -> list[str]:
    """Aligned ncnn, image to boxes, against each of the others in one sentence."""
    whole = outcome.parts[-1]
    if ALIGNED not in whole.samples or len(whole.samples) < 2:
        return []
    ratios = [
        f"{speed_ratio(samples, whole.samples[ALIGNED], report.plan.seed)} as fast as {name}"
        for name, samples in whole.samples.items()
        if name != ALIGNED
    ]
    return [f"{ALIGNED}, {whole.name}: {', '.join(ratios)}"]
