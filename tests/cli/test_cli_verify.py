"""`pocketdet verify`: verdicts, tables, JSON and exit codes, with PyTorch and without."""

import importlib
import importlib.util
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from command_line import Ending, command
from damage import damaged_copy, weighted_layers
from rich.console import Console

from pocketdet.cli.verify import print_report
from pocketdet.models.checkpoint import save_checkpoint
from pocketdet.models.config import DetectorConfig
from pocketdet.models.random_init import random_thundernet
from pocketdet.models.thundernet import ThunderNet
from pocketdet.runtime.parity import Check
from pocketdet.runtime.verification import ImageReport, VerifyReport

__all__ = ["command"]

Command = Callable[..., Ending]


@pytest.fixture
def no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with the runtime only: torch is not found, and importing our exporter would show."""
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "torch" else find(name))

    def missing(*_: object, **__: object) -> None:
        raise AssertionError("the exporter was used")

    module = importlib.import_module("pocketdet.export.verify")
    monkeypatch.setattr(module, "verify", missing)


@pytest.fixture(scope="module")
def damaged(small_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A bundle with one wrong weight, and the name of its layer."""
    name = weighted_layers(small_bundle, "features")[20]
    folder = tmp_path_factory.mktemp("damaged") / "d.pocketdet"
    return damaged_copy(small_bundle, folder, "features", name), name


def test_a_sound_bundle(command: Command, small_bundle: Path) -> None:
    ending = command("verify", small_bundle)
    assert (ending.code, ending.err) == (0, "")
    assert "all 38 stage checks hold" in ending.out  # 14 of PyTorch, 12 of each engine
    for subject in (
        "pytorch against PyTorch at export",
        "onnxruntime against PyTorch",
        "ncnn against PyTorch",
    ):
        assert subject in ending.out
    for column in ("stage", "max abs", "limit", "SNR dB", "cosine"):
        assert column in ending.out
    assert "image to boxes" in ending.out


def test_json_holds_every_stage_layer_and_image(command: Command, small_bundle: Path, tmp_path: Path) -> None:
    photos = [tmp_path / "one.png", tmp_path / "two.jpg"]
    for seed, photo in enumerate(photos):
        image = np.random.default_rng(seed).integers(0, 256, (40, 50, 3), np.uint8)
        cv2.imwrite(str(photo), image)
    arguments = [word for photo in photos for word in ("--image", photo)]
    ending = command("verify", small_bundle, "--layers", "--json", *arguments)
    assert (ending.code, ending.err) == (0, "")
    report = json.loads(ending.out)
    assert (report["ok"], report["first_stage"], report["first_layer"]) == (True, None, None)
    assert [part["image"] for part in report["images"]] == ["golden", *map(str, photos)]
    assert set(report["images"][0]["subjects"]) == {"pytorch", "onnxruntime", "ncnn"}
    for part in report["images"]:
        checks = part["subjects"]["ncnn"]
        assert len(checks) == 12
        for check in checks:
            assert set(check) == {
                *("name", "shape", "max_abs", "snr_db", "cosine", "tolerance", "ok", "note", "proved"),
            }
    assert {row["graph"] for row in report["layers"]} == {"features", "head"}
    assert all(row["check"]["ok"] for row in report["layers"] if row["check"])


def test_damage_exits_with_one_and_names_stage_and_layer(command: Command, damaged: tuple[Path, str]) -> None:
    bundle, layer = damaged
    ending = command("verify", bundle, "--layers")
    assert ending.code == 1
    assert "first stage out of tolerance: features." in ending.out
    assert f"{layer!r}" in ending.out.split("first layer out of tolerance: ")[1]
    assert "checks hold" not in ending.out
    report = json.loads(command("verify", bundle, "--layers", "--json").out)
    assert report["ok"] is False
    assert report["first_layer"] == layer
    assert report["first_stage"].startswith("features.")


def test_without_torch_golden_is_replayed(
    command: Command, small_bundle: Path, damaged: tuple[Path, str], no_torch: None
) -> None:
    ending = command("verify", small_bundle)
    assert ending.code == 0
    assert "all 24 stage checks hold" in ending.out
    assert command("verify", damaged[0]).code == 1


def test_a_one_stage_bundle(command: Command, tiny_one_stage_template: Path) -> None:
    ending = command("verify", tiny_one_stage_template)
    assert ending.code == 0
    rows = ("model.maps: classes, level 1", "model.rows: boxes, level 2", "image to boxes", "18/18 agree")
    for row in (*rows, "all 11 stage checks hold"):
        assert row in ending.out


