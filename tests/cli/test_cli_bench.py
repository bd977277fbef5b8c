"""`pocketdet bench` as a user runs it, on this machine, with the runner in Python."""

import os
import re
import shlex
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from bench_records import record, run
from command_line import PATIENCE, Ending, command, process, wait_until
from needs import NATIVE_ARM, QEMU
from rich.console import Console
from stand_in import MODULE, write_stand_in

from pocketdet.benchmarks.record_io import read_record
from pocketdet.cli import bench_display
from pocketdet.cli.bench_display import print_records
from pocketdet.models.zoo import FOD, zoo_weights
from pocketdet.runtime.pipeline import TWO_STAGE_STAGES as STAGES

__all__ = ["command"]

Command = Callable[..., Ending]
ROOT = Path(__file__).resolve().parents[2]
BUILT_ARM = Path(
    os.environ.get("POCKETDET_RUN_AARCH64") or ROOT / "build" / "native-aarch64" / "pocketdet-run"
)


@pytest.fixture(autouse=True)
def _python_runner(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A quick plan, and the runner in Python, whether or not the other is built."""
    from dataclasses import replace

    from pocketdet.benchmarks import plan

    monkeypatch.setattr(plan, "QUICK", replace(plan.QUICK, frames=6, warm_up=1))
    monkeypatch.setattr("pocketdet.runtime.native_build.ROOT", tmp_path_factory.mktemp("no-build"))
    monkeypatch.delenv("POCKETDET_RUN", raising=False)
    monkeypatch.delenv("POCKETDET_RUN_AARCH64", raising=False)


def test_bench_and_report_of_one_bundle(command: Command, small_bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "records"
    ending = command("bench", small_bundle, "--quick", "--rois", "5,50", "--out", out, "--device-name", "Box")
    (path,) = out.iterdir()
    found = read_record(path)
    assert ending.code == (0 if found.verdict.valid else 1), ending.err
    assert path.name.startswith("box_small_fp32_20")
    assert "Box (local): milliseconds from image to boxes" in ending.out
    assert "12/12" in ending.out
    assert ("VALID, quick" if found.verdict.valid else "INVALID, quick") in ending.out
    for reason in found.verdict.reasons:
        assert f"small on Box: {reason.sentence}" in ending.out
    assert "small on Box: measured in Python; make native builds pocketdet-run" in ending.out
    assert f"wrote {path}" in ending.out
    assert f"next: pocketdet report {path}" in ending.out
    assert [point.rois for point in found.roi_sweep] == [5, 50]
    reported = command("report", path, "--out", tmp_path / "report")
    assert reported.code == 0, reported.err
    assert "Box: fps" in reported.out
    assert (tmp_path / "report" / "rois.png").exists()


def test_a_zip_file_and_an_image(command: Command, small_bundle: Path, tmp_path: Path) -> None:
    archive = shutil.make_archive(str(tmp_path / "small"), "zip", small_bundle)
    scene = ROOT / "docs" / "images" / "scene.jpg"
    ending = command("bench", archive, "--quick", "--image", scene, "--out", tmp_path / "records")
    assert ending.code in (0, 1), ending.err
    (path,) = (tmp_path / "records").iterdir()
    (used,) = read_record(path).protocol.pictures
    assert used.name == "scene.png"


def test_a_submission_names_no_host(
    command: Command, small_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from functools import partial

    from pocketdet.benchmarks import plan, protocol
    from pocketdet.benchmarks.record import Source

    monkeypatch.setattr(plan, "BenchPlan", partial(plan.BenchPlan, frames=6, warm_up=1))
    release = Source(version="0.1.0", commit=None, changed=None)
    monkeypatch.setattr(protocol, "read_source", lambda: release)
    file = tmp_path / "mine.json"
    ending = command("bench", small_bundle, "--out", tmp_path / "records", "--submit", file)
    assert ending.code == 1, ending.err  # six frames are too short a run
    assert f"wrote {file}: put it into benchmarks/results" in ending.out
    (kept,) = (tmp_path / "records").iterdir()
    assert "host" in read_record(kept).device.properties
    sent = read_record(file)
    assert "host" not in sent.device.properties
    assert sent.run == read_record(kept).run
    again = command("bench", small_bundle, "--out", tmp_path / "records", "--submit", file)
    assert again.code == 2
    assert "exists already; records are never overwritten" in again.err
    changed = release.model_copy(update={"commit": "0" * 40, "changed": True})
    monkeypatch.setattr(protocol, "read_source", lambda: changed)
    other = tmp_path / "other.json"
    for options, sentence in (
        (("--submit", other), "this checkout has changed files"),
        (("--quick", "--submit", other), "leave out --quick"),
        (("--submit", tmp_path / "other.txt"), "expected a file name that ends in .json"),
        (("--target", "local", "--target", "emulated", "--submit", other), "expected one bundle and one"),
    ):
        refused = command("bench", small_bundle, "--out", tmp_path / "never", *options)
        assert refused.code == 2
        assert sentence in refused.err
    assert not other.exists()
    assert not (tmp_path / "never").exists()


@pytest.mark.slow
def test_an_emulated_processor_verifies_results_without_times(
    command: Command, small_bundle: Path, tmp_path: Path
) -> None:
    if not BUILT_ARM.is_file():
        pytest.skip(NATIVE_ARM)
    if shutil.which("qemu-aarch64-static") is None:
        pytest.skip(QEMU)
    options = ("--target", "emulated:cortex-a76", "--runner", BUILT_ARM)
    ending = command("bench", small_bundle, *options, "--out", tmp_path / "records")
    assert ending.code == 0, ending.err
    assert re.search(r"small +12/12 +\S+( of 200)? +- +- +- +- +results proved, no time", ending.out)
    assert "INVALID" not in ending.out
    assert "emulated: its time says nothing about a device" in ending.out
    (path,) = (tmp_path / "records").iterdir()
    found = read_record(path)
    assert "dotprod" in found.device.cpu_features  # a cortex-a76 has it
    assert found.run is not None
    assert found.run.frames == 3


def test_an_emulated_processor_has_no_time(
    command: Command, small_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Python runner stands for the emulated one: what is printed is the same."""
    monkeypatch.setattr("pocketdet.benchmarks.targets.base.LocalTarget.kind", "emulated")
    runner = write_stand_in(tmp_path / "bin")
    ending = command("bench", small_bundle, "--runner", runner, "--out", tmp_path / "records")
    assert ending.code == 0, ending.err
    assert "results proved, no time" in ending.out
    assert "INVALID" not in ending.out


def test_the_next_step_is_one_that_report_accepts(
    command: Command, small_bundle: Path, plain_bundle: Path, tiny_one_stage: Path, tmp_path: Path
) -> None:
    bundles = (small_bundle, plain_bundle, tiny_one_stage)
    ending = command("bench", *bundles, "--quick", "--out", tmp_path / "two words")
    assert ending.code in (0, 1), ending.err
    steps = [line for line in ending.out.splitlines() if line.startswith("next: pocketdet ")]
    assert len(steps) == 2
    assert "these records cannot be compared: the input size is" in ending.out
    for i, step in enumerate(steps, 1):
        words = shlex.split(step.removeprefix("next: pocketdet "))
        assert words[-2:] == ["--out", f"bench-report-{i}"]
        reported = command(*words[:-1], tmp_path / words[-1])
        assert reported.code == 0, reported.err
    assert (tmp_path / "bench-report-1" / "report.md").read_text().count("| small |") > 0


def test_all_images_of_a_folder(command: Command, small_bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a", "b"):
        shutil.copyfile(ROOT / "docs" / "images" / "scene.jpg", folder / f"{name}.jpg")
    ending = command("bench", small_bundle, "--quick", "--images", folder, "--out", tmp_path / "records")
    assert ending.code in (0, 1), ending.err
    (path,) = (tmp_path / "records").iterdir()
    pictures = read_record(path).protocol.pictures
    assert [picture.name for picture in pictures] == ["a.png", "b.png"]
    assert len({picture.sha256 for picture in pictures}) == 1


@pytest.mark.parametrize("columns", [80, 100])
def test_the_table_fits(columns: int) -> None:
    few = record(
        run=run(proposals=(58,) * 1024),
        bundle={"name": "thundernet-snet146"},
        protocol={"quick": True},
    )
    emulated = record(target={"kind": "emulated", "address": "cortex-a76"}, device={"name": "emulated"})
    console = Console(width=columns, record=True)
    with console.capture() as capture:
        print_records([(Path("a.json"), few), (Path("b.json"), emulated)], console)
    out = capture.get()
    assert "…" not in out
    row = next(line for line in out.splitlines() if line.startswith("thundernet-snet146 2/2"))
    assert row.split()[:9] == ["thundernet-snet146", "2/2", "58", "of", "200", "40.00", "40.00", "48.00", "-"]
    assert "INVALID, quick" in out
    assert "few RoIs: the median frame has 58 proposals, the bundle keeps 200" in out


def test_notes_of_retries_and_of_a_sustained_run() -> None:
    made = record(protocol={"attempt": 3}, sustained=run(4000, 40.0))
    console = Console(width=200)
    with console.capture() as capture:
        print_records([(Path("a.json"), made)], console)
    assert "run 3, after INVALID ones" in capture.get()
    assert "sustained: median 40.00 ms in the first minute, 40.00 ms in the last" in capture.get()


def test_progress_without_a_terminal_is_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(bench_display.time, "monotonic", lambda: now[0])
    with bench_display.ProgressDisplay() as display:
        device = display.device("adb:1")
        device.step("golden", 0.0)
        device.step("sustained", 600.0)
        for second in range(0, 150, 30):
            now[0] = float(second)
            device.tick()
    assert capsys.readouterr().err.splitlines() == [
        "adb:1: sustained, at most 10:00",
        "adb:1: sustained, 1:00 of 10:00",
        "adb:1: sustained, 2:00 of 10:00",
    ]


def test_a_failed_golden_test_is_exit_code_1(command: Command, small_bundle: Path, tmp_path: Path) -> None:
    spoil = f"""[ "$1" = verify ] || exec {sys.executable} -m {MODULE} "$@"
{sys.executable} -m {MODULE} "$@" | sed 's/"ok": true/"ok": false/g'
exit 1"""
    runner = write_stand_in(tmp_path / "bin", spoil)
    ending = command("bench", small_bundle, "--quick", "--runner", runner, "--out", tmp_path / "records")
    assert ending.code == 1
    assert "INVALID, quick" in ending.out
    assert "golden failed: decode" in ending.out
    (path,) = (tmp_path / "records").iterdir()
    assert read_record(path).run is None


def test_a_runner_that_crashes_leaves_no_record(command: Command, small_bundle: Path, tmp_path: Path) -> None:
    runner = write_stand_in(tmp_path / "bin", '[ "$1" = bench ] && kill -ILL $$')
    ending = command("bench", small_bundle, "--quick", "--runner", runner, "--out", tmp_path / "records")
    assert (ending.code, ending.out) == (2, "")
    assert "error: local:localhost: the runner's bench ended with signal 4: it said nothing" in ending.err
    assert not list((tmp_path / "records").iterdir())


def test_ctrl_c_ends_the_runner_and_leaves_nothing(small_bundle: Path, tmp_path: Path) -> None:
    started = tmp_path / "started"
    runner = write_stand_in(tmp_path / "bin", f'[ "$1" = bench ] && echo $$ >{started} && exec sleep 600')
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environment = {**os.environ, "TMPDIR": str(scratch)}
    words = ("bench", small_bundle, "--quick", "--runner", runner, "--out", tmp_path / "records")
    child = process(*words, env=environment)

    def alive() -> None:
        assert child.poll() is None, child.communicate()

    wait_until(lambda: started.exists() and bool(started.read_text().strip()), alive)
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=PATIENCE)
    assert child.returncode == 130
    assert errors.endswith("error: interrupted\n")
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)
    assert not list(scratch.iterdir())
    assert not list((tmp_path / "records").iterdir())


