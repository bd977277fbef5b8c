"""Every rule of the verdict on synthetic records: what is invalid, and what is valid."""

from typing import Any

import pytest
from bench_records import CPU, measurement, run, snapshot

from pocketdet.benchmarks.verdict import (
    derive_verdict,
    first_and_last_minute,
    is_worth_repeating,
    statistics,
    totals,
)


def causes(**changes: Any) -> list[str]:
    return [reason.cause for reason in derive_verdict(measurement(**changes)).reasons]


def readings(*khz: int) -> tuple[dict[str, Any], ...]:
    return tuple({"at_s": float(i), "cpu": CPU, "khz": value} for i, value in enumerate(khz))


def test_a_quiet_device_is_valid() -> None:
    verdict = derive_verdict(measurement())
    assert verdict.valid
    assert str(verdict) == "VALID"


def test_statistics_are_over_whole_frames() -> None:
    m = measurement()
    assert m.run is not None
    found = statistics(m.run, derive_verdict(m))
    assert found.median == pytest.approx(40.0)
    assert found.p90 == pytest.approx(40.0)
    assert found.p99 == pytest.approx(48.0)
    assert found.mean == pytest.approx(totals(m.run).mean())
    assert found.trimmed_mean == pytest.approx(40.0)
    assert found.fps == pytest.approx(25.0)
    assert found.fps_p90 == pytest.approx(25.0)


def test_no_fps_without_a_valid_verdict() -> None:
    m = measurement(target={"kind": "emulated", "address": "max"})
    assert m.run is not None
    found = statistics(m.run, derive_verdict(m))
    assert found.fps is None
    assert found.fps_p90 is None
    assert found.median == pytest.approx(40.0)


def test_quick_is_marked() -> None:
    m = measurement(protocol={"quick": True}, run=run(50))
    assert str(derive_verdict(m)) == "VALID (quick)"


@pytest.mark.parametrize(
    ("frames", "ms", "expected"),
    [(1023, 40.0, ["short"]), (1024, 1.0, []), (200, 290.0, ["short"]), (200, 300.0, [])],
)
def test_the_minimum_length(frames: int, ms: float, expected: list[str]) -> None:
    assert causes(run=run(frames, ms)) == expected


def test_golden() -> None:
    check = {"name": "head", "max_abs": None, "tolerance": 1e-3, "ok": False, "note": ""}
    verdict = derive_verdict(measurement(golden={"checks": (check,)}, run=None))
    assert str(verdict) == "INVALID: golden failed: head is not a number (tolerance 0.001)"


def test_emulation_proves_results_and_has_no_time() -> None:
    emulated = {"target": {"kind": "emulated", "address": "cortex-a76"}, "protocol": {"quick": True}}
    assert causes(**emulated) == ["emulated"]
    assert causes(device={"emulated": True}) == ["emulated"]
    verdict = derive_verdict(measurement(**emulated))
    assert (str(verdict), verdict.proved, verdict.valid) == ("results proved, no time", True, False)
    check = {"name": "head", "max_abs": 0.5, "tolerance": 1e-3, "ok": False, "note": ""}
    failed = derive_verdict(measurement(**emulated, golden={"checks": (check,)}, run=None))
    assert failed.label == "INVALID"
    assert not failed.proved


def test_fewer_rois_than_the_bundle_keeps() -> None:
    few = measurement(run=run(proposals=(*(200,) * 500, *(58,) * 524)))
    assert str(derive_verdict(few)) == (
        "INVALID: few RoIs: the median frame has 58 proposals, the bundle keeps 200, and fewer take less time"
    )
    assert derive_verdict(few, rules=1).valid
    assert causes(run=run(proposals=(*(200,) * 524, *(58,) * 500))) == []
    assert causes(run=run(proposals=(0,) * 1024), bundle={"rois": 0}) == []


def test_what_is_worth_repeating() -> None:
    def worth(**changes: Any) -> bool:
        m = measurement(run=run(**changes))
        assert m.run is not None
        return is_worth_repeating(m.run, CPU, m.device, m.bundle.rois)

    moved = (*(CPU,) * 1023, 6)
    assert not worth()
    assert worth(cpu_after=moved)
    assert not worth(affinity=(0, 1))
    assert not worth(cpu_after=moved, proposals=(58,) * 1024)


