"""Untrusted weight files: none may run code, take the memory, or load as something it is not."""

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from pocketdet.errors import CheckpointError, UsageError
from pocketdet.models.build import architecture_names, build_detector
from pocketdet.models.checkpoint import load_checkpoint, load_detector, read_card, save_checkpoint
from pocketdet.models.config import DetectorConfig
from pocketdet.models.one_stage import OneStageConfig
from pocketdet.models.thundernet import ThunderNet
from pocketdet.models.weight_files import read_metadata, read_weights

ARCH = "thundernet-snet49"
Weights = dict[str, Tensor]


@pytest.fixture(scope="module")
def model() -> ThunderNet:
    torch.manual_seed(0)
    return build_detector(DetectorConfig(ARCH, ("bolt", "nut"), (64, 64)))


@pytest.fixture
def weights(model: ThunderNet) -> Weights:
    return {name: value.clone() for name, value in model.state_dict().items()}


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path, arch=ARCH)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def pickled(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def safe_header(path: Path, header: object, body: bytes = b"") -> Path:
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)
    return path


@pytest.mark.parametrize("name", ["weights.bin", "weights", "weights.onnx", "weights.pt.zip"])
def test_a_name_that_does_not_tell_the_format(weights: Weights, tmp_path: Path, name: str) -> None:
    message = refusal(pickled(tmp_path / name, weights))
    assert "cannot tell its format: expected weights named .safetensors, .pt or .pth" in message


@pytest.mark.parametrize("name", ["A.PT", "A.Pth", "A.SafeTensors"])
def test_capital_letters_in_the_name(weights: Weights, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.lower().endswith(".safetensors"):
        save_file(weights, path)
    else:
        torch.save(weights, path)
    assert torch.equal(load_checkpoint(path, arch=ARCH).head.fc.weight, weights["head.fc.weight"])


def test_a_card_of_a_file_that_is_not_there(tmp_path: Path) -> None:
    for name in ("none.safetensors", "none.pt"):
        with pytest.raises(CheckpointError, match="no such file"):
            read_card(tmp_path / name)


def test_weights_that_are_not_ours_are_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"a": torch.arange(6.0).reshape(2, 3)}, path, {"format": "pt"})
    read, metadata = read_weights(path)
    assert read["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert metadata == read_metadata(path) == {"format": "pt"}


def test_a_tensor_larger_than_its_file_is_refused(weights: Weights, tmp_path: Path) -> None:
    weights["head.fc.weight"] = torch.zeros(1).expand(10**11)
    message = refusal(pickled(tmp_path / "w.pt", weights))
    assert "weight 'head.fc.weight' claims 400000000000 bytes, but stores 4" in message


def test_a_transposed_weight_is_no_larger_than_its_file(
    model: ThunderNet, weights: Weights, tmp_path: Path
) -> None:
    weights["head.fc.weight"] = weights["head.fc.weight"].T.contiguous().T
    loaded = load_checkpoint(pickled(tmp_path / "w.pt", weights), arch=ARCH)
    assert torch.equal(loaded.head.fc.weight, model.head.fc.weight)


@pytest.mark.parametrize("shape", [(3_000_000, 0), (2**40, 0), (0, 1024), (0, 0)])
def test_a_classifier_of_absurd_width_is_refused(tmp_path: Path, shape: tuple[int, int]) -> None:
    entry = {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]}
    message = refusal(safe_header(tmp_path / "w.safetensors", {"head.scores.weight": entry}))
    assert f"found {shape}" in message or "classes" in message


@pytest.mark.parametrize("shape", [(), (3,), (3, 1024, 1)])
def test_a_classifier_that_is_no_matrix_is_refused(
    weights: Weights, tmp_path: Path, shape: tuple[int, ...]
) -> None:
    weights["head.scores.weight"] = torch.zeros(shape)
    assert f"found {shape}" in refusal(pickled(tmp_path / "w.pt", weights))


@pytest.mark.parametrize(
    "dtype", [torch.int64, torch.int32, torch.uint8, torch.bool, torch.float8_e4m3fn, torch.complex64]
)
def test_weights_that_are_not_floats_are_refused_by_name(
    weights: Weights, tmp_path: Path, dtype: torch.dtype
) -> None:
    weights["head.fc.weight"] = torch.ones(1024, 245).to(dtype)
    message = refusal(pickled(tmp_path / "w.pt", weights))
    assert f"weight 'head.fc.weight' is {str(dtype).removeprefix('torch.')}, " in message


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_become_float32(weights: Weights, tmp_path: Path, dtype: torch.dtype) -> None:
    other = {k: v.to(dtype) if v.is_floating_point() else v for k, v in weights.items()}
    loaded = load_checkpoint(pickled(tmp_path / "w.pt", other), arch=ARCH)
    for name, value in loaded.state_dict().items():
        assert value.dtype == weights[name].dtype, name
        assert torch.equal(value, other[name].to(value.dtype)), name


def test_weights_without_values_are_refused(weights: Weights, tmp_path: Path) -> None:
    weights["head.fc.weight"] = torch.ones(1024, 245, device="meta")
    assert "is float32, strided, meta" in refusal(pickled(tmp_path / "w.pt", weights))


def test_a_prefix_goes_only_if_every_name_has_it(weights: Weights, tmp_path: Path) -> None:
    both = weights | {f"module.{name}": torch.zeros_like(value) for name, value in weights.items()}
    message = refusal(pickled(tmp_path / "w.pt", both))
    assert "unexpected: 'module.backbone.conv1.0.weight'" in message


