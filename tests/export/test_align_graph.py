"""Aligned bundles: the same outputs as without alignment, and every blob can be compared with PyTorch."""

import shutil
from collections.abc import Callable
from pathlib import Path

import ncnn
import numpy as np
import pytest
from damage import rehash
from numpy.typing import NDArray
from safetensors.numpy import save_file

from pocketdet.errors import BundleError, CheckFailed, UsageError
from pocketdet.export import ExportOptions, export_detector, verify
from pocketdet.export.align_graph import (
    MAX_DIFFERENCE,
    align_graph,
    check_alignment,
    read_channel_orders,
    restore_channel_order,
    write_channel_orders,
)
from pocketdet.export.passes.channel_alignment import ALIGNMENT_TARGETS, alignment_target
from pocketdet.models.thundernet import ThunderNet
from pocketdet.runtime.bundle import load_bundle
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.ncnn_graph import Graph, read_graph
from pocketdet.runtime.ncnn_graph.feature_mask import FEATURE_MASK
from pocketdet.runtime.verification import TOLERANCES

FEATURES = {"image": (3, 96, 64)}


def features(bundle: Path) -> Graph:
    return read_graph(bundle / "features.ncnn.param", bundle / "features.ncnn.bin")


def test_the_manifest_records_lanes_and_target(small_bundle: Path, plain_bundle: Path) -> None:
    with load_bundle(small_bundle) as ours_aligned, load_bundle(plain_bundle) as plain:
        assert (ours_aligned.manifest.layout.lanes, ours_aligned.manifest.layout.target) == (8, "neon-fp16")
        assert (plain.manifest.layout.lanes, plain.manifest.layout.target) == (1, None)
        assert ours_aligned.manifest.graphs.features.lane_layouts == "reference/features.lanes.safetensors"
        assert plain.manifest.graphs.features.lane_layouts is None


def test_a_slim_bundle_has_no_channel_orders(small_model: ThunderNet, tmp_path: Path) -> None:
    manifest = export_detector(small_model, tmp_path, ExportOptions(slim=True)).manifest
    assert manifest.layout.lanes == 8
    assert manifest.graphs.features.lane_layouts is None
    assert not [name for name in manifest.files if name.startswith("reference/")]


def test_detections_are_the_same_with_and_without_alignment(
    small_bundle: Path, plain_bundle: Path, sample_images: list[NDArray[np.uint8]]
) -> None:
    found = 0
    with Detector(small_bundle, engine="ncnn") as aligned, Detector(plain_bundle, engine="ncnn") as plain:
        for image in sample_images:
            ours, theirs = aligned.detect(image), plain.detect(image)
            assert np.array_equal(ours.labels, theirs.labels)
            np.testing.assert_allclose(ours.boxes, theirs.boxes, atol=TOLERANCES["fp32"].box_pixels)
            np.testing.assert_allclose(ours.scores, theirs.scores, atol=TOLERANCES["fp32"].score)
            found += len(ours)
    assert found > 50


def outputs(bundle: Path, image: NDArray[np.float32], **options: bool) -> list[NDArray[np.float32]]:
    """The maps of a bundle's features graph as ncnn makes them with other options."""
    net = ncnn.Net()
    net.opt.num_threads = 1
    for name, value in options.items():
        setattr(net.opt, name, value)
    assert net.load_param(str(bundle / "features.ncnn.param")) == 0
    assert net.load_model(str(bundle / "features.ncnn.bin")) == 0
    extractor = net.create_extractor()
    source = ncnn.Mat(image).clone()
    extractor.input("image", source)
    return [np.array(extractor.extract(blob)[1]) for blob in ("rpn_scores", "rpn_deltas", "sam")]


@pytest.mark.parametrize(
    "options",
    [{"use_packing_layout": False}, {"use_winograd_convolution": False}, {"use_sgemm_convolution": False}],
)
def test_an_aligned_graph_computes_the_same_without_packing(
    small_bundle: Path, plain_bundle: Path, options: dict[str, bool]
) -> None:
    """A graph that is aligned for 8 lanes computes the same without packing and with other kernels."""
    image = np.random.default_rng(5).normal(size=FEATURES["image"]).astype(np.float32)
    for expected, found in zip(
        outputs(plain_bundle, image), outputs(small_bundle, image, **options), strict=True
    ):
        assert np.abs(found - expected).max() <= MAX_DIFFERENCE * np.abs(expected).max()


@pytest.mark.parametrize("target", ["neon-fp32", "avx512"])  # the default is what test_verify proves
def test_every_target_verifies_layer_by_layer(small_model: ThunderNet, tmp_path: Path, target: str) -> None:
    bundle = export_detector(small_model, tmp_path, ExportOptions(target=target)).path
    report = verify(bundle, layers=True)
    assert report.ok
    assert all(row.check for row in report.layers if row.layer_type != "Input")


