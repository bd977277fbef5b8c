"""MimicDet with and without the mimic loss: two runs that differ in nothing else."""

import re
from pathlib import Path

import pytest

from pocketdet.models.training.mimic_ablation import main

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
DATA = ["--test", str(IMAGES / "scene.json"), "--images", str(IMAGES)]


def test_equation_1_falls_further_where_it_is_minimised(capsys: pytest.CaptureFixture[str]) -> None:
    size = ["--pictures", "200", "--batch", "2", "--side", "64", "--judged", "1"]
    assert main(["--data", str(IMAGES / "scene.json"), *DATA, *size]) == 0
    out = capsys.readouterr().out
    assert re.findall(r"mimic loss times (\d)", out) == ["1", "0"]
    minimised, measured = (float(x) for x in re.findall(r"; mimic (\d\.\d+)", out))
    assert 0 < minimised < 0.9 * measured
    assert len(re.findall(r"AP \d+\.\d\d  AP50 \d+\.\d\d  on 1 pictures", out)) == 2


def test_a_missing_file_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["--data", str(tmp_path / "none.json"), *DATA]) == 2
    assert "none.json" in capsys.readouterr().err
