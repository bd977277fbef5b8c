"""`pocketdet train` from a file to weights: bad data named first, Ctrl-C kept, runs resumed."""

import io
import json
import os
import re
import signal
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from own_data import write_yolo
from rich.console import Console
from typer.testing import CliRunner

from pocketdet.cli.main import app
from pocketdet.cli.train import StepLines
from pocketdet.errors import CheckpointError, UsageError
from pocketdet.models.checkpoint import load_checkpoint, read_card
from pocketdet.training import evaluation
from pocketdet.training.loop import StepReport
from pocketdet.training.state import STATE_FILE

RECIPE = """
out = "run"
input_size = [64, 64]
anchor_scales = [16, 32]
save_every = 100
[[data]]
annotations = "train.json"
images = "."
[schedule]
images = 12
batch = 4
sizes = [64]
[losses]
pre_nms = 32
proposals = 16
rois = 8
ohem = 4
"""


EVALUATION = """
[evaluation]
annotations = "train.json"
images = "."
every = 2
limit = 2
"""


def project(folder: Path, *, bad: bool = False, evaluated: bool = False) -> Path:
    """A configuration, three images with a box each, and with `bad` a fourth that does not exist."""
    rng = np.random.default_rng(1)
    for index in range(3):
        cv2.imwrite(str(folder / f"{index}.png"), rng.integers(0, 256, (48, 64, 3), np.uint8))
    count = 4 if bad else 3
    images = [{"id": i, "file_name": f"{i}.png", "width": 64, "height": 48} for i in range(count)]
    entries = [{"id": i, "image_id": i, "category_id": 1, "bbox": [8, 8, 30, 24]} for i in range(count)]
    content = {"images": images, "annotations": entries, "categories": [{"id": 1, "name": "bolt"}]}
    (folder / "train.json").write_text(json.dumps(content), encoding="utf-8")
    path = folder / "train.toml"
    path.write_text(RECIPE + (EVALUATION if evaluated else ""), encoding="utf-8")
    return path


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["train", *map(str, arguments)])
    if result.exception is not None:
        raise result.exception
    return result.output


def steps(folder: Path) -> list[str]:
    lines = (folder / "run" / "log.csv").read_text(encoding="utf-8").splitlines()
    return [line.split(",")[0] for line in lines[1:]]


def test_a_run_writes_weights_a_state_and_a_log(tmp_path: Path) -> None:
    output = run(project(tmp_path))
    assert "3 images, 3 objects, 1 classes" in output
    assert steps(tmp_path) == ["1", "2", "3"]
    weights = tmp_path / "run" / "weights.safetensors"
    assert load_checkpoint(weights).config.class_names == ("bolt",)
    assert read_card(weights)["images seen"] == "12"
    with pytest.raises(UsageError, match="--resume"):
        run(tmp_path / "train.toml")


def test_an_evaluated_run_says_how_good_it_is_and_where_the_best_weights_are(tmp_path: Path) -> None:
    output = run(project(tmp_path, evaluated=True))
    assert re.search(r"step 2: AP \d+\.\d  AP50 \d+\.\d  AP75 \d+\.\d  on 2 of 3 images \(\d+ s\)", output)
    assert re.search(r"step 3: AP .* on 2 of 3 images", output)
    assert re.search(r"step 3: AP .* on all 3 images", output)
    best = re.search(r"best AP (\d+\.\d) on 2 of 3 images, at step ([23]): (.+)", output)
    assert best is not None
    assert Path(best[3]) == tmp_path / "run" / "best.safetensors"
    assert float(read_card(Path(best[3]))["AP"]) == pytest.approx(float(best[1]) / 100, abs=5e-4)
    lines = (tmp_path / "run" / "evaluations.csv").read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[0] for line in lines] == ["step", "2", "3", "3"]
    assert (tmp_path / "run" / "detections-2.jpg").is_file()
    assert list((tmp_path / "run" / "tensorboard").iterdir())


