"""Damage is found and named."""

import json
from pathlib import Path

import pytest
from damage import damaged_copy, weighted_layers
from overflowing import overflowing

from pocketdet.errors import UsageError
from pocketdet.export import ExportOptions, export_detector, verify
from pocketdet.models.thundernet import ThunderNet
from pocketdet.runtime.verification import replay


@pytest.fixture(scope="module")
def half_bundle(small_model: ThunderNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_detector(small_model, tmp_path_factory.mktemp("half"), ExportOptions(precision="fp16")).path


def test_a_sound_bundle_verifies(small_bundle: Path) -> None:
    report = verify(small_bundle, layers=True)
    assert report.ok
    assert set(report.images[0].checks) == {"pytorch", "onnxruntime", "ncnn"}
    checked = [row for row in report.layers if row.check]
    assert len(checked) == sum(row.layer_type != "Input" for row in report.layers) > 80
    assert json.loads(json.dumps(report.to_json()))["ok"] is True


@pytest.mark.parametrize("index", [0, 17, 60])
def test_the_damaged_layer_is_named(small_bundle: Path, tmp_path: Path, index: int) -> None:
    weighted = weighted_layers(small_bundle, "features")
    name = weighted[index % len(weighted)]
    bundle = damaged_copy(small_bundle, tmp_path / "damaged", "features", name)
    report = verify(bundle, layers=True)
    assert not report.ok
    assert report.first_layer is not None
    assert report.first_layer.layer == name
    assert report.first_stage is not None
    assert report.first_stage.startswith("features.")
    assert "(ncnn, golden)" in report.first_stage


def test_damage_in_the_head_is_found_in_the_head(small_bundle: Path, tmp_path: Path) -> None:
    name = weighted_layers(small_bundle, "head")[0]
    report = verify(damaged_copy(small_bundle, tmp_path / "damaged", "head", name), layers=True)
    assert report.first_layer is not None
    assert (report.first_layer.graph, report.first_layer.layer) == ("head", name)
    assert report.first_stage == "head (ncnn, golden)"


def test_replay_without_torch_weights_sees_the_damage_too(small_bundle: Path, tmp_path: Path) -> None:
    name = weighted_layers(small_bundle, "features")[0]
    assert replay(small_bundle).ok
    assert not replay(damaged_copy(small_bundle, tmp_path / "damaged", "features", name)).ok


def test_other_weights_are_not_this_bundle(
    small_bundle: Path, small_model: ThunderNet, tmp_path: Path
) -> None:
    from pocketdet.models.checkpoint import save_checkpoint
    from pocketdet.models.random_init import random_thundernet

    other = tmp_path / "other.safetensors"
    save_checkpoint(other, random_thundernet(small_model.config, seed=4))
    report = verify(small_bundle, weights=other)
    assert report.first_stage is not None
    assert "(pytorch, golden)" in report.first_stage


def test_a_slim_bundle_says_what_it_needs(small_model: ThunderNet, tmp_path: Path) -> None:
    slim = export_detector(small_model, tmp_path, ExportOptions(slim=True)).path
    assert verify(slim).ok
    with pytest.raises(UsageError, match="--weights FILE"):
        verify(slim, layers=True)


@pytest.mark.slow
def test_half_precision_weights_verify_layer_by_layer(half_bundle: Path) -> None:
    report = verify(half_bundle, layers=True)
    assert report.ok
    assert any(row.check and row.check.max_abs > 0 for row in report.layers)


def test_damage_in_half_precision_weights_is_named(half_bundle: Path, tmp_path: Path) -> None:
    name = weighted_layers(half_bundle, "features")[9]
    report = verify(damaged_copy(half_bundle, tmp_path / "damaged", "features", name), layers=True)
    assert report.first_layer is not None
    assert report.first_layer.layer == name


def test_an_overflow_in_half_precision_is_found_and_named(small_model: ThunderNet, tmp_path: Path) -> None:
    """A bundle that says it is made for half precision and was not."""
    broken = overflowing(small_model, "a branch of the backbone")
    path = export_detector(broken, tmp_path).path
    assert verify(path).ok
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["graphs"]["features"]["arithmetic"] = "fp16"
    (path / "manifest.json").write_text(json.dumps(manifest))
    report = verify(path)
    assert not report.ok
    made, read = report.overflows
    assert made.startswith("features: Convolution 'convrelu_")
    assert "gives values up to" in made
    assert read.startswith("features: ConvolutionDepthWise 'convdw_")
    assert report.to_json()["overflows"] == [made, read]
    manifest["graphs"]["features"]["arithmetic"] = "bf16-storage"
    (path / "manifest.json").write_text(json.dumps(manifest))
    assert verify(path).overflows == ()


def test_what_rounded_weights_cost_is_told(half_bundle: Path, small_bundle: Path) -> None:
    costs = verify(half_bundle).costs
    assert [line.split(" by at most ")[0] for line in costs] == [
        f"-[i] fp16 weights change {name}" for name in ("rpn_scores", "rpn_deltas", "sam")
    ]
    assert not verify(small_bundle).costs
