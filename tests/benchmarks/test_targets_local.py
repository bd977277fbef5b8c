"""This machine: the runner in Python, and detection of a busy core and a wrong affinity."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from native_runner import Runner
from needs import NATIVE
from stand_in import MODULE, write_stand_in

from pocketdet.benchmarks import protocol
from pocketdet.benchmarks.images import StagedImage, stage_images
from pocketdet.benchmarks.machine import describe_machine, read_sensors
from pocketdet.benchmarks.plan import BenchPlan
from pocketdet.benchmarks.protocol import Bench, StagedBundle, choose_cpu, cool_down, read_device
from pocketdet.benchmarks.record import Record
from pocketdet.benchmarks.record_io import parse_record, to_json
from pocketdet.benchmarks.targets import PYTHON_RUNNER, documents, open_session, open_target, parse_targets
from pocketdet.errors import EngineError, UsageError
from pocketdet.runtime.bundle import load_bundle
from pocketdet.runtime.native_build import X86_64
from pocketdet.runtime.pipeline import TWO_STAGE_STAGES as STAGES

Measure = Callable[..., Record]
BUILT = X86_64.runner


class StepRecorder:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    def step(self, label: str, seconds: float) -> None:
        self.steps.append(label)

    def tick(self) -> None:
        return


@pytest.fixture(autouse=True)
def _python_runner(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """These tests are about the runner in Python, whether or not the other is built."""
    empty = tmp_path_factory.mktemp("no-build")
    monkeypatch.setattr("pocketdet.runtime.native_build.ROOT", empty)
    monkeypatch.delenv("POCKETDET_RUN", raising=False)
    monkeypatch.delenv("POCKETDET_RUN_AARCH64", raising=False)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> tuple[StagedImage, ...]:
    return stage_images((), tmp_path_factory.mktemp("images"))


@pytest.fixture
def measure(images: tuple[StagedImage, ...]) -> Measure:
    def measure(
        bundle: Path, plan: BenchPlan, runner: Path | None = None, steps: StepRecorder | None = None
    ) -> Record:
        session = open_session(open_target("local"), runner)
        device = read_device(session, plan.device_name)
        with load_bundle(bundle) as loaded:
            bench = Bench(session, device, plan, steps or StepRecorder())
            return bench.measure(StagedBundle(loaded, str(bundle), images))

    return measure


def causes(record: Record) -> set[str]:
    return {reason.cause for reason in record.verdict.reasons}


def test_everything_is_measured_in_order(measure: Measure, small_bundle: Path) -> None:
    steps = StepRecorder()
    plan = BenchPlan(quick=True, frames=4, seconds=5.0, warm_up=1, rois=(1, 20), sustained_min=0.005)
    record = measure(small_bundle, plan, steps=steps)
    assert steps.steps == ["golden", "timing", "1 RoIs", "20 RoIs", "sustained"]
    assert record.golden.ok
    assert record.run is not None
    assert record.run.frames == 4
    assert record.run.stages == STAGES
    assert record.run.measured_s >= sum(map(sum, record.run.milliseconds)) / 1000
    assert [(p.rois, set(p.run.proposals)) for p in record.roi_sweep] == [(1, {1}), (20, {20})]
    assert record.sustained is not None
    assert record.sustained.measured_s >= 0.3
    assert record.engine.language == "Python"
    assert record.verdict.quick
    assert not causes(record) & {"affinity", "moved", "golden", "emulated"}
    assert [(p.name, p.width, p.height) for p in record.protocol.pictures] == [
        (f"standard1-{i}.png", 640, 480) for i in range(4)
    ]
    assert parse_record(to_json(record).encode(), "r") == record


def test_a_one_stage_detector_has_its_own_stages(measure: Measure, tiny_one_stage_template: Path) -> None:
    plan = BenchPlan(quick=True, frames=4, seconds=5.0, warm_up=1, sustained_min=0.005)
    record = measure(tiny_one_stage_template, plan)
    assert record.golden.ok
    assert [check.name for check in record.golden.checks][3:] == [
        *(f"model.{output}: {field}, level {level}"
          for output, level in (("maps", 1), ("rows", 2)) for field in ("classes", "objectness", "boxes")),
        "boxes", "image to boxes",
    ]  # fmt: skip
    assert record.run is not None
    assert record.run.stages == ("preprocess", "model", "boxes")
    assert set(record.run.proposals) == {0}
    assert len(record.run.detections) == 4
    # stem and its three readers see 8x8 cells, maps 4x4, down 2x2
    assert record.bundle.macs == 64 * (216 + 144 + 576) + 16 * 112 + 4 * 504
    assert record.bundle.rois == 0
    assert parse_record(to_json(record).encode(), "r") == record


def test_a_sweep_over_rois_of_a_one_stage_detector_is_refused(
    measure: Measure, tiny_one_stage_template: Path
) -> None:
    steps = StepRecorder()
    with pytest.raises(UsageError, match=r"--rois 10,50: .*pocketdet is a one-stage detector, which has no"):
        measure(
            tiny_one_stage_template, BenchPlan(quick=True, frames=4, seconds=5.0, rois=(10, 50)), steps=steps
        )
    assert steps.steps == []


@pytest.fixture
def busy_core() -> Iterator[int]:
    """A core that another program keeps busy."""
    core = max(os.sched_getaffinity(0))
    program = f"import os\nos.sched_setaffinity(0, {{{core}}})\nprint(flush=True)\nwhile True: pass"
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    yield core
    child.kill()
    child.communicate()


def test_a_busy_core_is_invalid(measure: Measure, small_bundle: Path, busy_core: int) -> None:
    plan = BenchPlan(quick=True, frames=100_000, seconds=1.5, warm_up=1, cpu=busy_core)
    record = measure(small_bundle, plan)
    assert "background" in causes(record)
    assert str(record.verdict).startswith("INVALID (quick): ")
    assert record.summary is not None
    assert record.summary.fps is None


def test_an_ignored_affinity_is_invalid(measure: Measure, small_bundle: Path, tmp_path: Path) -> None:
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        pytest.skip("this machine has one core: no affinity can be wrong")
    last = cores[-1]
    # as if the system said yes and did nothing
    ignore = (
        'for w do shift; case "$w" in --cpu) skip=1;; *) [ "$skip" ] || set -- "$@" "$w"; skip=;; esac; done'
    )
    runner = write_stand_in(tmp_path, ignore)
    record = measure(small_bundle, BenchPlan(quick=True, frames=5, warm_up=0, cpu=last), runner)
    (reason,) = (r for r in record.verdict.reasons if r.cause == "affinity")
    listed = ", ".join(map(str, cores))
    assert reason.sentence == (
        f"wrong affinity: core {last} was asked for, the process was allowed on cores {listed}"
    )
    assert record.summary is not None
    assert record.summary.fps is None


def test_a_bundle_that_fails_golden_is_not_timed(
    measure: Measure, small_bundle: Path, tmp_path: Path
) -> None:
    steps = StepRecorder()
    spoil = f"""[ "$1" = verify ] || exec {sys.executable} -m {MODULE} "$@"
{sys.executable} -m {MODULE} "$@" | sed 's/"ok": true/"ok": false/g'
exit 1"""
    plan = BenchPlan(quick=True, frames=5, rois=(10,), sustained_min=1)
    record = measure(small_bundle, plan, write_stand_in(tmp_path, spoil), steps)
    assert steps.steps == ["golden"]
    assert (record.run, record.summary, record.sustained, record.roi_sweep) == (None, None, None, ())
    assert causes(record) == {"golden"}


def test_a_bundle_changed_during_the_copy_is_refused(
    measure: Measure, small_bundle: Path, tmp_path: Path
) -> None:
    other = 's/"digest": "[0-9a-f]*"/"digest": "00"/'
    spoil = f"""[ "$1" = bench ] || exec {sys.executable} -m {MODULE} "$@"
{sys.executable} -m {MODULE} "$@" | sed '{other}'
exit 0"""
    with pytest.raises(EngineError, match="the runner changed its bundle"):
        measure(small_bundle, BenchPlan(quick=True, frames=2), write_stand_in(tmp_path, spoil))


def test_other_images_are_refused(measure: Measure, small_bundle: Path, tmp_path: Path) -> None:
    spoil = f"""[ "$1" = bench ] || exec {sys.executable} -m {MODULE} "$@"
{sys.executable} -m {MODULE} "$@" | sed 's/"sha256": "[0-9a-f]/"sha256": "x/; s/"sha256": "x/"sha256": "0/'
exit 0"""
    sentence = "local:localhost: the runner measured on other images than it was given"
    with pytest.raises(EngineError, match=sentence):
        measure(small_bundle, BenchPlan(quick=True, frames=2, warm_up=0), write_stand_in(tmp_path, spoil))


def test_an_invalid_run_is_repeated(
    measure: Measure, small_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([True, True, False])
    monkeypatch.setattr(protocol, "is_worth_repeating", lambda *_: next(answers))
    steps = StepRecorder()
    plan = BenchPlan(quick=True, frames=2, warm_up=0, cool_down_s=0.0, retries=5)
    record = measure(small_bundle, plan, steps=steps)
    assert steps.steps == ["golden", "timing", "INVALID, retry 1 of 5", "INVALID, retry 2 of 5"]
    assert record.protocol.attempt == 3
    monkeypatch.setattr(protocol, "is_worth_repeating", lambda *_: True)
    assert measure(small_bundle, replace(plan, retries=1)).protocol.attempt == 2


def test_a_missing_core_is_refused(measure: Measure, small_bundle: Path) -> None:
    with pytest.raises(UsageError, match=r"--cpu 4000: .* has the cores 0"):
        measure(small_bundle, BenchPlan(quick=True, frames=2, cpu=4000))


def test_the_fastest_core_is_chosen() -> None:
    session = open_session(open_target("local"))
    device = read_device(session)
    assert choose_cpu(device, None) == max(core.cpu for core in device.cores)
    cores = [c.model_copy(update={"most_khz": 2000 - c.cpu}) for c in device.cores]
    assert choose_cpu(device.model_copy(update={"cores": tuple(cores)}), None) == cores[0].cpu


def test_emulation_is_short_and_quick() -> None:
    plan = BenchPlan(sustained_min=30.0)
    assert plan.for_target("adb") is plan
    short = plan.for_target("emulated")
    assert (short.quick, short.frames, short.sustained_min) == (True, 3, 0.0)


def test_the_pause_is_kept() -> None:
    steps, slept = StepRecorder(), []
    cool_down(1.2, steps, slept.append)
    assert sum(slept) == pytest.approx(1.2)
    assert steps.steps == ["cooling down"]


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("usb", "--target usb: expected local, ssh:HOST, adb"),
        ("ssh", "--target ssh: expected"),
        ("emulated:", "--target emulated:: expected"),
        ("local:1", "--target local:1: expected"),
    ],
)
def test_invalid_targets_are_refused(word: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_targets([word])
    assert words in str(caught.value)


def test_duplicate_targets_are_removed() -> None:
    words = ["local", "emulated:max", "local", "ssh:me@host", "emulated"]
    assert parse_targets(words) == ["local", "emulated:max", "ssh:me@host", "emulated"]


@pytest.mark.parametrize(
    "options",
    [{"frames": 0}, {"seconds": 0}, {"warm_up": -1}, {"rois": (0,)}, {"rois": (5, 5)}, {"sustained_min": -1}],
)
def test_invalid_plans_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="expected"):
        BenchPlan(**options)


def test_sensors_of_a_phone(tmp_path: Path) -> None:
    files = {
        "proc/cpuinfo": "processor : 0\nHardware : Qualcomm SDM845\n",
        "proc/loadavg": "1.50 1.00 0.50 2/300 4000",
        "proc/stat": "cpu 1 2 3 4 5 6 7 8 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\ncpu7 9 0 0 1 0 0 0 0 0 0\nintr 5\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "300000\n",
        "sys/devices/system/cpu/cpu7/cpufreq/scaling_cur_freq": "2803200\n",
        "sys/devices/system/cpu/cpu7/cpufreq/cpuinfo_max_freq": "2803200\n",
        "sys/devices/system/cpu/cpu7/cpufreq/scaling_governor": "schedutil\n",
        "sys/class/thermal/thermal_zone3/temp": "-1500\n",
        "sys/class/thermal/thermal_zone3/type": "battery\n",
        "sys/class/power_supply/battery/capacity": "77\n",
        "sys/class/power_supply/battery/temp": "305\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    machine = describe_machine(tmp_path)
    assert machine["Hardware"] == ["Qualcomm SDM845"]
    assert machine["cpus"] == [{"cpu": 0}, {"cpu": 7, "most_khz": 2803200}]
    usage = ("user_s", "system_s", "page_faults", "switched_out_itself", "switched_out_by_others")
    document = {"sensors": read_sensors(tmp_path), "usage": dict.fromkeys((*usage, "most_memory_kib"), 0)}
    found = documents._snapshot(document, None)
    assert [(c.cpu, c.khz, c.governor) for c in found.clocks] == [
        (0, 300000, None),
        (7, 2803200, "schedutil"),
    ]
    assert (found.thermal[0].type, found.thermal[0].celsius) == ("battery", -1.5)
    assert (found.power[0].capacity, found.power[0].celsius, found.load) == (77, 30.5, 1.5)
    assert [(t.cpu, t.user, t.idle, t.steal) for t in found.cpu_times] == [(0, 1, 4, 8), (7, 9, 1, 0)]


def keys(value: Any) -> Any:
    if isinstance(value, list):
        return [found for found in map(keys, value) if found]
    return {k: keys(v) for k, v in value.items() if k in BOTH} if isinstance(value, dict) else None


BOTH = {
    "schema_version", "program", "command", "bundle", "digest", "engine", "ncnn", "cpu_features", "threads",
    "precision_asked", "precision", "machine", "images", "image", "width", "height", "sha256",
    "affinity", "affinity_after", "before", "after",
    "sensors", "usage", "user_s", "system_s", "measured_s", "load_ms", "first_frame_ms", "stages",
    "samples", "milliseconds", "started_s",
    "cpu_before", "cpu_after", "rois", "detections", "clocks",
}  # fmt: skip


def test_both_runners_write_the_same_documents(small_bundle: Path) -> None:
    """What the Python runner writes is what pocketdet-run writes, as far as records are made of it."""
    if not BUILT.is_file():
        pytest.skip(NATIVE)
    native, python = Runner((str(BUILT),)), Runner(PYTHON_RUNNER)
    words = ("bench", small_bundle, "--frames", "2", "--warmup", "0")
    ours, theirs = python.json(*words), native.json(*words)
    assert keys(ours) == keys(theirs)
    assert ours["stages"] == theirs["stages"]
    assert ours["samples"]["rois"] == theirs["samples"]["rois"]
    assert ours["samples"]["detections"] == theirs["samples"]["detections"]


def test_a_document_of_another_version_gives_one_sentence() -> None:
    sentence = "here: document 'bench' of the runner cannot be read: KeyError"
    with pytest.raises(EngineError, match=sentence), documents.parse_errors("document 'bench'", "here"):
        documents.run_from({})
