"""Checkpoints of one-stage detectors: what is written comes back, what does not fit is named."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pocketdet.errors import CheckpointError, UsageError
from pocketdet.models.build import build_detector
from pocketdet.models.checkpoint import load_checkpoint, load_detector, read_card, save_checkpoint
from pocketdet.models.config import DetectorConfig, Preprocessing
from pocketdet.models.mimicdet import MimicDet, MimicDetConfig
from pocketdet.models.one_stage import OneStageConfig, OneStageDetector
from pocketdet.models.weight_files import read_metadata
from pocketdet.spec.one_stage import Selection

NAMES = ("bolt", "nut", "washer")
CONFIG = OneStageConfig(
    "passd-mobilenet",
    NAMES,
    (96, 128),
    Preprocessing("BGR", (1.0, 2.0, 3.5), (4.0, 5.0, 6.0), "letterbox", (7, 8, 9)),
    base_size=2.0,
    selection=Selection(score_threshold=0.1, top_n=50, nms="gaussian"),
)


@pytest.fixture(scope="module")
def model() -> OneStageDetector:
    torch.manual_seed(0)
    return build_detector(CONFIG)


@pytest.fixture
def saved(model: OneStageDetector, tmp_path: Path) -> Path:
    path = tmp_path / "weights.safetensors"
    save_checkpoint(path, model, {"data": "drawn"})
    return path


def rewrite(path: Path, out: Path, **metadata: str) -> Path:
    save_file(load_file(path), out, {"pocketdet_format": "1", "detector": "one-stage", **metadata})
    return out


def test_weights_configuration_and_card_come_back(model: OneStageDetector, saved: Path) -> None:
    loaded = load_detector(saved)
    assert isinstance(loaded, OneStageDetector)
    assert loaded.settings == CONFIG
    assert not loaded.training
    assert read_card(saved) == {"data": "drawn"}
    ours, theirs = model.state_dict(), loaded.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_the_configuration_reaches_the_description(saved: Path) -> None:
    spec = load_detector(saved).spec()  # type: ignore[operator]
    assert spec.selection == CONFIG.selection
    assert spec.levels[0].anchors[0] == (16.0, 16.0)
    assert (spec.input_size, spec.num_classes) == ((96, 128), 3)


def test_the_papers_fields_where_nothing_is_set() -> None:
    with torch.device("meta"):
        spec = build_detector(OneStageConfig("passd-mobilenet", NAMES)).spec()
    assert spec.levels[0].anchors[0] == (32.0, 32.0)
    assert (spec.selection.nms_iou, spec.selection.top_n) == (0.45, 200)


def test_arguments_replace_what_the_file_says(saved: Path) -> None:
    other = load_detector(saved, class_names=("a", "b", "c"), input_size=(64, 64))
    assert isinstance(other, OneStageDetector)
    assert other.settings == replace(CONFIG, class_names=("a", "b", "c"), input_size=(64, 64))
    with pytest.raises(CheckpointError, match="of another shape: 'attend"):
        load_detector(saved, class_names=("a", "b"))
    with pytest.raises(UsageError, match="its weights do not fit thundernet-snet49: leave out"):
        load_detector(saved, arch="thundernet-snet49")


def test_halved_weights_become_float32(model: OneStageDetector, saved: Path, tmp_path: Path) -> None:
    path = tmp_path / "half.safetensors"
    halves = {k: v.half() if v.is_floating_point() else v for k, v in model.state_dict().items()}
    save_file(halves, path, read_metadata(saved))
    loaded = load_detector(path).state_dict()
    for name, weight in model.state_dict().items():
        assert loaded[name].dtype == weight.dtype
        assert torch.equal(
            loaded[name], weight.half().to(weight.dtype) if weight.is_floating_point() else weight
        )


def test_two_stages_are_told_apart(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="passd-mobilenet, a one-stage detector: expected a ThunderNet"):
        load_checkpoint(saved)
    two = tmp_path / "two.safetensors"
    save_checkpoint(two, build_detector(DetectorConfig("thundernet-snet49", NAMES, (64, 64))))
    assert load_detector(two).config == load_checkpoint(two).config  # type: ignore[union-attr]


def test_weights_alone_need_architecture_and_names(model: OneStageDetector, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save(model.state_dict(), path)
    with pytest.raises(UsageError, match="--arch"):
        load_detector(path)
    with pytest.raises(UsageError, match="class names"):
        load_detector(path, arch="passd-mobilenet")
    loaded = load_detector(path, arch="passd-mobilenet", class_names=NAMES)
    assert isinstance(loaded, OneStageDetector)
    assert loaded.settings == OneStageConfig("passd-mobilenet", NAMES)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"detector": "three-stage"}, "'three-stage' detector"),
        ({"pocketdet_format": "9"}, "upgrade"),
        ({"config": "{"}, "cannot be read"),
        ({"config": '{"arch": "passd-mobilenet"}'}, "class_names"),
        ({"config": '{"arch": "passd-mobilenet", "class_names": []}'}, "0 entries"),
        ({"config": '{"arch": "passd-mobile", "class_names": ["a"]}'}, "did you mean"),
        ({"config": '{"arch": "passd-mobilenet", "class_names": ["a"], "anchors": {}}'}, "anchors"),
        ({"config": '{"arch": "passd-mobilenet", "class_names": ["a"], "base_size": 0}'}, "base_size"),
    ],
)
def test_what_cannot_be_read_is_named(
    saved: Path, tmp_path: Path, change: dict[str, str], message: str
) -> None:
    config = {"arch": "passd-mobilenet", "class_names": list(NAMES)}
    with pytest.raises(CheckpointError, match=message):
        load_detector(
            rewrite(saved, tmp_path / "bad.safetensors", **{"config": json.dumps(config), **change})
        )


def test_a_network_without_names_is_not_saved(tmp_path: Path) -> None:
    with torch.device("meta"):
        model = MimicDet(MimicDetConfig(2, (64, 64)))
    with pytest.raises(UsageError, match="without class names"):
        save_checkpoint(tmp_path / "w.safetensors", model)
    assert not list(tmp_path.iterdir())
