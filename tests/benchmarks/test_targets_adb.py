"""An Android device behind the real adb client: success, and every failure on the way."""

import itertools
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from adb_device import AdbDevice, connecting
from needs import NATIVE_ARM, QEMU
from stand_in import write_stand_in

from pocketdet.benchmarks.devices import BenchRequest, BenchResults, run_devices
from pocketdet.benchmarks.plan import BenchPlan
from pocketdet.benchmarks.record_io import read_record
from pocketdet.benchmarks.targets import open_session, open_target, parse_targets
from pocketdet.errors import EngineError, UsageError
from pocketdet.runtime.bundle import load_bundle

ROOT = Path(__file__).resolve().parents[2]
QUICK = BenchPlan(quick=True, frames=3, seconds=5.0, warm_up=1, cool_down_s=0.0)
MakeDevice = Callable[..., AdbDevice]


class NoProgress:
    def step(self, label: str, seconds: float) -> None:
        return

    def tick(self) -> None:
        return


@pytest.fixture
def make_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeDevice]:
    """Devices that an adb server of this test alone is connected to."""
    with connecting(tmp_path, monkeypatch) as connect:
        count = itertools.count()

        def make(disk_bytes: int | None = None, vanish_at: str | None = None) -> AdbDevice:
            device = AdbDevice(tmp_path / f"device{next(count)}", disk_bytes, vanish_at)
            connect(device)
            return device

        yield make


@pytest.fixture
def runner(tmp_path: Path) -> Path:
    return write_stand_in(tmp_path / "bin")


def measure(words: list[str], bundle: Path, runner: Path | None, folder: Path) -> BenchResults:
    out, scratch = folder / "records", folder / "scratch"
    out.mkdir()
    scratch.mkdir()
    with load_bundle(bundle) as loaded:
        return run_devices(
            words, BenchRequest((loaded,), QUICK, out, runner), scratch, lambda word: NoProgress()
        )


def test_a_phone_writes_a_record(
    make_device: MakeDevice, small_bundle: Path, runner: Path, tmp_path: Path
) -> None:
    device = make_device()
    words = parse_targets(["adb"])
    assert words == [f"adb:{device.serial}"]
    results = measure(words, small_bundle, runner, tmp_path)
    assert results.problems == ()
    ((path, record),) = results.records
    assert read_record(path) == record
    assert record.golden.ok
    assert (record.target.kind, record.target.address) == ("adb", device.serial)
    assert (record.device.name, record.device.soc) == ("Acme Phone 1", "Snapdragon 845")
    assert (record.device.system, record.device.release) == ("Android", "11")
    assert record.run is not None
    assert record.run.frames == 3
    assert device.files() == []  # nothing is left there
    assert sum(" verify " in c for c in device.commands) == 1
    first = next(i for i, c in enumerate(device.commands) if " bench " in c)
    assert any(" verify " in c for c in device.commands[:first])  # golden comes before any timing


@pytest.mark.slow
def test_the_arm_runner_on_an_emulated_phone(
    make_device: MakeDevice, small_bundle: Path, tmp_path: Path
) -> None:
    built = Path(
        os.environ.get("POCKETDET_RUN_AARCH64") or ROOT / "build" / "native-aarch64" / "pocketdet-run"
    )
    if not built.is_file():
        pytest.skip(NATIVE_ARM)
    if shutil.which("qemu-aarch64-static") is None:
        pytest.skip(QEMU)
    device = make_device()
    results = measure([f"adb:{device.serial}"], small_bundle, built, tmp_path)
    assert results.problems == ()
    ((_, record),) = results.records
    assert record.golden.ok
    assert record.engine.language == "C++"
    assert record.device.architecture == "aarch64"
    assert record.device.emulated
    assert [reason.cause for reason in record.verdict.reasons] == ["emulated"]
    assert record.summary is not None
    assert record.summary.fps is None


def test_two_devices_need_a_serial(make_device: MakeDevice) -> None:
    one, two = make_device(), make_device()
    with pytest.raises(UsageError, match="2 devices are there; choose") as caught:
        parse_targets(["adb"])
    assert f"adb:{one.serial}" in str(caught.value)
    assert f"adb:{two.serial}" in str(caught.value)
    assert sorted(parse_targets(["adb:all"])) == sorted([f"adb:{one.serial}", f"adb:{two.serial}"])
    assert parse_targets([f"adb:{two.serial}"]) == [f"adb:{two.serial}"]
    with pytest.raises(UsageError, match="--target adb:absent: no such device; there is adb:"):
        parse_targets(["adb:absent"])