def test_a_sustained_run_has_a_first_and_a_last_minute() -> None:
    base = run(3000, 40.0)
    rows = base["milliseconds"]
    late = tuple(tuple(2 * ms for ms in row) for row in rows[2000:])
    m = measurement(sustained={**base, "milliseconds": rows[:2000] + late})
    assert m.sustained is not None
    assert first_and_last_minute(m.sustained) == pytest.approx((40.0, 80.0))


def test_an_ignored_affinity() -> None:
    every = tuple(range(8))
    assert causes(run=run(affinity=every, affinity_after=every)) == ["affinity"]
    assert causes(run=run(affinity_after=every)) == ["affinity"]
    other = run(cpu_before=(3,) * 1024, cpu_after=(3,) * 1024)
    assert causes(run=other) == ["affinity"]


def test_moving_between_cores() -> None:
    moved = (*(CPU,) * 1023, 6)
    verdict = derive_verdict(measurement(run=run(cpu_after=moved)))
    assert str(verdict) == "INVALID: moved between cores: ran on cores 6, 7, 7 was asked for"


def test_a_falling_clock() -> None:
    slowed = readings(2_803_200, 2_803_200, 2_803_200, 2_600_000, 2_600_000, 2_600_000)
    assert causes(run=run(clocks=slowed)) == ["throttled"]
    low = derive_verdict(measurement(run=run(clocks=readings(*[2_400_000] * 8))))
    assert str(low) == "INVALID: throttled: core 7 ran at 2.40 GHz, it can do 2.80 GHz"
    assert causes(run=run(clocks=readings(*[2_700_000] * 8))) == []


def test_a_falling_clock_limit() -> None:
    after = snapshot(52.0, 42.78)
    clock = {"cpu": CPU, "khz": 2_000_000, "limit_khz": 2_000_000}
    assert causes(run=run(after={**after, "clocks": (clock,)})) == ["throttled"]


def test_missing_clocks() -> None:
    untold = tuple({"at_s": float(i), "cpu": CPU, "khz": None} for i in range(40))
    assert causes(run=run(clocks=untold)) == []


@pytest.mark.parametrize(("slower", "expected"), [(1.04, []), (1.06, ["drift"]), (0.94, ["drift"])])
def test_drift_of_the_median(slower: float, expected: list[str]) -> None:
    base = run()
    rows = base["milliseconds"]
    late = tuple(tuple(slower * ms for ms in row) for row in rows[768:])
    assert causes(run={**base, "milliseconds": rows[:768] + late}) == expected


def test_other_processes_on_the_core() -> None:
    base = run()
    seconds = base["measured_s"]
    for share, expected in ((0.97, []), (0.93, ["background"])):
        after = snapshot(10 + seconds, 1.0 + share * seconds)
        assert causes(run={**base, "after": after}) == expected


def test_other_processes_on_other_cores() -> None:
    base = run()
    seconds = base["measured_s"]
    for cores, expected in ((0.4, []), (0.6, ["background"])):
        after = snapshot(10 + seconds, 1.0 + seconds, busy_elsewhere=round(100 * cores * seconds))
        assert causes(run={**base, "after": after}) == expected


def test_a_hypervisor_that_takes_the_core() -> None:
    base = run()
    seconds = base["measured_s"]
    after = snapshot(10 + seconds, 1.0 + 0.96 * seconds)
    mine = {**after["cpu_times"][1], "steal": round(4 * seconds)}
    after = {**after, "cpu_times": (after["cpu_times"][0], mine)}
    verdict = derive_verdict(measurement(run={**base, "after": after}))
    assert str(verdict) == "INVALID: background load: the hypervisor took core 7 for 4% of the time"


def test_all_reasons_are_reported() -> None:
    base = run(64, affinity=(0, 1), affinity_after=(0, 1), clocks=readings(2_000_000, 2_000_000))
    assert causes(run=base) == ["affinity", "throttled", "short"]
