"""Checkpoints: what is written comes back, and what is damaged or does not fit is named."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor

from pocketdet.errors import CheckpointError, PocketdetError, UsageError
from pocketdet.models.build import build_detector
from pocketdet.models.checkpoint import load_checkpoint, read_card, save_checkpoint
from pocketdet.models.config import (
    Anchors,
    DetectorConfig,
    Postprocessing,
    Preprocessing,
    Proposals,
    RoIHead,
)
from pocketdet.models.thundernet import ThunderNet

NAMES = ("bolt", "nut", "washer")
ARCH = "thundernet-snet49"
CONFIG = DetectorConfig(
    ARCH,
    NAMES,
    (64, 96),
    Preprocessing("BGR", (1.0, 2.0, 3.5), (4.0, 5.0, 6.0), "letterbox", (7, 8, 9)),
    Anchors(scales=(16, 48), ratios=(0.5, 1)),
    Proposals(500, 50, 0.6, 2.0),
    RoIHead(alpha=2, pool_size=3, fc_channels=32),
    Postprocessing(0.1, "gaussian", 0.4, 0.3, 20),
)


@pytest.fixture(scope="module")
def model() -> ThunderNet:
    torch.manual_seed(0)
    return build_detector(CONFIG)


@pytest.fixture
def saved(model: ThunderNet, tmp_path: Path) -> Path:
    path = tmp_path / "weights.safetensors"
    save_checkpoint(path, model, {"data": "drawn", "AP": "0.5"})
    return path


def same_weights(a: ThunderNet, b: ThunderNet) -> bool:
    return all(
        torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    )


def rewrite(path: Path, weights: Mapping[str, Tensor], **metadata: Any) -> None:
    """Our format by hand, so that it can be wrong."""
    stored = {"pocketdet_format": "1", "config": json.dumps(metadata.pop("config")), **metadata}
    save_file(dict(weights), path, stored)


def plain_config() -> dict[str, Any]:
    return {"arch": ARCH, "class_names": list(NAMES), "input_size": [64, 96]}


def test_weights_configuration_and_card_come_back(model: ThunderNet, saved: Path) -> None:
    loaded = load_checkpoint(saved)
    assert loaded.config == CONFIG
    assert same_weights(loaded, model)
    assert not loaded.training
    assert read_card(saved) == {"data": "drawn", "AP": "0.5"}
    assert [p.name for p in saved.parent.iterdir()] == [saved.name]


def test_arguments_replace_what_the_file_says(saved: Path) -> None:
    loaded = load_checkpoint(saved, class_names=("a", "b", "c"), input_size=(32, 32))
    assert loaded.config.class_names == ("a", "b", "c")
    assert loaded.config.input_size == (32, 32)
    assert loaded.config.anchors == CONFIG.anchors
    with pytest.raises(UsageError, match="height 33"):
        load_checkpoint(saved, input_size=(33, 32))


@pytest.mark.parametrize("nest", [None, "state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_state_dict_is_loaded_however_it_is_wrapped(tmp_path: Path, nest: str | None, prefix: str) -> None:
    model = build_detector(DetectorConfig(ARCH, NAMES))
    weights = {prefix + k: v for k, v in model.state_dict().items()}
    path = tmp_path / "weights.pth"
    torch.save({nest: weights, "epoch": 3} if nest else weights, path)
    loaded = load_checkpoint(path, arch=ARCH, input_size=(64, 64))
    assert same_weights(loaded, model)
    assert loaded.config.class_names == ("class 1", "class 2", "class 3")
    assert read_card(path) == {}


def test_half_precision_weights_are_widened(model: ThunderNet, tmp_path: Path) -> None:
    path = tmp_path / "half.safetensors"
    halves = {k: v.half() if v.is_floating_point() else v for k, v in model.state_dict().items()}
    save_checkpoint(path, model)
    config = json.loads(_metadata(path)["config"])
    rewrite(path, halves, config=config)
    loaded = load_checkpoint(path)
    assert {v.dtype for v in loaded.parameters()} == {torch.float32}
    assert torch.equal(loaded.head.fc.weight, model.head.fc.weight.half().float())


def _metadata(path: Path) -> dict[str, str]:
    length = int.from_bytes(path.read_bytes()[:8], "little")
    found: dict[str, str] = json.loads(path.read_bytes()[8 : 8 + length])["__metadata__"]
    return found


def test_a_failed_write_leaves_the_old_file_alone(
    model: ThunderNet, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = saved.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(UsageError, match="No space left"):
        save_checkpoint(saved, model)
    assert saved.read_bytes() == before
    assert [p.name for p in saved.parent.iterdir()] == [saved.name]


def test_a_state_dict_must_be_told_its_architecture(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save({}, path)
    with pytest.raises(UsageError, match="--arch"):
        load_checkpoint(path)


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pt"])
@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", b"\xff" * 64, b"\x10" + b"\0" * 7 + b"not json at all."]
)
def test_a_file_of_something_else(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="weights"):
        load_checkpoint(path, arch=ARCH)


def test_a_missing_file(tmp_path: Path) -> None:
    for path in (tmp_path / "none.pt", tmp_path):
        with pytest.raises(CheckpointError, match="no such file"):
            load_checkpoint(path, arch=ARCH)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_a_damaged_file_is_refused_or_loads_whole(saved: Path, data: st.DataObject) -> None:
    content = bytearray(saved.read_bytes())
    header = 8 + int.from_bytes(content[:8], "little")
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, header - 1))] ^= data.draw(st.integers(1, 255))
    path = saved.with_name("damaged.safetensors")
    path.write_bytes(content)
    try:
        loaded = load_checkpoint(path)
    except PocketdetError as error:
        assert str(error)
    else:
        assert all(torch.isfinite(v).all() for v in loaded.state_dict().values())


@pytest.mark.parametrize("suffix", ["pt", "pth"])
def test_a_truncated_state_dict(model: ThunderNet, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"weights.{suffix}"
    torch.save(model.state_dict(), path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(CheckpointError, match="not a plain PyTorch state dict"):
        load_checkpoint(path, arch=ARCH)


def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path) -> None:
    path, trace = tmp_path / "weights.pt", tmp_path / "it-ran"

    class Payload:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
            return Path.touch, (trace,)

    torch.save({"model": Payload()}, path)
    with pytest.raises(CheckpointError, match="not a plain PyTorch state dict"):
        load_checkpoint(path, arch=ARCH)
    assert not trace.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.zeros(1)], "found list"),
        (torch.zeros(1), "found Tensor"),
        ({"model": {"a": 1}}, "'a' is of type int"),
        ({"a": torch.zeros(2).to_sparse()}, "'a' is float32, sparse_coo, cpu: expected dense floats"),
        ({"a": torch.zeros(2, dtype=torch.complex64)}, "'a' is complex64"),
        ({"a": torch.tensor([1e300], dtype=torch.float64)}, "'a' has 1 NaN or infinite"),
    ],
)
def test_content_that_is_not_weights(tmp_path: Path, content: object, message: str) -> None:
    path = tmp_path / "weights.pt"
    torch.save(content, path)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path, arch=ARCH)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("head.fc.weight", float("nan"), "'head.fc.weight' has 1 NaN or infinite values: it is damaged"),
        ("rpn.deltas.bias", float("-inf"), "'rpn.deltas.bias' has 1 NaN or infinite values"),
        ("cem.c4.1.running_var", -0.5, "variance 'cem.c4.1.running_var' has negative values"),
    ],
)
def test_a_damaged_weight_is_named(
    model: ThunderNet, tmp_path: Path, name: str, value: float, message: str
) -> None:
    weights = {k: v.clone() for k, v in model.state_dict().items()}
    weights[name].view(-1)[0] = value
    path = tmp_path / "weights.pt"
    torch.save(weights, path)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path, arch=ARCH)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"input_size": [64, "96"]}, "input_size.1: Input should be a valid integer"),
        ({"class_names": "bolt"}, "class_names: Input should be a valid"),
        ({"colour": "red"}, "colour: Unexpected keyword argument"),
        ({"proposals": {"nms_iou": "high"}}, "proposals.nms_iou: Input should be a valid number"),
        ({"anchors": {"stride": 16.5}}, "anchors.stride: Input should be a valid integer"),
        ({"preprocessing": {"resize": "crop"}}, "preprocessing.resize: Input should be 'stretch',"),
        ({"postprocessing": {"sigma": -1}}, "Postprocessing.sigma has the value -1"),
        ({"head": None}, "head: Input should be"),
        ({"arch": 49}, "arch: Input should be a valid string"),
    ],
)
def test_a_wrong_field_of_the_configuration_is_named(
    model: ThunderNet, tmp_path: Path, config: dict[str, Any], message: str
) -> None:
    path = tmp_path / "weights.safetensors"
    rewrite(path, model.state_dict(), config={**plain_config(), **config})
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    assert "its configuration cannot be read" in str(caught.value)
    assert message in str(caught.value)


def test_a_newer_format_and_a_broken_card(model: ThunderNet, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    rewrite(path, model.state_dict(), config=plain_config(), pocketdet_format="2", card="[1]")
    with pytest.raises(CheckpointError, match="format '2': expected '1'"):
        load_checkpoint(path)
    with pytest.raises(CheckpointError, match="its card cannot be read"):
        read_card(path)


def test_names_that_are_too_few(saved: Path) -> None:
    with pytest.raises(CheckpointError, match="has 3 classes besides background, but 2 class names"):
        load_checkpoint(saved, class_names=("bolt", "nut"))


def test_weights_of_another_architecture_name_it(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save(build_detector(DetectorConfig("thundernet-snet146", NAMES)).state_dict(), path)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path, arch=ARCH)
    message = str(caught.value)
    assert "do not fit thundernet-snet49" in message
    assert "(expected (30, 24, 1, 1), found (66, 24, 1, 1))" in message
    assert message.endswith("they fit thundernet-snet146")


def test_missing_unexpected_and_misshapen_weights_are_listed(model: ThunderNet, tmp_path: Path) -> None:
    weights = dict(model.state_dict())
    for name in ("sam.theta.0.weight", "sam.theta.1.weight", "sam.theta.1.bias", "rpn.scores.bias"):
        del weights[name]
    weights["extra"] = torch.zeros(1)
    weights["head.fc.bias"] = torch.zeros(31)
    path = tmp_path / "weights.safetensors"
    save_checkpoint(path, model)
    rewrite(path, weights, config=json.loads(_metadata(path)["config"]))
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    message = str(caught.value)
    assert "4 missing: 'rpn.scores.bias', 'sam.theta.0.weight', 'sam.theta.1.weight', ..." in message
    assert "1 unexpected: 'extra'" in message
    assert "1 of another shape: 'head.fc.bias' (expected (32,), found (31,))" in message


def test_no_weights_at_all(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save({}, path)
    with pytest.raises(CheckpointError, match="missing: 'backbone.conv1.0.weight'"):
        load_checkpoint(path, arch=ARCH)