def test_no_device(make_device: MakeDevice) -> None:
    with pytest.raises(UsageError, match="adb sees no device: plug one in"):
        parse_targets(["adb"])


def test_no_adb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match="--target adb needs adb"):
        parse_targets(["adb:all"])


@pytest.mark.parametrize(
    ("state", "advice"),
    [
        ("unauthorized", r"\(unauthorized\): confirm 'Allow USB debugging' on its screen"),
        ("offline", r"\(offline\): plug it in again"),
        ("no permissions (user in plugdev group)", r"\(no permissions .*\): the user may not open"),
        ("recovery", r"\(recovery\): wait for it"),
    ],
)
def test_a_device_that_is_not_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, advice: str
) -> None:
    program = tmp_path / "adb"
    program.write_text(
        f"#!/bin/sh\nprintf 'List of devices attached\\nGOOD\\tdevice\\nBAD\\t{state}\\n\\n'\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert parse_targets(["adb"]) == parse_targets(["adb:GOOD"]) == ["adb:GOOD"]
    for word in ("adb:BAD", "adb:all"):
        with pytest.raises(UsageError, match=f"adb:BAD is not ready {advice}"):
            parse_targets([word])


def test_a_device_that_disappears_does_not_stop_the_other(
    make_device: MakeDevice, small_bundle: Path, runner: Path, tmp_path: Path
) -> None:
    steady, lost = make_device(), make_device(vanish_at="bench")
    results = measure(parse_targets(["adb:all"]), small_bundle, runner, tmp_path)
    ((path, record),) = results.records
    assert record.target.address == steady.serial
    assert read_record(path) == record
    (problem,) = results.problems
    assert problem.startswith(f"adb:{lost.serial}: the connection was lost")
    assert [p.name for p in (tmp_path / "records").iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("disk_bytes", "name"), [(10, "pocketdet-run"), (500_000, r"bundle-[0-9a-f]{12}\.pocketdet")]
)
def test_a_full_disk(
    make_device: MakeDevice, small_bundle: Path, runner: Path, tmp_path: Path, disk_bytes: int, name: str
) -> None:
    device = make_device(disk_bytes=disk_bytes)
    results = measure([f"adb:{device.serial}"], small_bundle, runner, tmp_path)
    assert results.records == ()
    (problem,) = results.problems
    wanted = f"adb:{device.serial}: {name} cannot be copied there: adb: error: failed to copy"
    assert re.match(wanted, problem), problem
    assert problem.endswith("No space left on device")
    assert device.files() == []


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("echo 'the bundle is damaged' >&2; exit 2", "the runner's machine refuses: the bundle is damaged"),
        ("exit 1", "the runner's machine ended with exit code 1: it said nothing"),
        ("kill -SEGV $$", "the runner's machine ended with signal 11"),
        ("exit 126", "the runner's machine ended with exit code 126"),
        ("echo '{\"schema_ver'; exit 0", "the runner's machine wrote 13 bytes that are no JSON document"),
        ("echo '[]'; exit 0", "the runner's machine wrote list, expected an object"),
    ],
)
def test_a_runner_that_fails(make_device: MakeDevice, tmp_path: Path, line: str, sentence: str) -> None:
    device = make_device()
    session = open_session(open_target(f"adb:{device.serial}"), write_stand_in(tmp_path / "bin", line))
    with pytest.raises(EngineError) as caught:
        session.ask("machine")
    session.close()
    assert f"adb:{device.serial}: {sentence}" in str(caught.value)
    assert device.files() == []


def test_ending_a_run_ends_it_on_the_device(make_device: MakeDevice, tmp_path: Path) -> None:
    device = make_device()
    endless = write_stand_in(
        tmp_path / "bin", f"trap 'echo >{tmp_path}/killed; exit 0' TERM; sleep 60 & wait"
    )
    session = open_session(open_target(f"adb:{device.serial}"), endless)

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        session.ask("machine", tick=interrupt)
    assert (tmp_path / "killed").exists()
    session.close()
    assert device.files() == []
