"""Damage is found and named."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pocketdet.errors import UsageError
from pocketdet.export import ExportOptions, export_detector, verify
from pocketdet.models.thundernet import ThunderNet
from pocketdet.runtime.bundle import hash_file, manifest_to_json, parse_manifest
from pocketdet.runtime.ncnn_graph import read_graph, write_graph
from pocketdet.runtime.replay import replay


def rehash(bundle: Path) -> None:
    """What an honest tool would do after changing a file: the hashes are right, the content is not."""
    path = bundle / "manifest.json"
    manifest = parse_manifest(path.read_bytes(), str(path))
    files = {name: hash_file(bundle / name) for name in manifest.files}
    path.write_text(manifest_to_json(manifest.model_copy(update={"files": files})))


def damaged_copy(bundle: Path, target: Path, graph: str, layer: str) -> Path:
    shutil.copytree(bundle, target)
    param, bin_ = target / f"{graph}.ncnn.param", target / f"{graph}.ncnn.bin"
    network = read_graph(param, bin_)
    weights = network.layer(layer).weights
    role = "weight" if graph == "features" else "b"
    values = weights[role].values().copy()
    values.flat[values.size // 2] += 5 * np.abs(values).max()
    weights[role] = weights[role].with_values(values)
    write_graph(network, param, bin_)
    rehash(target)
    return target


def test_a_sound_bundle_verifies(small_bundle: Path) -> None:
    report = verify(small_bundle, layers=True)
    assert report.ok
    assert set(report.images[0].checks) == {"pytorch", "onnxruntime", "ncnn"}
    judged = [row for row in report.layers if row.check]
    assert len(judged) == sum(row.layer_type != "Input" for row in report.layers) > 80
    assert json.loads(json.dumps(report.to_json()))["ok"] is True


@pytest.mark.parametrize("index", [0, 17, 60])
def test_the_damaged_layer_is_named(small_bundle: Path, tmp_path: Path, index: int) -> None:
    network = read_graph(small_bundle / "features.ncnn.param", small_bundle / "features.ncnn.bin")
    weighted = [layer.name for layer in network.layers if layer.weights]
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
    network = read_graph(small_bundle / "head.ncnn.param", small_bundle / "head.ncnn.bin")
    name = next(layer.name for layer in network.layers if layer.type == "Gemm")
    report = verify(damaged_copy(small_bundle, tmp_path / "damaged", "head", name), layers=True)
    assert report.first_layer is not None
    assert (report.first_layer.graph, report.first_layer.layer) == ("head", name)
    assert report.first_stage == "head (ncnn, golden)"


def test_replay_without_torch_weights_sees_the_damage_too(small_bundle: Path, tmp_path: Path) -> None:
    network = read_graph(small_bundle / "features.ncnn.param", small_bundle / "features.ncnn.bin")
    name = next(layer.name for layer in network.layers if layer.weights)
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