def test_ctrl_c_leaves_out_an_evaluation_and_resume_makes_up_for_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = project(tmp_path, evaluated=True)
    whole = evaluation.find

    def interrupted(*arguments: object) -> object:
        os.kill(os.getpid(), signal.SIGINT)
        return whole(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(evaluation, "find", interrupted)
    config.write_text(config.read_text(encoding="utf-8").replace("every = 2", "every = 9"), encoding="utf-8")
    output = run(config)
    assert "the last evaluation was interrupted" in output
    assert "AP" not in output
    monkeypatch.setattr(evaluation, "find", whole)
    assert "on all 3 images" in run(config, "--resume")


def test_a_run_without_tensorboard_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert "tensorboard is not installed" in run(project(tmp_path))
    assert steps(tmp_path) == ["1", "2", "3"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_keeps_the_step_and_resume_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    from pocketdet.training import loop

    whole = loop.one_step

    def interrupted(*arguments: object) -> StepReport:
        monkeypatch.setattr(loop, "one_step", whole)
        os.kill(os.getpid(), number)
        return whole(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "one_step", interrupted)
    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    assert "stopped after 1 of 3 steps" in run(project(tmp_path))
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert (tmp_path / "run" / STATE_FILE).is_file()
    assert "stopped" not in run(tmp_path / "train.toml", "--resume")
    assert steps(tmp_path) == ["1", "2", "3"]


def test_a_run_without_a_terminal_prints_lines(tmp_path: Path) -> None:
    """After the first and the last of three steps; those between come every half minute."""
    lines = [line for line in run(project(tmp_path)).splitlines() if re.match(r"step \d of", line)]
    assert [line.split("  ")[0] for line in lines] == ["step 1 of 3", "step 3 of 3"]
    for line in lines:
        assert re.search(r"  loss \d+\.\d{3}  rpn_class .*  accuracy .*  \d+:\d\d:\d\d left$", line)
    assert lines[-1].endswith("  0:00:00 left")


def test_lines_come_every_half_minute_with_means_and_the_time_left() -> None:
    now = 100.0
    out = io.StringIO()
    lines = StepLines(Console(file=out, highlight=False), 100, lambda: now)
    for step in range(41, 101):
        now += 10.0
        lines.step(StepReport(step, step, 64, 0.1, {"loss": float(step), "accuracy": 0.5}))
    text = out.getvalue().splitlines()
    assert text[0] == "step 41 of 100  loss 41.000  accuracy 0.500  0:09:50 left"
    assert text[1] == "step 44 of 100  loss 43.000  accuracy 0.500  0:09:20 left"
    assert [line.split()[1] for line in text] == [str(step) for step in (*range(41, 100, 3), 100)]


def test_more_images_go_on_where_the_run_ended(tmp_path: Path) -> None:
    config = project(tmp_path)
    run(config)
    assert "step 3 of 3 is done: raise schedule.images to go on" in run(config, "--resume")
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("images = 12", "images = 16\nlearning_rate = 0.001"), encoding="utf-8")
    assert "step 4 of 4" in run(config, "--resume")
    assert steps(tmp_path) == ["1", "2", "3", "4"]
    config.write_text(text.replace("batch = 4", "batch = 2"), encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"schedule\.batch was 4 and is 2"):
        run(config, "--resume")


def test_a_warm_up_longer_than_the_run_is_a_warning(tmp_path: Path) -> None:
    config = project(tmp_path)
    assert "warning: schedule.warmup_steps is 500 and the run has 3 steps" in run(config)
    text = config.read_text(encoding="utf-8").replace('"run"', '"other"')
    config.write_text(text.replace("batch = 4", "batch = 4\nwarmup_steps = 1"), encoding="utf-8")
    assert "warning" not in run(config)


def test_a_missing_folder_is_one_problem(tmp_path: Path) -> None:
    config = project(tmp_path, evaluated=True)
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace('images = "."', 'images = "photos"'), encoding="utf-8")
    with pytest.raises(UsageError) as raised:
        run(config)
    assert "the data has 1 problem:" in str(raised.value)
    assert f"{tmp_path / 'photos'}: no such folder: 3 images are expected in it" in str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "name a TOML file; pocketdet train --init DATA writes one"),
        (("train.toml", "--weights", "none"), "--weights and --images-seen belong to --init"),
        (("--init", "data", "--images-seen", "5"), "train.toml exists"),
        (("--init", "dato"), "dato: no such file or folder; did you mean data?"),
        (("--init", "empty"), "empty: no annotations found"),
        (("new.toml", "--init", "data", "--weights", "fod"), "fod: no such file, nor the name of weights"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], words: str
) -> None:
    project(tmp_path)
    write_yolo(tmp_path / "data")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError) as raised:
        run(*arguments)
    assert words in str(raised.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_bad_data_is_named_before_anything_is_written(tmp_path: Path) -> None:
    config = project(tmp_path, bad=True)
    with pytest.raises(UsageError, match=r"missing image: 1\n.*3\.png"):
        run(config)
    assert not (tmp_path / "run").exists()
    assert "3 images" in run(config, "--skip-bad")