def test_pytorch_is_measured_by_the_same_protocol(
    command: Command, small_bundle: Path, tmp_path: Path
) -> None:
    ending = command("bench", small_bundle, "--quick", "--engine", "torch", "--out", tmp_path / "records")
    assert ending.code in (0, 1), ending.err
    (path,) = (tmp_path / "records").iterdir()
    assert "_small_torch-cpu_" in path.name
    found = read_record(path)
    assert (found.engine.name, found.engine.processor) == ("torch", "CPU")
    assert found.engine.version == str(torch.__version__)
    assert found.golden.ok
    assert found.run is not None
    assert found.run.stages == STAGES


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--engine", "torch", "--device", "cuda:99"), "--device cuda:99: torch cannot use it here"),
        (
            ("--engine", "torch", "--precision", "fp16"),
            "--precision fp16: --engine torch is measured",
        ),
        (("--engine", "torch", "--target", "ssh:phone"), "--engine torch is measured on this machine only"),
        (("--device", "cuda"), "--device cuda: ncnn runs on the CPU; use --engine torch"),
        (("--rois", "ten"), "--rois ten: expected numbers such as 10,50,100"),
        (("--rois", "0"), "--rois 0: expected different numbers"),
        (("--retry", "-1"), "--retry -1: expected a number from 0 to 100"),
        (("--images", "absent"), "absent"),
        (("--sustained", "-1"), "--sustained -1: expected minutes"),
        (("--target", "usb"), "--target usb: expected local, ssh:HOST"),
        (("--runner", "absent"), "absent: there is no runner; build it with: make native"),
        (("--image", "absent.png"), "absent.png"),
        (("--cpu", "4000"), "--cpu 4000"),
        (("--cool-down", "-2"), "no negative number"),
        (("--out", "file"), "file: cannot be made"),
    ],
)
def test_bad_input_gives_one_sentence(
    command: Command,
    small_bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    ending = command("bench", small_bundle, *options)
    assert (ending.code, ending.out) == (2, "")
    assert words in ending.err
    assert not list(tmp_path.glob("*/*"))


def test_a_duplicate_bundle_is_refused(command: Command, small_bundle: Path, tmp_path: Path) -> None:
    ending = command("bench", small_bundle, small_bundle, "--quick", "--out", tmp_path / "records")
    assert (ending.code, ending.out) == (2, "")
    assert "the same bundle as" in ending.err


@pytest.mark.parametrize("name", ["bench", "cycles", "detect", "info", "predict", "verify"])
def test_weights_are_exported_first(command: Command, tmp_path: Path, name: str) -> None:
    weights, model = tmp_path / "weights.pt", tmp_path / "my model.onnx"
    for path in (weights, model):
        path.write_bytes(b"")
    described = (FOD, weights)  # what pocketdet info does not describe itself
    for given in described if name == "info" else (FOD, weights, zoo_weights(FOD), model):
        rest = {"detect": ("photo.jpg",), "predict": ("--device", "raspberry")}.get(name, ())
        ending = command(name, given, *rest)
        assert (ending.code, ending.out) == (2, "")
        export = shlex.join(["pocketdet", "export", str(given), "--out", "bundles"])
        assert f"{given}: expected a bundle, found weights; export it first: {export}" in ending.err
