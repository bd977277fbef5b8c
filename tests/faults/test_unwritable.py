"""Every command that writes, onto a full disk and into a read-only folder: exit code 2, one sentence."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from bench_records import record
from command_line import Ending, command
from disks import full_disk, read_only_disk, small_disk
from tiny_bundle import tiny_bundle_template
from val_project import labelled, project, weights

from pocketdet.benchmarks import plan
from pocketdet.benchmarks.record_io import write_record

__all__ = [
    "command",
    "full_disk",
    "project",
    "read_only_disk",
    "small_disk",
    "tiny_bundle_template",
    "weights",
]

Command = Callable[..., Ending]
TRAINING = """
out = "{out}"
input_size = [64, 64]
anchor_scales = [16, 32]
[[data]]
annotations = "{project}/test.json"
images = "{project}"
[schedule]
images = 4
batch = 4
sizes = [64]
[losses]
pre_nms = 32
proposals = 16
rois = 8
ohem = 4
"""


@dataclass(frozen=True)
class Inputs:
    """What the commands read."""

    tiny: Path
    small: Path
    weights: Path
    project: Path
    scratch: Path


def export(inputs: Inputs, disk: Path) -> tuple[object, ...]:
    return "export", inputs.weights, "--out", disk / "out"


def export_zip(inputs: Inputs, disk: Path) -> tuple[object, ...]:
    return "export", inputs.weights, "--out", disk, "--zip", "--slim"


def align(inputs: Inputs, disk: Path) -> tuple[object, ...]:
    model = (inputs.tiny / "features.ncnn.param", inputs.tiny / "features.ncnn.bin")
    return "align", *model, disk / "a.param", disk / "a.bin"


def detect(inputs: Inputs, disk: Path) -> tuple[object, ...]:
    return "detect", inputs.tiny, inputs.project / "0.png", "--out", disk / "out"


def detect_video(inputs: Inputs, disk: Path) -> tuple[object, ...]:
    """A video of more than a mebibyte."""
    path = inputs.scratch / "video.mp4"
    video = cv2.VideoWriter(str(path), int(cv2.VideoWriter.fourcc(*"mp4v")), 10.0, (320, 240))
    for seed in range(60):
        video.write(np.random.default_rng(seed).integers(0, 256, (240, 320, 3), np.uint8))
    video.release()
    assert path.stat().st_size > 1 << 20
    return "detect", inputs.tiny, path, "--out", disk / "out"


def demo(inputs: Inputs, disk: Path) -> tuple[object, ...]:
    options = ("--image", inputs.project / "0.png", "--weights", inputs.weights)
    return "demo", *options, "--out", disk / "out"


def train(inputs: Inputs, disk: Path) -> tuple[object, ...]:
    config = inputs.scratch / "train.toml"
    config.write_text(TRAINING.format(out=disk / "out", project=inputs.project), encoding="utf-8")
    return "train", config


def val(inputs: Inputs, disk: Path) -> tuple[object, ...]:
    return "val", inputs.small, *labelled(inputs.project), "--out", disk / "out"


def bench(inputs: Inputs, disk: Path) -> tuple[object, ...]:
    return "bench", inputs.small, "--quick", "--out", disk / "out"


def bench_engines_json(inputs: Inputs, disk: Path) -> tuple[object, ...]:
    return "bench-engines", inputs.small, "--rounds", 1, "--json", disk / "a.json"


def bench_engines_plot(inputs: Inputs, disk: Path) -> tuple[object, ...]:
    return "bench-engines", inputs.small, "--rounds", 1, "--plot", disk / "a.png"


def report(inputs: Inputs, disk: Path) -> tuple[object, ...]:
    write_record(inputs.scratch / "record.json", record())
    return "report", inputs.scratch / "record.json", "--out", disk / "out"


COMMANDS = (
    export,
    export_zip,
    align,
    detect,
    detect_video,
    demo,
    train,
    val,
    bench,
    bench_engines_json,
    bench_engines_plot,
    report,
)


@pytest.fixture
def inputs(
    tiny_bundle_template: Path, small_bundle: Path, weights: Path, project: Path, tmp_path: Path
) -> Inputs:
    (tmp_path / "scratch").mkdir()
    return Inputs(tiny_bundle_template, small_bundle, weights, project, tmp_path / "scratch")


@pytest.fixture(autouse=True)
def _quick_bench(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Few frames, and the runner in Python, whether or not the other is built."""
    monkeypatch.setattr(plan, "QUICK", replace(plan.QUICK, frames=6, warm_up=1))
    monkeypatch.setattr("pocketdet.runtime.native_build.ROOT", tmp_path_factory.mktemp("no-build"))
    monkeypatch.delenv("POCKETDET_RUN", raising=False)


def files(disk: Path) -> list[Path]:
    return [path for path in disk.rglob("*") if path.is_file() and path.name != "filler"]


def assert_refused(ending: Ending, disk: Path, reasons: tuple[str, ...]) -> None:
    """Exit code 2, and one sentence that names a path on the disk and the reason."""
    assert ending.code == 2, ending
    (sentence,) = [line for line in ending.err.splitlines() if line.startswith("error: ")]
    assert str(disk) in sentence
    assert any(reason in sentence for reason in reasons), sentence
    assert "Traceback" not in ending.err
    assert files(disk) == []


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda function: function.__name__)
def test_onto_a_full_disk(
    command: Command, inputs: Inputs, full_disk: Path, arguments: Callable[[Inputs, Path], tuple[object, ...]]
) -> None:
    ending = command(*arguments(inputs, full_disk))
    assert_refused(ending, full_disk, ("No space left on device", "the disk is full"))


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda function: function.__name__)
def test_into_a_read_only_folder(
    command: Command,
    inputs: Inputs,
    read_only_disk: Path,
    arguments: Callable[[Inputs, Path], tuple[object, ...]],
) -> None:
    ending = command(*arguments(inputs, read_only_disk))
    assert_refused(ending, read_only_disk, ("Read-only file system", "read-only"))


def test_a_video_that_fits_the_disk_in_part(command: Command, inputs: Inputs, small_disk: Path) -> None:
    """OpenCV does not say that it could not write."""
    ending = command(*detect_video(inputs, small_disk))
    assert_refused(ending, small_disk, ("No space left on device",))