def test_without_torch_a_one_stage_bundle_is_replayed(
    command: Command, tiny_one_stage: Path, rehash: Callable[[Path], None], no_torch: None
) -> None:
    assert "all 11 stage checks hold" in command("verify", tiny_one_stage).out
    weights = tiny_one_stage / "model.ncnn.bin"
    data = bytearray(weights.read_bytes())
    data[8:12] = np.float32(40).tobytes()  # one weight of the stem
    weights.write_bytes(data)
    rehash(tiny_one_stage)
    ending = command("verify", tiny_one_stage)
    assert ending.code == 1
    assert "first stage out of tolerance: model.maps: classes, level 1 (ncnn, golden)" in ending.out


@pytest.mark.parametrize("more", [("--layers",), ("--image", "a.png"), ("--weights", "w.pt")])
def test_without_torch_more_is_refused(
    command: Command, small_bundle: Path, no_torch: None, more: tuple[str, ...]
) -> None:
    ending = command("verify", small_bundle, *more)
    assert (ending.code, ending.out) == (2, "")
    assert "need PyTorch: pip install 'pocketdet[export]'" in ending.err


def test_other_weights(command: Command, small_bundle: Path, small_model: ThunderNet, tmp_path: Path) -> None:
    same, seed, size = (tmp_path / f"{name}.safetensors" for name in ("same", "seed", "other"))
    save_checkpoint(same, small_model)
    save_checkpoint(seed, random_thundernet(small_model.config, seed=9))
    config = DetectorConfig("thundernet-snet49", ("a", "b"), input_size=(64, 64))
    save_checkpoint(size, random_thundernet(config, seed=9))
    assert command("verify", small_bundle, "--weights", same).code == 0
    ending = command("verify", small_bundle, "--weights", seed)
    assert ending.code == 1
    assert "(pytorch, golden)" in ending.out
    ending = command("verify", small_bundle, "--weights", size)
    assert ending.code == 2
    assert "other.safetensors" in ending.err


def test_bad_input(command: Command, small_bundle: Path, tmp_path: Path) -> None:
    edited = Path(shutil.copytree(small_bundle, tmp_path / "edited"))
    with (edited / "head.ncnn.bin").open("r+b") as stream:
        stream.write(b"\xff")
    cases: list[tuple[tuple[object, ...], str]] = [
        ((tmp_path / "absent",), "absent: no such bundle"),
        ((edited,), "head.ncnn.bin"),
        ((small_bundle, "--image", tmp_path / "absent.png"), "absent.png: no such file"),
        ((small_bundle, "--image", small_bundle / "manifest.json"), "manifest.json: expected a "),
        ((small_bundle, "--weights", tmp_path / "absent.pt"), "absent.pt: no such file"),
        ((small_bundle, "--layer"), "--layer"),
    ]
    for arguments, words in cases:
        ending = command("verify", *arguments)
        assert (ending.code, ending.out) == (2, ""), arguments
        assert words in ending.err
        assert "Traceback" not in ending.err


def test_brackets_in_names_are_text(command: Command, small_bundle: Path, tmp_path: Path) -> None:
    photo = tmp_path / "[bold]x[" / "[red]photo.png"
    photo.parent.mkdir()
    photo.write_bytes((small_bundle / "golden" / "image.png").read_bytes())
    bundle = Path(shutil.copytree(small_bundle, photo.parent / "b.pocketdet"))
    manifest = bundle / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"backbone.conv1.2"', '"[/] not markup"'))
    ending = command("verify", bundle, "--image", photo, "--layers")
    assert (ending.code, ending.err) == (0, "")
    assert str(photo) in ending.out
    assert "[/] not markup" in ending.out


def test_brackets_in_names_of_outputs_are_text_and_figures_are_whole_in_80_columns() -> None:
    name = "model.[/] an output of a bundle that somebody else made: classes, level 1"
    check = Check(name, (3, 2), 1.25e-7, 128.0, 0.999999, 1e-3, True, "25/25 agree")
    report = VerifyReport("b.pocketdet", (ImageReport("golden", {"ncnn": [check]}),))
    console = Console(width=80, record=True, file=io.StringIO())
    print_report(report, console)
    text = console.export_text()
    assert "[/]" in text
    for word in ("1.2e-07", "1e-03", "128", "0.999999", "25/25 agree"):
        assert word in text