@pytest.mark.parametrize(("target", "asked"), [("neon-fp16", False), ("avx2", True)])
def test_direct_convolution_is_forced_on_x86_only(plain_bundle: Path, target: str, asked: bool) -> None:
    graph = align_graph(features(plain_bundle), FEATURES, ALIGNMENT_TARGETS[target]).graph
    assert [layer.name for layer in graph.layers if FEATURE_MASK in layer.params] == ["convrelu_0"] * asked


@pytest.mark.slow
def test_half_precision_weights_are_not_rounded_again(small_model: ThunderNet, tmp_path: Path) -> None:
    options = [
        ExportOptions(name=name, precision="fp16", target=t) for name, t in (("a", None), ("b", "avx2"))
    ]
    plain, wide = (features(export_detector(small_model, tmp_path, o).path) for o in options)
    name = "convrelu_0"
    ours, theirs = plain.layer(name).weights["weight"], wide.layer(name).weights["weight"]
    assert ours.storage == theirs.storage == "fp16"
    assert set(np.unique(theirs.data)) - {np.float16(0)} == set(np.unique(ours.data)) - {np.float16(0)}


def test_a_changed_output_raises(plain_bundle: Path) -> None:
    graph = features(plain_bundle)
    aligned = align_graph(graph, FEATURES, ALIGNMENT_TARGETS["avx2"])
    weight = aligned.graph.layer("convrelu_1").weights["weight"]
    aligned.graph.layer("convrelu_1").weights["weight"] = weight.with_values(
        weight.values() * np.float32(1.1)
    )
    with pytest.raises(CheckFailed, match=r"changed the outputs .*; first: .* of the largest value"):
        check_alignment(graph, aligned, FEATURES)


def test_alignment_target() -> None:
    assert alignment_target("neon-fp16").lanes == 8
    assert alignment_target("avx512", 8).lanes == 8
    with pytest.raises(UsageError, match=r"target 'sve': expected one of neon-fp32, neon-fp16, avx2, avx512"):
        alignment_target("sve")
    with pytest.raises(UsageError, match=r"8 lanes for target neon-fp32: expected 4; .*neon-fp16 8"):
        alignment_target("neon-fp32", 8)


def test_unknown_target_stops_an_export_before_it_starts(small_model: ThunderNet, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="target 'sve'"):
        export_detector(small_model, tmp_path, ExportOptions(target="sve"))
    assert list(tmp_path.iterdir()) == []


def test_restore_channel_order() -> None:
    reference = np.arange(6, dtype=np.float32).reshape(
        1, 3, 2
    )  # a batch of one, three channels of two values
    wide = np.array([[4, 5], [9, 9], [0, 1], [9, 9]], np.float32)
    subject, expected = restore_channel_order(wide, reference, np.array([2, -1, 0, -1], np.int32))
    assert subject.tolist() == expected.tolist() == [[4, 5], [0, 1]]


@pytest.mark.parametrize("order", [None, np.array([0, 1], np.int32), np.array([7, 0, 0, 0], np.int32)])
def test_restore_channel_order_returns_what_does_not_fit(order: NDArray[np.int32] | None) -> None:
    reference, subject = np.ones((3, 2), np.float32), np.ones((4, 2), np.float32)
    assert restore_channel_order(subject, reference, order) == (subject, reference)


def test_channel_orders_are_read_back(plain_bundle: Path, tmp_path: Path) -> None:
    aligned = align_graph(features(plain_bundle), FEATURES, ALIGNMENT_TARGETS["avx2"])
    write_channel_orders(aligned, tmp_path / "lanes.safetensors")
    found = read_channel_orders(tmp_path / "lanes.safetensors")
    assert found.keys() == aligned.channel_orders.keys()
    assert all(np.array_equal(found[blob], order) for blob, order in aligned.channel_orders.items())


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:100]),
        lambda path: save_file({"cat_1": np.zeros((2, 2), np.int32)}, path),
        lambda path: save_file({"cat_1": np.zeros(4, np.float32)}, path),
    ],
)
def test_damaged_channel_orders_raise(
    small_bundle: Path, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    bundle = Path(shutil.copytree(small_bundle, tmp_path / "bundle"))
    damage(bundle / "reference/features.lanes.safetensors")
    rehash(bundle)
    with pytest.raises(BundleError, match=r"features\.lanes\.safetensors"):
        verify(bundle, layers=True)


def test_wrong_channel_orders_fail_the_layers(small_bundle: Path, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(small_bundle, tmp_path / "bundle"))
    path = bundle / "reference/features.lanes.safetensors"
    save_file({blob: order[::-1].copy() for blob, order in read_channel_orders(path).items()}, path)
    rehash(bundle)
    assert not verify(bundle, layers=True).ok
