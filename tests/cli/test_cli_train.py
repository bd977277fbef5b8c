"""`pocketdet train` from a file to weights: bad data named first, Ctrl-C kept, runs resumed."""

import json
import os
import re
import signal
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from pocketdet.cli.main import app
from pocketdet.errors import UsageError
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
    assert re.search(r"step 2: AP 0\.\d{3}  AP50 0\.\d{3}  AP75 0\.\d{3}  on 2 of 3 images \(\d+ s\)", output)
    assert re.search(r"step 3: AP .* on 2 of 3 images", output)
    assert re.search(r"step 3: AP .* on all 3 images", output)
    best = re.search(r"best AP (0\.\d{3}) on 2 of 3 images, at step ([23]): (.+)", output)
    assert best is not None
    assert Path(best[3]) == tmp_path / "run" / "best.safetensors"
    assert float(read_card(Path(best[3]))["AP"]) == pytest.approx(float(best[1]), abs=5e-4)
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


def test_ctrl_c_keeps_the_step_and_resume_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pocketdet.training import loop

    whole = loop.one_step

    def interrupted(*arguments: object) -> StepReport:
        monkeypatch.setattr(loop, "one_step", whole)
        os.kill(os.getpid(), signal.SIGINT)
        return whole(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "one_step", interrupted)
    handler = signal.getsignal(signal.SIGINT)
    assert "stopped after 1 of 3 steps" in run(project(tmp_path))
    assert signal.getsignal(signal.SIGINT) is handler
    assert (tmp_path / "run" / STATE_FILE).is_file()
    assert "stopped" not in run(tmp_path / "train.toml", "--resume")
    assert steps(tmp_path) == ["1", "2", "3"]


def test_bad_data_is_named_before_anything_is_written(tmp_path: Path) -> None:
    config = project(tmp_path, bad=True)
    with pytest.raises(UsageError, match=r"missing image: 1\n.*3\.png"):
        run(config)
    assert not (tmp_path / "run").exists()
    assert "3 images" in run(config, "--skip-bad")
