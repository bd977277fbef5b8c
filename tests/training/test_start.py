"""A run may start from the weights of another: for the same classes, or for others."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pocketdet.errors import CheckpointError
from pocketdet.models.build import build_detector
from pocketdet.models.checkpoint import save_checkpoint
from pocketdet.models.config import DetectorConfig, RoIHead
from pocketdet.models.one_stage import OneStageConfig
from pocketdet.models.zoo import FOD, zoo_weights
from pocketdet.training.config import Source, TrainConfig
from pocketdet.training.config_file import fingerprint, read_config
from pocketdet.training.loop import start_run

NAMES = ("bolt", "nut")
PREDICTORS = ("head.scores.weight", "head.scores.bias")
ANCHORS = tuple(f"rpn.{part}.{kind}" for part in ("scores", "deltas") for kind in ("weight", "bias"))


def config(folder: Path, weights: Path | None, scales: tuple[float, ...] = (16, 32)) -> TrainConfig:
    data = (Source(Path("toy.json"), Path("toy")),)
    return TrainConfig(data, folder / "run", weights, input_size=(64, 64), anchor_scales=scales)


@pytest.fixture
def trained(tmp_path: Path) -> tuple[Path, dict[str, torch.Tensor]]:
    torch.manual_seed(4)
    model = build_detector(config(tmp_path, None).detector(NAMES))
    save_checkpoint(tmp_path / "trained.safetensors", model)
    return tmp_path / "trained.safetensors", model.state_dict()


@pytest.mark.parametrize(
    ("names", "scales", "fresh"),
    [
        (NAMES, (16, 32), ()),
        (("nut", "bolt"), (16, 32), PREDICTORS),
        (("bolt", "nut", "pen"), (16, 32), PREDICTORS),
        (NAMES, (16, 64), ANCHORS),
        (("pen",), (16, 32, 64), (*PREDICTORS, *ANCHORS)),
    ],
)
def test_all_that_means_the_same_is_taken_over(
    tmp_path: Path,
    trained: tuple[Path, dict[str, torch.Tensor]],
    names: tuple[str, ...],
    scales: tuple[float, ...],
    fresh: tuple[str, ...],
) -> None:
    file, weights = trained
    setup, said = config(tmp_path, file, scales), list[str]()
    started = start_run(setup, setup.detector(names), log=said.append).model.state_dict()
    unlike = [k for k in started if started[k].shape != weights[k].shape or (started[k] != weights[k]).any()]
    assert sorted(unlike) == sorted(fresh)
    assert len(said) == (2 if scales != (16, 32) else 1)
    for line in said[1:]:
        assert line.startswith(
            "warning: trained.safetensors was trained with anchor_scales = [16, 32], and the "
        )
        assert "the trained layers rpn.scores and rpn.deltas are discarded" in line
    assert said[0].startswith("starts from trained.safetensors")
    assert all(key.rpartition(".")[0] in said[0] for key in fresh)


def test_other_anchors_of_a_one_stage_detector_are_a_warning(tmp_path: Path) -> None:
    given = OneStageConfig("passd-mobilenet", NAMES, (64, 64), base_size=2.0)
    save_checkpoint(tmp_path / "given.safetensors", build_detector(given))
    for size, count in ((2.0, 1), (None, 2)):
        setup = replace(config(tmp_path, tmp_path / "given.safetensors"), arch=given.arch, base_size=size)
        said = list[str]()
        start_run(setup, setup.detector(NAMES), log=said.append)
        assert len(said) == count
    assert said[1].startswith("warning: base_size of given.safetensors is 2.0, and of the recipe the paper's")


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    other = DetectorConfig("thundernet-snet146", NAMES, (64, 64))
    save_checkpoint(tmp_path / "other.safetensors", build_detector(other))
    wide = replace(config(tmp_path, None).detector(NAMES), head=RoIHead(fc_channels=64))
    save_checkpoint(tmp_path / "wide.safetensors", build_detector(wide))
    for name, said in (
        ("other", "thundernet-snet146"),
        ("wide", "do not fit: size mismatch for head"),
        ("none", "none.safetensors"),
    ):
        setup = config(tmp_path, tmp_path / f"{name}.safetensors")
        with pytest.raises(CheckpointError, match=said):
            start_run(setup, setup.detector(NAMES))


def test_a_file_beside_the_configuration_and_a_resume_without_it(
    tmp_path: Path, trained: tuple[Path, dict[str, torch.Tensor]]
) -> None:
    text = 'out = "run"\nweights = "trained.safetensors"\n[[data]]\nannotations = "a.json"\nimages = "a"\n'
    (tmp_path / "run.toml").write_text(text)
    setup = read_config(tmp_path / "run.toml")
    assert setup.weights == trained[0]
    (tmp_path / "run.toml").write_text(text.replace("trained.safetensors", "thundernet-snet49-fod"))
    assert read_config(tmp_path / "run.toml").weights == zoo_weights(FOD)
    (tmp_path / "run.toml").write_text(text.replace("trained.safetensors", "nothing.safetensors"))
    assert read_config(tmp_path / "run.toml").weights == tmp_path / "nothing.safetensors"
    assert fingerprint(setup) == fingerprint(replace(setup, weights=None))
