"""A bundle is there whole or not at all, in every form."""

import copy
import errno
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

import pocketdet
from pocketdet.errors import CheckFailed, ExportError, UsageError
from pocketdet.export import ExportOptions, FoldReport, export_detector, fold_batch_norm
from pocketdet.models.checkpoint import read_card
from pocketdet.models.config import DetectorConfig
from pocketdet.models.random_init import random_thundernet
from pocketdet.models.thundernet import ThunderNet
from pocketdet.runtime.bundle import load_bundle
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.parity import Check


def leftovers(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_the_log_tells_every_fold_and_check(small_model: ThunderNet, tmp_path: Path) -> None:
    lines: list[str] = []
    result = export_detector(small_model, tmp_path, log=lines.append)
    assert len(result.folds.folds) == sum("folded" in line for line in lines) > 50
    assert not result.folds.refusals
    (golden,) = (line for line in lines if "golden image" in line)
    assert golden.startswith("-[i] golden image: ")  # so small an input has fewer RoIs than are kept
    assert golden.endswith(" of 200 RoIs")
    assert all(line.startswith("-[✓] ") for line in lines if line != golden)
    assert any(line.startswith("-[✓] ncnn rpn_scores (50, 6, 4) max abs ") for line in lines)
    assert leftovers(tmp_path) == ["thundernet-snet49.pocketdet"]


def test_forms_of_one_bundle_detect_the_same(
    small_model: ThunderNet, small_bundle: Path, tmp_path: Path, sample_images: list[NDArray[np.uint8]]
) -> None:
    forms = [
        ExportOptions(name="zipped", archive=True),
        ExportOptions(name="slim", slim=True),
        ExportOptions(name="both", archive=True, slim=True),
    ]
    with Detector(small_bundle, engine="ncnn") as detector:
        expected = detector.detect(sample_images[0])
    for options in forms:
        path = export_detector(small_model, tmp_path, options).path
        with Detector(path, engine="ncnn") as detector:
            found = detector.detect(sample_images[0])
        assert np.array_equal(found.boxes, expected.boxes)
        assert np.array_equal(found.scores, expected.scores)
    assert leftovers(tmp_path) == ["both.pocketdet.zip", "slim.pocketdet", "zipped.pocketdet.zip"]


@pytest.mark.slow
def test_half_precision_storage_is_recorded_and_smaller(small_model: ThunderNet, tmp_path: Path) -> None:
    full = export_detector(small_model, tmp_path, ExportOptions(name="full")).manifest
    half = export_detector(small_model, tmp_path, ExportOptions(name="half", precision="fp16")).manifest
    assert (full.layout.weight_storage, half.layout.weight_storage) == ("fp32", "fp16")
    assert half.files["features.ncnn.bin"].size < 0.6 * full.files["features.ncnn.bin"].size


def test_a_model_in_training_is_exported_as_it_infers_and_stays_in_training(
    small_model: ThunderNet, small_bundle: Path, tmp_path: Path
) -> None:
    model = copy.deepcopy(small_model).train()
    exported = export_detector(model, tmp_path).path
    assert model.training
    with load_bundle(exported) as found, load_bundle(small_bundle) as expected:
        for name in ("features.ncnn.bin", "golden/stages.safetensors"):
            assert found.read_bytes(name) == expected.read_bytes(name)


def test_the_card_travels_with_the_bundle(small_model: ThunderNet, tmp_path: Path) -> None:
    card = {"data": "three bolts", "licence": "MIT"}
    result = export_detector(small_model, tmp_path, card=card)
    with load_bundle(result.path) as bundle:
        assert bundle.manifest.card == card
        assert read_card(bundle.path("reference/weights.safetensors")) == card


def test_the_package_itself_is_callable(small_model: ThunderNet, tmp_path: Path) -> None:
    result = pocketdet.export(small_model, tmp_path, ExportOptions(name="called"))
    assert result.path == tmp_path / "called.pocketdet"


def test_nothing_is_overwritten_unasked(small_model: ThunderNet, tmp_path: Path) -> None:
    target = tmp_path / "thundernet-snet49.pocketdet"
    target.mkdir()
    (target / "precious.txt").write_text("mine")
    with pytest.raises(ExportError, match="exists already"):
        export_detector(small_model, tmp_path)
    with pytest.raises(ExportError, match="not a bundle"):
        export_detector(small_model, tmp_path, ExportOptions(overwrite=True))
    assert leftovers(target) == ["precious.txt"]


def test_overwriting_replaces_a_bundle(small_model: ThunderNet, tmp_path: Path) -> None:
    first = export_detector(small_model, tmp_path).path
    (first / "stray").write_text("old")
    export_detector(small_model, tmp_path, ExportOptions(overwrite=True))
    assert not (first / "stray").exists()
    load_bundle(first).close()
    assert leftovers(tmp_path) == ["thundernet-snet49.pocketdet"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_damaged_weights_are_refused_by_name(small_model: ThunderNet, tmp_path: Path, value: float) -> None:
    model = copy.deepcopy(small_model)
    with torch.no_grad():
        model.cem.glb.weight[3, 5] = value
    with pytest.raises(ExportError, match=r"'cem\.glb\.weight' has 1 NaN or infinite"):
        export_detector(model, tmp_path)
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    "stop_at", ["folded backbone.conv1", "onnx rpn_deltas", "ncnn class_logits", "ncnn boxes"]
)
def test_interruption_leaves_nothing(small_model: ThunderNet, tmp_path: Path, stop_at: str) -> None:
    def interrupt(line: str) -> None:
        if stop_at in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_detector(small_model, tmp_path, log=interrupt)
    assert leftovers(tmp_path) == []


def test_a_full_disk_is_a_sentence(
    small_model: ThunderNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pocketdet.export.export_size.write_golden", full)
    with pytest.raises(ExportError, match="the disk is full; nothing was left behind"):
        export_detector(small_model, tmp_path)
    assert leftovers(tmp_path) == []


def test_an_output_folder_that_is_a_file(small_model: ThunderNet, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(ExportError, match="cannot write"):
        export_detector(small_model, tmp_path / "out")


def test_a_conversion_that_changes_answers_stops_the_export(
    small_model: ThunderNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sabotage(model: ThunderNet) -> tuple[nn.Module, FoldReport]:
        folded, report = fold_batch_norm(model)
        with torch.no_grad():
            folded.get_parameter("rpn.scores.weight").mul_(1.01)
        return folded, report

    monkeypatch.setattr("pocketdet.export.reference.base.fold_batch_norm", sabotage)
    with pytest.raises(CheckFailed, match="fold rpn_scores"):
        export_detector(small_model, tmp_path)
    assert leftovers(tmp_path) == []


def test_int8_that_is_too_coarse_says_what_to_do(
    small_model: ThunderNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    coarse = Check("int8 rpn_scores", (1,), 1.0, 13.0, 0.9, 2.0, False)
    monkeypatch.setattr("pocketdet.export.export_size._compare", lambda *_: [coarse])
    with pytest.raises(CheckFailed, match=r"first: -\[x\] int8 rpn_scores.*--calib.*--max-output-error"):
        export_detector(small_model, tmp_path)


def test_an_input_size_off_the_strides_names_the_nearest() -> None:
    config = DetectorConfig("thundernet-snet49", ("a",), input_size=(320, 300))
    with pytest.raises(UsageError, match="width 300 .* nearest is 288"):
        random_thundernet(config, 0)
