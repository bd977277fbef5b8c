"""Decide whether a measurement represents the speed of a device. The rules are part of the schema version.

A rule is a function that returns reasons. No rule repairs a measurement: what is INVALID is measured again.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

import numpy as np

from pocketdet.benchmarks.interleaved import summarise
from pocketdet.benchmarks.plan import LEAST_FRAMES, LEAST_SECONDS
from pocketdet.benchmarks.record import (
    RULES,
    Cause,
    CpuTime,
    Device,
    Measurement,
    Reason,
    Rules,
    Run,
    Statistics,
    Verdict,
)

DRIFT: Final = 0.05  # change of the median between the first and the last quarter of the frames
CLOCK_DROP: Final = 0.05  # drop of the clock between the first and the last quarter of its readings
LEAST_CLOCK: Final = 0.9  # of the maximum clock of the core
LEAST_SHARE: Final = 0.95  # of the time that the measuring process has its core
MOST_OTHERS: Final = 0.5  # cores that other processes may keep busy
TICKS: Final = 3  # by which the accounting of the system may be wrong
MOST_STEAL: Final = 0.02  # of the time that a hypervisor may take the core
_MINUTE: Final = 60.0
TRANSIENT: Final = frozenset[Cause]({"moved", "throttled", "drift", "background"})


def derive_verdict(measurement: Measurement, rules: Rules = RULES) -> Verdict:
    """Apply every rule. On an emulator only the golden test counts: its times mean nothing.

    Args:
        measurement: The measurement.
        rules: Schema version whose rules apply. Version 1 accepted any number of RoIs.

    Returns:
        VALID, or every reason why not.
    """
    m, reasons = measurement, []
    if not m.golden.ok:
        first = next(check for check in m.golden.checks if not check.ok)
        differs = "is not a number" if first.max_abs is None else f"is off by {first.max_abs:.2g}"
        sentence = f"golden failed: {first.name} {differs} (tolerance {first.tolerance:.2g})"
        reasons.append(_reason("golden", sentence))
    if m.emulated:
        reasons.append(_reason("emulated", "emulated: its time says nothing about a device"))
    elif m.run is not None:
        reasons += find_reasons(m.run, m.protocol.cpu, m.device)
        if not m.protocol.quick and m.run.frames < LEAST_FRAMES and m.run.measured_s < LEAST_SECONDS:
            sentence = f"too short: {m.run.frames} frames in {m.run.measured_s:.1f} s"
            reasons.append(_reason("short", f"{sentence}, expected {LEAST_FRAMES} or {LEAST_SECONDS:.0f} s"))
        if rules > 1:
            reasons += _rois(m.run, m.bundle.rois)
    return Verdict(reasons=tuple(reasons), quick=m.protocol.quick, rules=rules)


def find_reasons(run: Run, cpu: int, device: Device) -> list[Reason]:
    """Apply the rules about one run.

    Args:
        run: The run.
        cpu: The core that the process should have had for itself.
        device: The device, which knows the maximum clock of the core.

    Returns:
        Why the run is not valid; empty if it is.
    """
    return [*_placement(run, cpu), *_clocks(run, cpu, device), *_drift(run), *_background(run, cpu)]


def is_worth_repeating(run: Run, cpu: int, device: Device, kept: int) -> bool:
    """Whether a run is INVALID for reasons that may be gone when it is repeated."""
    causes = {reason.cause for reason in (*find_reasons(run, cpu, device), *_rois(run, kept))}
    return bool(causes) and causes <= TRANSIENT


def statistics(run: Run, verdict: Verdict) -> Statistics:
    """Compute statistics over whole frames.

    Args:
        run: The run.
        verdict: Its verdict; frames per second are computed for a VALID one only.

    Returns:
        Milliseconds and frames per second.
    """
    summary = summarise(totals(run))
    fps = (1000 / summary.median, 1000 / summary.p90) if verdict.valid else (None, None)
    return Statistics(**asdict(summary), fps=fps[0], fps_p90=fps[1])


def median_rois(run: Run) -> int:
    """Return the median over frames of the number of proposals that the head classified."""
    return int(np.median(run.proposals))


def first_and_last_minute(run: Run) -> tuple[float, float]:
    """Compute the median milliseconds of the frames in the first and in the last minute of a run."""
    started, values = np.asarray(run.started_s), totals(run)
    first, last = started < _MINUTE, started >= started[-1] - _MINUTE
    return float(np.median(values[first])), float(np.median(values[last]))


def totals(run: Run) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Milliseconds of each frame from the image to the boxes, (frames,)."""
    return np.asarray(np.asarray(run.milliseconds, np.float64).sum(axis=1))


def _placement(run: Run, cpu: int) -> list[Reason]:
    for allowed in (run.affinity, run.affinity_after):
        if allowed != (cpu,):
            where = f"the process was allowed on {_cores(allowed)}"
            return [_reason("affinity", f"wrong affinity: core {cpu} was asked for, {where}")]
    seen = sorted({*run.cpu_before, *run.cpu_after})
    if len(seen) > 1:
        return [_reason("moved", f"moved between cores: ran on {_cores(seen)}, {cpu} was asked for")]
    if seen != [cpu]:
        return [_reason("affinity", f"wrong affinity: ran on {_cores(seen)}, {cpu} was asked for")]
    return []


