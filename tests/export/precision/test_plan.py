"""What the export keeps in fp32, by wish and by range; what the bundle then holds, and how it is proved."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from overflowing import overflowing

from pocketdet.errors import ExportError, ImageError, UsageError
from pocketdet.export import ExportOptions, export_detector, verify
from pocketdet.export.half_weights import round_to_half
from pocketdet.export.precision import LayerChoice, find_risks, measure_peaks
from pocketdet.export.precision.overflow import LARGEST_HALF, channel_peaks
from pocketdet.models.fold_bn import fold_batch_norm
from pocketdet.models.thundernet import ThunderNet
from pocketdet.runtime.bundle import load_bundle
from pocketdet.runtime.engines.ncnn_engine import NcnnEngine
from pocketdet.runtime.images import write_image
from pocketdet.runtime.ncnn_graph import Graph, Layer, encode, read_graph
from pocketdet.runtime.ncnn_graph.feature_mask import kept_in_fp32
from pocketdet.runtime.precision import Precision


def export(model: ThunderNet, folder: Path, **options: Any) -> tuple[Path, list[str]]:
    lines: list[str] = []
    path = export_detector(model, folder, ExportOptions(**options), log=lines.append).path
    return path, lines


def graphs(path: Path) -> dict[str, Graph]:
    names = ("features", "head")
    return {n: read_graph(path / f"{n}.ncnn.param", path / f"{n}.ncnn.bin") for n in names}


def test_a_sound_model_keeps_nothing(small_model: ThunderNet, tmp_path: Path) -> None:
    path, lines = export(small_model, tmp_path, precision="fp16")
    assert [kept_in_fp32(graph) for graph in graphs(path).values()] == [[], []]
    assert "-[✓] range features: 0 layers in fp32, no other can overflow (3 images)" in lines
    with load_bundle(path) as bundle:
        assert bundle.manifest.precision == Precision("fp16", "fp16")
        assert bundle.manifest.layout.fp32_modules == ()


@pytest.mark.parametrize("target", [None, pytest.param("neon-fp16", marks=pytest.mark.slow)])
def test_what_would_overflow_is_named_and_kept(
    small_model: ThunderNet, tmp_path: Path, target: str | None
) -> None:
    broken = overflowing(small_model, "a branch of the backbone")
    path, lines = export(broken, tmp_path, precision="fp16", target=target)
    (made, read) = [line for line in lines if line.startswith("-[!]") and "kept in fp32" in line][:2]
    assert made.startswith("-[!] features: Convolution 'convrelu_")
    assert "gives values up to" in made
    assert read.startswith("-[!] features: ConvolutionDepthWise 'convdw_")
    assert "reads values up to" in read
    kept = kept_in_fp32(graphs(path)["features"])
    assert [name.rpartition("_")[0] for name in kept] == ["convrelu", "convdw"]
    by_name = {layer.name: layer for layer in graphs(path)["features"].layers}
    assert {by_name[name].weights["weight"].storage for name in kept} == {"fp32"}
    with load_bundle(path) as bundle:
        branch = ("backbone.stage2.1.branch.0.0", "backbone.stage2.1.branch.1.0")
        assert bundle.manifest.layout.fp32_modules == branch
    assert verify(path, layers=True).ok


@pytest.mark.slow
def test_the_pass_leaves_no_risk(small_model: ThunderNet, tmp_path: Path) -> None:
    """Measured once more on the finished graph, without what the export knows."""
    path, _ = export(overflowing(small_model, "the head"), tmp_path, precision="fp16")
    with load_bundle(path) as bundle:
        spec = bundle.manifest.graphs.head
        assert (spec.arithmetic, bundle.manifest.graphs.features.arithmetic) == ("fp32", "fp16")
        rows = bundle.golden()["roi_features"]
        engine = NcnnEngine({"head": spec}, bundle.path)
        graph = graphs(path)["head"]
        peaks = measure_peaks(engine, "head", graph, "roi_features", [rows])
    assert max(peak.max() for peak in peaks.values()) > LARGEST_HALF
    assert {w.storage for x in graph.layers for w in x.weights.values()} == {"fp32"}


@pytest.mark.slow
def test_a_file_of_choices_is_followed(small_model: ThunderNet, tmp_path: Path) -> None:
    choices = (LayerChoice("backbone.conv1.*", "fp32"), LayerChoice("head/*", "fp32"))
    path, _ = export(small_model, tmp_path, precision="fp16", layers=choices)
    features = graphs(path)["features"]
    (kept,) = kept_in_fp32(features)
    assert features.layer(kept).weights["weight"].storage == "fp32"
    assert sum(w.storage == "fp16" for x in features.layers for w in x.weights.values()) > 50
    folded = fold_batch_norm(small_model)[0].backbone.conv1[0].weight.detach().numpy()
    stored = features.layer(kept).weights["weight"].values()
    assert np.isin(folded.ravel(), stored.ravel()).all()  # not rounded, wherever the lanes put it
    with load_bundle(path) as bundle:
        kept_modules = set(bundle.manifest.layout.fp32_modules)
    assert kept_modules == {"backbone.conv1.0", "head.fc", "head.scores", "head.deltas"}
    assert verify(path, layers=True).ok


@pytest.mark.slow
def test_one_layer_in_half_precision(small_model: ThunderNet, tmp_path: Path) -> None:
    path, _ = export(small_model, tmp_path, layers=(LayerChoice("head.fc", "fp16"),), target=None)
    found = graphs(path)
    assert kept_in_fp32(found["head"]) == ["relu_2", "gemm_1"]
    assert {w.storage for x in found["features"].layers for w in x.weights.values()} <= {"fp32", "raw"}
    with load_bundle(path) as bundle:
        assert bundle.manifest.precision == Precision("fp16", "fp16")
        assert bundle.manifest.graphs.features.arithmetic == "fp32"
    assert verify(path, layers=True).ok


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"precision": "int8"}, UsageError, "int8 needs images like those that the detector will see"),
        ({"layers": (LayerChoice("*", "int8"),)}, UsageError, "int8 needs images"),
        (
            {"layers": (LayerChoice("conv_x", "fp16"),)},
            UsageError,
            "no layer is called 'conv_x'; the nearest",
        ),
        ({"precision": "fp16", "calibration": (Path("absent.png"),)}, ImageError, r"absent\.png"),
    ],
)
def test_what_cannot_be_planned(
    small_model: ThunderNet, tmp_path: Path, options: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        export(small_model, tmp_path / "out", **options)
    assert not list(tmp_path.rglob("*"))


def test_calibration_pictures_take_part(
    small_model: ThunderNet, tmp_path: Path, sample_images: list[NDArray[np.uint8]]
) -> None:
    files = []
    for i, image in enumerate(sample_images[:2]):
        write_image(tmp_path / f"{i}.png", image)
        files.append(tmp_path / f"{i}.png")
    _, lines = export(small_model, tmp_path, precision="fp16", calibration=tuple(files))
    assert any("no other can overflow (5 images)" in line for line in lines)


@pytest.mark.slow
def test_a_weight_beyond_a_half_is_not_rounded(small_model: ThunderNet, tmp_path: Path) -> None:
    """The weight alone is too large; the values are not, for its inputs are small."""
    broken = overflowing(small_model, "a branch of the backbone", 2.0**-24)
    path, lines = export(broken, tmp_path, precision="fp16")
    assert any("convdw_" in line and "has a weight of" in line for line in lines)
    assert verify(path).ok


def test_infinite_values_in_fp32_are_named(small_model: ThunderNet, tmp_path: Path) -> None:
    broken = overflowing(small_model, "a branch of the backbone", 2.0**126)
    with pytest.raises(ExportError, match=r"'features': Convolution 'convrelu_\d+' gives NaN or infinite"):
        export(broken, tmp_path, precision="fp16")


@pytest.mark.parametrize("shape", [(3, 4, 5), (7, 6), (9,), (1, 1, 1), (5, 0)])
def test_peaks_by_channel(shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).normal(0, 1, shape).astype(np.float32)
    channels = shape[0] if len(shape) > 2 else shape[-1]
    expected = np.zeros(channels)
    for index in np.ndindex(*shape):
        channel = index[0] if len(shape) > 2 else index[-1]
        expected[channel] = max(expected[channel], abs(values[index]))
    np.testing.assert_array_equal(channel_peaks(values), expected)


@pytest.mark.parametrize(("peak", "risky"), [(8000.0, False), (8200.0, True)])
def test_the_margin_counts(peak: float, risky: bool) -> None:
    graph = Graph([Layer("Input", "in", [], ["a"]), Layer("ReLU", "r", ["a"], ["b"])])
    found = find_risks(graph, {"a": np.array([0.0]), "b": np.array([1.0, peak])})
    assert [risk.layer for risk in found] == ["r"] * risky
    assert not find_risks(graph, {"a": np.array([0.0]), "b": np.array([peak])}, margin=2.0)


def test_sums_and_masks_count() -> None:
    weight = encode(np.full((1, 4, 1, 1), 1000, np.float32), "fp32")
    conv = Layer("Convolution", "c", ["a"], ["b"], {0: 1, 1: 1, 6: 4}, {"weight": weight})
    graph = Graph([Layer("Input", "in", [], ["a"]), conv])
    peaks = {"a": np.full(4, 3.0), "b": np.array([1.0])}  # the terms cancel out
    (risk,) = find_risks(graph, peaks)
    assert str(risk) == "Convolution 'c': its sums may reach 1.2e+04"
    conv.params[31] = 3
    assert find_risks(graph, peaks) == []


def test_rounding_leaves_what_it_is_told_to(small_model: ThunderNet) -> None:
    rounded = round_to_half(small_model, ("head.fc",))
    assert torch.equal(rounded.head.fc.weight, small_model.head.fc.weight)
    assert not torch.equal(rounded.head.scores.weight, small_model.head.scores.weight)
