"""`pocketdet export --sizes`: one bundle of several input sizes, and the commands that choose one of them."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from command_line import Ending, command

from pocketdet.models.checkpoint import save_checkpoint
from pocketdet.models.thundernet import ThunderNet
from pocketdet.runtime.bundle import load_bundle
from pocketdet.runtime.bundle.schema import Manifest
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.images import read_image

__all__ = ["command"]

Command = Callable[..., Ending]

MODULE = """
import torch
from torch import nn


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 4, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1))

    def forward(self, image):
        return self.body(image)
"""
DESCRIPTION = """
input_size = [64, 64]
class_names = ["bolt", "nut", "washer"]

[[levels]]
stride = 8
output = "output0"
boxes = 0
objectness = 4
classes = 5

[[codings]]
encoding = "distance"
activation = "relu"

[scores]
objectness_power = 1
"""


@pytest.fixture(scope="module")
def folder(small_model: ThunderNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights, a photo, and a module with its description."""
    folder = tmp_path_factory.mktemp("sizes")
    save_checkpoint(folder / "w.safetensors", small_model)
    cv2.imwrite(str(folder / "photo.png"), np.random.default_rng(1).integers(0, 256, (40, 50, 3), np.uint8))
    (folder / "sized_module.py").write_text(MODULE, encoding="utf-8")
    (folder / "module.toml").write_text(DESCRIPTION, encoding="utf-8")
    return folder


def weight_files(manifest: Manifest) -> list[str]:
    return [spec.bin for spec in manifest.graphs.by_name().values()]


def test_one_bundle_of_two_sizes(command: Command, folder: Path, tmp_path: Path) -> None:
    ending = command("export", folder / "w.safetensors", "--sizes", "96x64,64", "--out", tmp_path)
    assert (ending.code, ending.err) == (0, "")
    assert "\ninput size 64x64\n" in ending.out
    bundle = tmp_path / "thundernet-snet49.pocketdet"
    assert list(tmp_path.iterdir()) == [bundle]
    photo = read_image(folder / "photo.png")
    with load_bundle(bundle) as first, load_bundle(bundle, 64) as second:
        assert [str(size) for size in first.sizes] == ["96x64", "64x64"]
        assert weight_files(first.manifest) == weight_files(second.manifest)  # stored once
        assert [name for name in first.manifest.files if name.endswith(".onnx")] == [
            "reference/features.onnx",
            "reference/head.onnx",
        ]
        head = second.manifest.graphs.by_name()["head"]
        assert head.param == "head.ncnn.param"
        found = Detector(second).detect(photo)
    with Detector(bundle, size=64) as detector:
        assert np.array_equal(detector.detect(photo).boxes, found.boxes)
    ending = command("verify", bundle, "--image", folder / "photo.png", "--layers")
    assert (ending.code, ending.err) == (0, "")
    assert "ncnn against PyTorch, golden at 64x64" in ending.out
    alone = json.loads(command("verify", bundle, "--size", "64", "--json").out)
    assert [image["image"] for image in alone["images"]] == ["golden at 64x64"]
    detected = json.loads(
        command("detect", bundle, folder / "photo.png", "--size=64", "--no-save", "--json").out
    )
    assert len(detected["frames"][0]["detections"]) == len(found)
    card = json.loads(command("info", bundle, "--size", "64x64", "--json").out)
    assert card["sizes"] == ["96x64", "64x64"]
    assert card["input"].startswith("64 x 64 pixels")
    assert "96x64, 64x64" in command("info", bundle).out
    refused = command("detect", bundle, folder / "photo.png", "--size", "320")
    assert refused.code == 2
    assert "input size 320x320: expected a size of this bundle: 96x64, 64x64" in refused.err
    onnx = command("detect", bundle, folder / "photo.png", "--size", "64", "--engine", "onnxruntime")
    assert onnx.code == 2
    assert "no ONNX files for this input size" in onnx.err


@pytest.mark.parametrize("storage", ["fp32", pytest.param("fp16", marks=pytest.mark.slow)])
def test_a_module_of_three_sizes(
    command: Command, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, storage: str
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    ending = command(
        *("export", "sized_module:Detector", "--outputs", "module.toml", "--sizes", "64,32x96,128"),
        *("--slim", "--zip", "--precision", storage, "--out", tmp_path),
    )
    assert (ending.code, ending.err) == (0, "")
    path = tmp_path / "Detector.pocketdet.zip"
    photo = read_image(folder / "photo.png")
    found = []
    for size, grid in ((64, (8, 8)), ((32, 96), (4, 12)), (128, (16, 16))):
        with Detector(path, size=size, score_threshold=0.0) as detector:
            manifest = detector.bundle.manifest
            assert manifest.decode.levels[0].grid == grid  # type: ignore[attr-defined]
            assert weight_files(manifest) == ["model.ncnn.bin"]
            found.append(detector.detect(photo))
    assert not np.array_equal(found[0].boxes, found[1].boxes)
    assert command("verify", path).code == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--sizes", "64,64"), "input sizes 64x64, 64x64: expected at most 8 sizes, each of them once"),
        (("--sizes", ",".join(map(str, range(32, 320, 32)))), "expected at most 8 sizes"),
        (("--sizes", "64,"), "input size '': expected one side or HEIGHTxWIDTH"),
        (("--sizes", "64,100"), "100"),
        (("--sizes", "64,96", "--input-size", "64"), "--input-size and --sizes: give one of them"),
    ],
)
def test_sizes_are_refused(
    command: Command, folder: Path, tmp_path: Path, words: tuple[str, ...], sentence: str
) -> None:
    ending = command("export", folder / "w.safetensors", *words, "--out", tmp_path / "out")
    assert ending.code == 2
    assert sentence in ending.err
    assert len(ending.err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_size_is_of_a_bundle(command: Command, folder: Path) -> None:
    ending = command("info", folder / "w.safetensors", "--size", "64")
    assert ending.code == 2
    assert "--size is for bundles" in ending.err