def _clocks(run: Run, cpu: int, device: Device) -> list[Reason]:
    reasons = []
    limits = [
        next((c.limit_khz for c in moment.clocks if c.cpu == cpu), None) for moment in (run.before, run.after)
    ]
    if limits[0] and limits[1] and limits[1] < limits[0]:
        sentence = f"throttled: the limit of core {cpu} fell from {_ghz(limits[0])} to {_ghz(limits[1])}"
        reasons.append(_reason("throttled", sentence))
    readings = [c.khz for c in run.clocks if c.cpu == cpu and c.khz]
    if not readings:
        return reasons
    first, last = _quarters(readings)
    if last < (1 - CLOCK_DROP) * first:
        sentence = f"throttled: core {cpu} slowed from {_ghz(first)} to {_ghz(last)} during the run"
        reasons.append(_reason("throttled", sentence))
    most = next((core.most_khz for core in device.cores if core.cpu == cpu), None)
    median = float(np.median(readings))
    if most and median < LEAST_CLOCK * most:
        sentence = f"throttled: core {cpu} ran at {_ghz(median)}, it can do {_ghz(most)}"
        reasons.append(_reason("throttled", sentence))
    return reasons


def _rois(run: Run, kept: int) -> list[Reason]:
    found = median_rois(run)
    if found >= kept:
        return []
    sentence = (
        f"few RoIs: the median frame has {found} proposals, the bundle keeps {kept}, and fewer take less time"
    )
    return [_reason("rois", sentence)]


def _drift(run: Run) -> list[Reason]:
    values = totals(run)
    if len(values) < 8:
        return []
    first, last = _quarters(values)
    change = last / first - 1
    if abs(change) <= DRIFT:
        return []
    way = "slower" if change > 0 else "faster"
    sentence = (
        f"drift: the last quarter was {abs(change):.0%} {way} than the first ({first:.2f} to {last:.2f} ms)"
    )
    return [_reason("drift", sentence)]


def _background(run: Run, cpu: int) -> list[Reason]:
    """Detect other processes: on the core by the share of the time, elsewhere by the ticks of all cores."""
    reasons = []
    used = _used_s(run)
    share = used / run.measured_s if run.measured_s else 1.0
    if share < LEAST_SHARE:
        sentence = f"background load: the process had its core for {share:.0%} of the time"
        reasons.append(_reason("background", sentence))
    before = {times.cpu: times for times in run.before.cpu_times}
    spans = {t.cpu: (before[t.cpu], t) for t in run.after.cpu_times if t.cpu in before}
    elapsed = max((_ticks(*span) for span in spans.values()), default=0)
    if not elapsed:
        return reasons
    steal = sum(max(0, span[1].steal - span[0].steal) for c, span in spans.items() if c == cpu)
    if steal - TICKS > MOST_STEAL * elapsed:
        sentence = f"background load: the hypervisor took core {cpu} for {steal / elapsed:.0%} of the time"
        reasons.append(_reason("background", sentence))
    elsewhere = sum(_busy(*span) - TICKS for c, span in spans.items() if c != cpu) / elapsed
    if elsewhere > MOST_OTHERS:
        reasons.append(_reason("background", f"background load: others kept {elsewhere:.1f} cores busy"))
    return reasons


def _used_s(run: Run) -> float:
    """Processor time of the measuring process, in seconds."""
    before, after = run.before.usage, run.after.usage
    return after.user_s + after.system_s - before.user_s - before.system_s


def _ticks(before: CpuTime, after: CpuTime) -> int:
    return sum(_values(after)) - sum(_values(before))


def _busy(before: CpuTime, after: CpuTime) -> int:
    idle = after.idle + after.iowait - before.idle - before.iowait
    return max(0, _ticks(before, after) - idle)


def _values(t: CpuTime) -> tuple[int, ...]:
    return (t.user, t.nice, t.system, t.idle, t.iowait, t.irq, t.softirq, t.steal)


def _quarters(
    values: "Sequence[float] | np.ndarray[tuple[int, ...], np.dtype[np.float64]]",
) -> tuple[float, float]:
    """Medians of the first and of the last quarter."""
    quarter = max(1, len(values) // 4)
    return float(np.median(values[:quarter])), float(np.median(values[-quarter:]))


def _reason(cause: Cause, sentence: str) -> Reason:
    return Reason(cause=cause, sentence=sentence)


def _cores(cores: Sequence[int]) -> str:
    listed = ", ".join(map(str, cores))
    return f"core {listed}" if len(cores) == 1 else f"cores {listed or 'unknown'}"


def _ghz(khz: float) -> str:
    return f"{khz / 1e6:.2f} GHz"
