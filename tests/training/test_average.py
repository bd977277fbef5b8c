"""The mean of the weights of several runs."""

from pathlib import Path

import pytest
import torch
from own_data import NAMES

from pocketdet.models.checkpoint import load_checkpoint, read_card, save_checkpoint
from pocketdet.models.config import DetectorConfig
from pocketdet.models.random_init import random_thundernet
from pocketdet.training.average import main

CONFIG = DetectorConfig("thundernet-snet49", NAMES, (96, 64))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("runs")
    paths = [folder / f"{seed}.safetensors" for seed in (1, 2, 3)]
    for seed, path in enumerate(paths):
        save_checkpoint(path, random_thundernet(CONFIG, seed=seed), {"data": "none"})
    return paths


def test_every_weight_and_statistic_is_the_mean(
    tmp_path: Path, runs: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "mean.safetensors"
    assert main([str(out), *map(str, runs)]) == 0
    mean, states = load_checkpoint(out), [load_checkpoint(path).state_dict() for path in runs]
    assert mean.config == CONFIG
    compared = 0
    for name, value in mean.state_dict().items():
        if value.is_floating_point():
            expected = sum(state[name].double() for state in states) / len(states)
            assert torch.equal(value, expected.float()), name
            compared += "running_" in name
        else:
            assert torch.equal(value, states[0][name]), name
    assert compared > 0
    assert read_card(out) == {"mean of": "1.safetensors, 2.safetensors, 3.safetensors"}
    assert "the mean of 1.safetensors" in capsys.readouterr().out


def test_detectors_of_other_classes_or_architectures_are_refused(
    tmp_path: Path, runs: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    other, out = tmp_path / "other.safetensors", tmp_path / "mean.safetensors"
    for arch, names in (("thundernet-snet146", NAMES), ("thundernet-snet49", (*NAMES[:-1], "another"))):
        save_checkpoint(other, random_thundernet(DetectorConfig(arch, names, (96, 64)), seed=1))
        assert main([str(out), str(runs[0]), str(other)]) == 2
        assert "differs from the first" in capsys.readouterr().err
    assert main([str(out), str(runs[0])]) == 2
    assert "name two or more checkpoints" in capsys.readouterr().err
    assert not out.exists()
