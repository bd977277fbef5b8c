"""Damage is found and named."""

import json
from pathlib import Path

import pytest
from damage import damaged_copy, weighted_layers

from pocketdet.errors import UsageError
from pocketdet.export import ExportOptions, export_detector, verify
from pocketdet.models.thundernet import ThunderNet
from pocketdet.runtime.replay import replay


@pytest.fixture(scope="module")
def half_bundle(small_model: ThunderNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_detector(small_model, tmp_path_factory.mktemp("half"), ExportOptions(precision="fp16")).path


def test_a_sound_bundle_verifies(small_bundle: Path) -> None:
    report = verify(small_bundle, layers=True)
    assert report.ok
    assert set(report.images[0].checks) == {"pytorch", "onnxruntime", "ncnn"}
    judged = [row for row in report.layers if row.check]
    assert len(judged) == sum(row.layer_type != "Input" for row in report.layers) > 80
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
    from pocketdet.models.init import seeded_detector

    other = tmp_path / "other.safetensors"
    save_checkpoint(other, seeded_detector(small_model.config, seed=4))
    report = verify(small_bundle, weights=other)
    assert report.first_stage is not None
    assert "(pytorch, golden)" in report.first_stage


def test_a_slim_bundle_says_what_it_needs(small_model: ThunderNet, tmp_path: Path) -> None:
    slim = export_detector(small_model, tmp_path, ExportOptions(slim=True)).path
    assert verify(slim).ok
    with pytest.raises(UsageError, match="--weights FILE"):
        verify(slim, layers=True)


def test_half_precision_weights_verify_layer_by_layer(half_bundle: Path) -> None:
    report = verify(half_bundle, layers=True)
    assert report.ok
    assert any(row.check and row.check.max_abs > 0 for row in report.layers)


def test_damage_in_half_precision_weights_is_named(half_bundle: Path, tmp_path: Path) -> None:
    name = weighted_layers(half_bundle, "features")[9]
    report = verify(damaged_copy(half_bundle, tmp_path / "damaged", "features", name), layers=True)
    assert report.first_layer is not None
    assert report.first_layer.layer == name