class Payload:
    """Pickles as a call."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (self.folder,)


@pytest.mark.parametrize("nested", [False, True])
def test_code_does_not_run_and_nobody_is_told_to_let_it(tmp_path: Path, nested: bool) -> None:
    payload = Payload(str(tmp_path / "it-ran"))
    message = refusal(pickled(tmp_path / "w.pt", {"a": payload} if nested else payload))
    assert "it is damaged or holds more than tensors; save model.state_dict() instead" in message
    assert "weights_only" not in message
    assert not (tmp_path / "it-ran").exists()


@pytest.mark.parametrize("cut", [0, 1, 100, 0.5, 0.99])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_cut_file(weights: Weights, tmp_path: Path, suffix: str, cut: float) -> None:
    path = tmp_path / f"w{suffix}"
    save_file(weights, path) if suffix == ".safetensors" else torch.save(weights, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * cut) if 0 < cut < 1 else int(cut)])
    refusal(path)


@pytest.mark.parametrize(
    "header",
    [
        [],
        {"a": {}},
        {"a": {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 2**60]}},
        {"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 4]}},
        {"__metadata__": {"config": 7}},
    ],
)
def test_a_header_that_lies(tmp_path: Path, header: object) -> None:
    assert "not a readable safetensors file" in refusal(
        safe_header(tmp_path / "w.safetensors", header, bytes(4))
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("null", "Input should be an object"),
        ("[]", "Input should be an object"),
        ('"thundernet-snet49"', "Input should be an object"),
        ("{}", "arch: "),
        ("", "Invalid JSON"),
        ("{arch: 1}", "Invalid JSON"),
        ("[" * 100_000, "Invalid JSON"),
        ('{"arch": "x", "class_names": ["a"], "input_size": [64, 64, 64]}', "input_size: "),
        ('{"arch": "x", "class_names": ["a"], "input_size": [1e999, 64]}', "input_size.0: "),
        ('{"arch": "x", "class_names": ["a"], "proposals": {"nms_iou": NaN}}', "nms_iou has the value nan"),
    ],
)
def test_a_configuration_of_the_wrong_kind(weights: Weights, tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "w.safetensors"
    save_file(weights, path, {"pocketdet_format": "1", "config": text})
    assert f"its configuration cannot be read: {message}" in refusal(path).replace("Proposals.", "")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"arch": "thundernet-snet94"}, "unknown architecture 'thundernet-snet94': did you mean"),
        ({"arch": ARCH, "input_size": [64, 65]}, "input width 65 does not fit the network"),
    ],
)
def test_what_the_file_says_wrongly_is_blamed_on_the_file(
    weights: Weights, tmp_path: Path, config: dict[str, object], message: str
) -> None:
    path = tmp_path / "w.safetensors"
    text = json.dumps({"class_names": ["bolt", "nut"], **config})
    save_file(weights, path, {"pocketdet_format": "1", "config": text})
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    assert str(caught.value).startswith(f"{path}: {message}")


def test_another_architecture_than_the_file_says(model: ThunderNet, tmp_path: Path) -> None:
    small = build_detector(OneStageConfig("passd-mobilenet", ("bolt", "nut"), (64, 64)))
    for detector, other in ((model, "passd-mobilenet"), (small, ARCH)):
        path = tmp_path / "w.safetensors"
        save_checkpoint(path, detector)
        with pytest.raises(UsageError, match=f"says that it is .*do not fit {other}: leave out --arch"):
            load_detector(path, arch=other)
        with pytest.raises(UsageError, match="unknown architecture 'passd'.*") as caught:
            load_detector(path, arch="passd")
        assert all(name in str(caught.value) for name in architecture_names())


@pytest.mark.parametrize("card", ["[]", "7", '{"a": 1}', '{"a": {"b": "c"}}', '{"a": null}', "{", ""])
def test_a_card_that_is_not_text_by_text(weights: Weights, tmp_path: Path, card: str) -> None:
    path = tmp_path / "w.safetensors"
    save_file(weights, path, {"card": card})
    with pytest.raises(CheckpointError, match="its card cannot be read"):
        read_card(path)


@pytest.mark.parametrize("card", [{"AP": 0.5}, {1: "one"}, {"data": None}])
def test_a_card_that_could_not_be_read_is_not_written(model: ThunderNet, tmp_path: Path, card: dict) -> None:
    with pytest.raises(UsageError, match=r"the card of .* cannot be written"):
        save_checkpoint(tmp_path / "w.safetensors", model, card)
    assert not list(tmp_path.iterdir())


def test_weights_that_could_not_be_read_are_not_written(weights: Weights, tmp_path: Path) -> None:
    model = build_detector(DetectorConfig(ARCH, ("bolt", "nut"), (64, 64)))
    path = tmp_path / "w.safetensors"
    save_checkpoint(path, model)
    before = path.read_bytes()
    with torch.no_grad():
        model.rpn.scores.bias[3] = torch.inf
    with pytest.raises(CheckpointError, match=r"'rpn\.scores\.bias' has 1 NaN or infinite"):
        save_checkpoint(path, model)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_written(model: ThunderNet, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UsageError, match="file: the folder cannot be made"):
        save_checkpoint(tmp_path / "file" / "w.safetensors", model)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_folders_are_made_and_the_file_is_readable_by_others(model: ThunderNet, tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "w.safetensors"
    save_checkpoint(path, model)
    assert path.stat().st_mode & 0o777 == 0o644
    assert load_checkpoint(path).config == model.config
