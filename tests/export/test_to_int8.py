"""A detector exported in int8: within its limits, distinguished by name, and the same for the same images."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from damage import rehash
from overflowing import overflowing

from pocketdet.datasets import Dataset
from pocketdet.datasets.records import ImageAnnotations
from pocketdet.datasets.scenes import random_scene, render_scene
from pocketdet.errors import UsageError
from pocketdet.evaluation.evaluate import ApMetric, ap_limit
from pocketdet.export import ExportOptions, export_detector, int8_gain
from pocketdet.export import to_int8 as to_int8_step
from pocketdet.export.int8_gain import GAIN_FILE, write_int8_gain
from pocketdet.export.options import downscale
from pocketdet.export.precision import LayerChoice
from pocketdet.export.quantization import QuantizeSettings
from pocketdet.export.to_int8 import table_file
from pocketdet.export.verify import verify
from pocketdet.models.thundernet import ThunderNet
from pocketdet.runtime.bundle import load_bundle
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.images import read_image
from pocketdet.runtime.ncnn_graph import read_graph, write_graph
from pocketdet.runtime.ncnn_graph.feature_mask import kept_in_fp32

INT8 = ExportOptions(name="int8", precision="int8")


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    folder = tmp_path_factory.mktemp("calibration")
    for seed in range(10):
        rng = np.random.default_rng(seed)
        image = render_scene(random_scene(rng, (160, 160)), rng).image
        cv2.imwrite(str(folder / f"{seed}.png"), image[..., ::-1])
    return tuple(sorted(folder.iterdir()))


@pytest.fixture(scope="module")
def log() -> list[str]:
    return []


@pytest.fixture(scope="module")
def bundle(
    trained_model: ThunderNet,
    scenes: tuple[Path, ...],
    log: list[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    out = tmp_path_factory.mktemp("int8")
    return export_detector(trained_model, out, replace(INT8, calibration=scenes), log=log.append).path


def int8_layers(path: Path) -> dict[str, int]:
    """Graph -> how many layers have int8 weights."""
    counts = {}
    for name in ("features", "head"):
        graph = read_graph(path / f"{name}.ncnn.param", path / f"{name}.ncnn.bin")
        kinds = [{w.storage for w in layer.weights.values()} for layer in graph.layers]
        counts[name] = sum("int8" in kind for kind in kinds)
    return counts


def test_every_layer_holds_and_little_is_lost(bundle: Path, log: list[str]) -> None:
    report = verify(bundle, layers=True)
    assert report.ok
    assert [row for row in report.layers if row.check is not None]
    counts = int8_layers(bundle)
    assert counts["features"] > 30
    assert counts["head"] == 2
    assert any(line.startswith(f"-[✓] features int8: {counts['features']} of ") for line in log)
    assert any("only 10 calibration items" in line for line in log)
    kept = [line for line in log if "stay in fp32" in line]
    assert any("depthwise convolutions cost accuracy in int8" in line for line in kept)
    of_features = [line for line in kept if line.startswith("-[i] int8 features: ")]
    total = int(of_features[0].split(" of ")[1].split()[0])
    assert sum(int(line.split()[3]) for line in of_features) == total - counts["features"]


def test_the_gain_on_arm_is_predicted(bundle: Path, log: list[str]) -> None:
    """Of the ThunderNet, int8 pays on the big core if the other layers are in half precision."""
    with load_bundle(bundle) as loaded:
        document = json.loads(loaded.read_bytes(GAIN_FILE))
    assert document["measured"] is False
    title = "-[i] int8 on ARM, predicted from modelled cycles, not measured"
    start = next(i for i, line in enumerate(log) if line.startswith(title))
    for core, row in zip(document["cores"], log[start + 2 :], strict=False):
        fp16, small, large = (
            core[f"predicted_cycles_{name}"] for name in ("fp16", "int8_others_fp16", "int8_others_fp32")
        )
        assert small < large
        assert row.split()[:2] == ["-[i]", core["core"]]
        assert f"{fp16 / 1e6:.1f}" in row
        assert f"{small / 1e6:.1f}, {fp16 / small:.2f} times" in row
        assert f"{large / 1e6:.1f}, {fp16 / large:.2f} times" in row
    assert [core["core"] for core in document["cores"]] == ["cortex-a76", "cortex-a55"]
    big = document["cores"][0]
    assert big["predicted_cycles_int8_others_fp16"] < big["predicted_cycles_fp16"]
    assert "-[i] others: layers that are not int8; this bundle asks for fp16 in them" in log[start:]


def test_what_it_asks_for_depends_on_the_machines(
    trained_model: ThunderNet, scenes: tuple[Path, ...], bundle: Path, tmp_path: Path
) -> None:
    """Half precision in layers that are not int8, if the channels are aligned for machines that have it."""
    lines: list[str] = []
    options = replace(INT8, calibration=scenes[:4], target="neon-fp32")
    other = export_detector(trained_model, tmp_path, options, log=lines.append).path
    for path, arithmetic in ((bundle, "fp16"), (other, "fp32")):
        with load_bundle(path) as loaded:
            assert {g.arithmetic for g in loaded.manifest.graphs.by_name().values()} == {arithmetic}
    assert lines[-1].endswith("this bundle asks for fp32 in them; --precision fp16 overrides that")


def test_a_graph_of_unknown_layers_has_no_prediction(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(int8_gain, "predict_gain", lambda works: ())
    with load_bundle(bundle) as loaded:
        folder = loaded.folder
        (folder / GAIN_FILE).unlink()
        lines = write_int8_gain(loaded.manifest.graphs, 1, folder)
        assert not (folder / GAIN_FILE).exists()
    assert len(lines) == 1
    assert "is not predicted" in lines[0]


def test_it_says_what_it_is(bundle: Path, trained_bundle: Path) -> None:
    with Detector(bundle, engine="ncnn") as small, Detector(trained_bundle, engine="ncnn") as large:
        assert str(small.runs_in) == "int8 weights computed in int8, other layers in fp32"
        sizes = [
            sum(d.bundle.manifest.files[f"{graph}.ncnn.bin"].size for graph in ("features", "head"))
            for d in (small, large)
        ]
    assert sizes[0] < 0.35 * sizes[1]


def test_a_wrong_scale_is_found_in_spite_of_the_noise(bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "damaged.pocketdet"
    shutil.copytree(bundle, path)
    files = path / "features.ncnn.param", path / "features.ncnn.bin"
    graph = read_graph(*files)
    weights = graph.layer("convrelu_20").weights
    weights["input_scale"] = weights["input_scale"].with_values(4 * weights["input_scale"].values())
    write_graph(graph, *files)
    rehash(path)
    report = verify(path, layers=True)
    assert not report.ok
    first = next(row for row in report.layers if row.check is not None and not row.check.ok)
    assert first.layer == "convrelu_20"


def test_golden_is_a_calibration_image(bundle: Path, scenes: tuple[Path, ...]) -> None:
    with load_bundle(bundle) as loaded:
        np.testing.assert_array_equal(loaded.golden()["image"], read_image(scenes[0]))
    large = np.zeros((900, 1280, 3), np.uint8)
    large[:, 640:] = 255
    small = downscale(large)
    assert small.shape == (450, 640, 3)
    assert (small[:, :319].max(), small[:, 321:].min()) == (0, 255)
    assert downscale(small) is small


@pytest.mark.slow
def test_the_same_images_give_the_same_bundle(
    trained_model: ThunderNet, scenes: tuple[Path, ...], bundle: Path, tmp_path: Path
) -> None:
    again = export_detector(trained_model, tmp_path, replace(INT8, calibration=scenes)).path
    for graph in ("features", "head"):
        for name in (f"{graph}.ncnn.param", f"{graph}.ncnn.bin", table_file(graph)):
            assert (again / name).read_bytes() == (bundle / name).read_bytes()
        document = json.loads((again / table_file(graph)).read_text(encoding="utf-8"))
        assert document["table"]["items"] == 8  # two of ten are held out
        assert document["report"]["layers"]


@pytest.mark.slow
def test_single_layers_stay_as_they_were(
    trained_model: ThunderNet, scenes: tuple[Path, ...], bundle: Path, tmp_path: Path
) -> None:
    kept = (LayerChoice("backbone.stage2.*", "fp32"), LayerChoice("head/*", "fp32"))
    path = export_detector(trained_model, tmp_path, replace(INT8, calibration=scenes, layers=kept)).path
    counts = int8_layers(path)
    assert counts["head"] == 0
    assert 20 < counts["features"] < int8_layers(bundle)["features"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "asked", "is_kept"),
    [("neon-fp16", "head/*", True), ("neon-fp16", "*", False), ("neon-fp32", "head/*", False)],
)
def test_layers_that_are_predicted_to_be_slower_stay_unless_asked_for(
    trained_model: ThunderNet,
    scenes: tuple[Path, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    target: str,
    asked: str,
    is_kept: bool,
) -> None:
    """No layer of a ThunderNet is: here, all of the head and some of the features count as such."""
    monkeypatch.setattr(
        to_int8_step,
        "slower_layers",
        lambda works: tuple(work.name for work in works if work.group == "1x1")[-4:],
    )
    lines: list[str] = []
    options = replace(
        INT8, calibration=scenes[:4], target=target, layers=(LayerChoice(asked, "int8"),), overwrite=True
    )
    path = export_detector(trained_model, tmp_path, options, log=lines.append).path
    assert int8_layers(path)["head"] == 2
    kept = [line for line in lines if "predicted to be slower in int8 on ARM" in line]
    assert [line.startswith("-[i] int8 features: 4 of ") for line in kept] == [True] * is_kept


@pytest.mark.slow
def test_layers_that_could_overflow_in_half_precision_are_masked(
    trained_model: ThunderNet, scenes: tuple[Path, ...], bundle: Path, tmp_path: Path
) -> None:
    """The other layers of the bundle compute in half precision, on processors that have it."""
    assert kept_in_fp32(read_graph(bundle / "features.ncnn.param")) == []
    broken = overflowing(trained_model, "a branch of the backbone")
    lines: list[str] = []
    path = export_detector(broken, tmp_path, replace(INT8, calibration=scenes), log=lines.append).path
    kept = kept_in_fp32(read_graph(path / "features.ncnn.param"))
    assert [name.rpartition("_")[0] for name in kept] == ["convrelu", "convdw"]
    for name in kept:
        assert any(f"{name}'" in line and "kept in fp32" in line for line in lines)
    with load_bundle(path) as loaded:
        assert loaded.manifest.precision.arithmetic == "fp16"
    assert verify(path, layers=True).ok


@pytest.mark.slow
def test_a_limit_of_error_keeps_layers(
    trained_model: ThunderNet, scenes: tuple[Path, ...], bundle: Path, tmp_path: Path
) -> None:
    settings = QuantizeSettings(method="mse", equalise=False, max_output_error=0.05)
    path = export_detector(trained_model, tmp_path, replace(INT8, calibration=scenes, int8=settings)).path
    document = json.loads((path / table_file("features")).read_text(encoding="utf-8"))
    assert max(document["report"]["errors"].values()) <= 0.05
    assert 0 < int8_layers(path)["features"] < int8_layers(bundle)["features"]


@pytest.fixture(scope="module")
def labelled(trained_bundle: Path, scenes: tuple[Path, ...]) -> Dataset:
    """What the detector finds in fp32 above 0.3 is taken for the truth."""
    images = []
    with Detector(trained_bundle, engine="ncnn") as detector:
        for i, path in enumerate(scenes):
            found = detector.detect(read_image(path))
            best = found.scores > 0.3
            labels = found.labels[best].astype(np.int64)
            images.append(
                ImageAnnotations(path, (160, 160), found.boxes[best], labels, np.zeros(len(labels), bool), i)
            )
        names = detector.bundle.manifest.class_names
    return Dataset(names, tuple(images))


def test_the_metric_tells_fp32_from_int8(bundle: Path, trained_bundle: Path, labelled: Dataset) -> None:
    with load_bundle(trained_bundle) as loaded, ApMetric(loaded, labelled) as metric:
        assert metric.fp32_ap > 50
        same = read_graph(trained_bundle / "features.ncnn.param", trained_bundle / "features.ncnn.bin")
        assert metric("features", same) == 0
        features = read_graph(bundle / "features.ncnn.param", bundle / "features.ncnn.bin")
        drop = metric("features", features)
        assert drop > 0
        metric.commit("features", features)
        assert metric("features", features) == drop
        head = read_graph(bundle / "head.ncnn.param", bundle / "head.ncnn.bin")
        assert metric("head", head) == pytest.approx(drop, abs=1)
        weights = next(layer.weights for layer in reversed(head.layers) if "a" in layer.weights)
        weights["a"] = weights["a"].with_values(np.zeros_like(weights["a"].values()))
        assert metric("head", head) > 50


@pytest.mark.slow
def test_ap_limits_what_is_quantised(
    trained_model: ThunderNet, scenes: tuple[Path, ...], labelled: Dataset, tmp_path: Path
) -> None:
    settings = QuantizeSettings(method="mse", equalise=False)
    options = replace(INT8, calibration=scenes, int8=settings, metric_limit=ap_limit(labelled, 4.0))
    path = export_detector(trained_model, tmp_path, options).path
    report = json.loads((path / table_file("features")).read_text(encoding="utf-8"))["report"]
    assert report["metric"] is None or report["metric"] <= 4.0
    assert all(step["metric"] is not None for step in report["steps"])
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_what_makes_no_sense_is_refused(
    trained_model: ThunderNet, scenes: tuple[Path, ...], labelled: Dataset, tmp_path: Path
) -> None:
    for options, words in (
        (ExportOptions(precision="int8"), "int8 needs images like those that the detector will see"),
        (ExportOptions(metric_limit=ap_limit(labelled, 1.0)), "no layer is to be int8"),
        (ExportOptions(int8=QuantizeSettings(max_output_error=0.1)), "no layer is to be int8"),
        (
            replace(INT8, calibration=scenes, layers=(LayerChoice("conv_94", "fp16"),)),
            "'features/conv_94' is to be fp16: a line for an int8 bundle says int8 or fp32",
        ),
    ):
        with pytest.raises(UsageError, match=words):
            export_detector(trained_model, tmp_path, options)
    for points in (0.0, -1.0, 101.0, float("nan")):
        with pytest.raises(UsageError, match=r"expected above 0, to 100"):
            ap_limit(labelled, points)
    assert not list(tmp_path.iterdir())
