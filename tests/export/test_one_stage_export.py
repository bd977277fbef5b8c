"""One-stage detectors through every step of the export: PyTorch, ONNX and ncnn give the same detections."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from damage import damaged_copy, weighted_layers

from pocketdet.evaluation.inputs import open_input
from pocketdet.export import ExportOptions, export_detector, verify
from pocketdet.export.exporter import ExportResult, export_reference
from pocketdet.export.reference.base import synthetic_image
from pocketdet.export.reference.factory import reference_of
from pocketdet.export.reference.one_stage import TorchOneStageReference
from pocketdet.models.backbones import MobileNetConfig, ResNetConfig, VGGConfig
from pocketdet.models.build import build_detector
from pocketdet.models.checkpoint import save_checkpoint
from pocketdet.models.mimicdet import MimicDet, MimicDetConfig
from pocketdet.models.one_stage import OneStageConfig, OneStageDetector
from pocketdet.models.passd import PASSD, PASSDConfig
from pocketdet.models.random_init import calibrated_random_init
from pocketdet.models.retinanet import LW_RETINANET, RetinaNet, RetinaNetConfig
from pocketdet.runtime.bundle import load_bundle
from pocketdet.runtime.bundle.one_stage import OneStageManifest
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.ncnn_graph import read_graph
from pocketdet.runtime.parity import TOLERANCES, compare_detections
from pocketdet.runtime.pipeline import Boxes

SIZE = (64, 96)
NAMES = ("bolt", "nut", "washer")
IMAGES = [synthetic_image(SIZE, seed) for seed in (5, 6)]
TINY = ResNetConfig((1, 1, 1, 1), 4)
FAMILIES: dict[str, Callable[[], OneStageDetector]] = {
    "retinanet-r50": lambda: RetinaNet(RetinaNetConfig(3, SIZE, TINY, width=8, depth=1)),
    "lw-retinanet-v1-r50": lambda: _light("v1"),
    "lw-retinanet-v2-r50": lambda: _light("v2"),
    "lw-retinanet-v3-r50": lambda: _light("v3"),
    "passd-mobilenet": lambda: PASSD(PASSDConfig(MobileNetConfig(8), 3, SIZE, extra_width=8, width=8)),
    "passd-vgg16": lambda: PASSD(PASSDConfig(VGGConfig(2), 3, SIZE, extra_width=8, width=8)),
    "passd-r101": lambda: PASSD(PASSDConfig(TINY, 3, SIZE, extra_width=8, width=8)),
    "mimicdet-r50": lambda: MimicDet(MimicDetConfig(3, SIZE, TINY, width=8, feature_width=6)),
}


def _light(version: str) -> RetinaNet:
    return RetinaNet(RetinaNetConfig(3, SIZE, TINY, width=8, depth=1, light=LW_RETINANET[version]))


def tiny(arch: str) -> TorchOneStageReference:
    """An architecture at its narrowest; its weights do not fit the checkpoint of the real one."""
    model = FAMILIES[arch]()
    model.built_from = OneStageConfig(arch, NAMES, input_size=SIZE)
    calibrated_random_init(model, SIZE, seed=4)
    return TorchOneStageReference(model)


@pytest.mark.parametrize(
    "arch",
    [
        arch if arch == "passd-mobilenet" else pytest.param(arch, marks=pytest.mark.slow)
        for arch in sorted(FAMILIES)
    ],
)
def test_a_family_keeps_its_answers(arch: str, tmp_path: Path) -> None:
    reference = tiny(arch)
    result = export_reference(reference, tmp_path)
    steps = {check.name.split(" ")[0] for check in result.checks}
    assert {"fold", "onnx", "ncnn", "onnxruntime"} <= steps
    assert ("inference" in steps) == arch.startswith("mimicdet")
    manifest = result.manifest
    assert isinstance(manifest, OneStageManifest)
    assert manifest.decode == reference.decode
    with Detector(result.path, engine="ncnn") as detector:
        for image in IMAGES:
            found = detector.detect(image)
            boxes = Boxes(found.boxes, found.scores, found.labels)
            check = compare_detections(arch, reference.values(image), boxes, TOLERANCES["fp32"])
            assert check.ok, check
            assert len(boxes.scores) > 5


@pytest.mark.parametrize(
    ("arch", "layers", "source"),
    [("passd-mobilenet", 12, "attend.0"), ("mimicdet-r50", 5, "student.others.conv")],
)
def test_what_only_training_needs_is_gone(arch: str, layers: int, source: str, tmp_path: Path) -> None:
    result = export_reference(tiny(arch), tmp_path, ExportOptions(target="avx2"))
    with load_bundle(result.path) as bundle:
        spec = bundle.manifest.graphs.by_name()["model"]
        graph = read_graph(bundle.path(spec.param), bundle.path(spec.bin))
        header = bundle.read_bytes("reference/weights.safetensors")[:20_000]
    kinds = [layer.type for layer in graph.layers]
    assert kinds.count("DeformableConv2D") == layers
    assert source in {name.split("#")[0] for name in spec.layer_sources.values()}
    assert b"teacher" not in header


@pytest.fixture(scope="module")
def passd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the real PASSD on MobileNet, for small images."""
    model = build_detector(OneStageConfig("passd-mobilenet", NAMES, input_size=(64, 64)))
    calibrated_random_init(model, (64, 64), seed=2)
    path = tmp_path_factory.mktemp("passd") / "passd.safetensors"
    save_checkpoint(path, model)
    return path


@pytest.fixture(scope="module")
def exported(passd: Path, tmp_path_factory: pytest.TempPathFactory) -> ExportResult:
    from pocketdet.models.checkpoint import load_detector

    return export_detector(load_detector(passd), tmp_path_factory.mktemp("bundle"))


def test_a_sound_bundle_verifies_layer_by_layer(exported: ExportResult, tmp_path: Path) -> None:
    report = verify(exported.path, layers=True)
    assert report.ok
    assert set(report.images[0].checks) == {"pytorch", "onnxruntime", "ncnn"}
    assert all(row.check for row in report.layers if row.layer_type != "Input")
    assert json.loads(json.dumps(report.to_json()))["ok"] is True


def test_the_damaged_layer_is_named(exported: ExportResult, tmp_path: Path) -> None:
    names = weighted_layers(exported.path, "model")
    deformable = next(name for name in names if name.startswith("DeformConv"))
    bundle = damaged_copy(exported.path, tmp_path / "damaged", "model", deformable)
    report = verify(bundle, layers=True)
    assert report.first_layer is not None
    assert report.first_layer.layer == deformable
    assert (report.first_stage or "").startswith("model.attend_")


def test_every_form_of_a_checkpoint_finds_the_same(passd: Path, exported: ExportResult) -> None:
    with open_input(passd) as target, target.variants(("pytorch", "onnx", "ncnn-fp32")) as variants:
        found = [variant.detect(IMAGES[0]) for variant in variants]
        rules = {variant.rule for variant in variants}
    with open_input(exported.path) as target, target.variants(("pytorch", "ncnn-fp32"), score=0.3) as few:
        assert {variant.rule.score_threshold for variant in few} == {0.3}
        assert {len(variant.detect(IMAGES[0]).scores) for variant in few} == {
            int((found[0].scores > 0.3).sum())
        }
    assert len(rules) == 1
    assert len(found) == 3
    assert len(found[0].scores) > 3
    for other in found[1:]:
        boxes = Boxes(other.boxes, other.scores, other.labels.astype(np.int32))
        assert compare_detections("form", vars(found[0]), boxes, TOLERANCES["fp32"]).ok


@pytest.mark.slow
def test_half_precision_leaves_the_offsets_alone(tmp_path: Path) -> None:
    reference = tiny("passd-mobilenet")
    result = export_reference(reference, tmp_path, ExportOptions(precision="fp16"))
    with load_bundle(result.path) as bundle:
        spec = bundle.manifest.graphs.by_name()["model"]
        graph = read_graph(bundle.path(spec.param), bundle.path(spec.bin))
    stored = {
        layer.type: {weight.storage for role, weight in layer.weights.items() if role == "weight"}
        for layer in graph.layers
    }
    assert stored["DeformableConv2D"] == {"fp16"}
    masked = {layer.type for layer in graph.layers if 31 in layer.params}
    assert masked == {"Clip", "Concat", "Convolution", "Slice", "TanH", "UnaryOp"}
    assert result.manifest.layout.weight_storage == "fp16"


def test_a_reference_keeps_the_callers_model(tmp_path: Path) -> None:
    reference = tiny("passd-mobilenet")
    before = {name: values.clone() for name, values in reference.model.state_dict().items()}
    reference.with_postprocessing(score=0.9).stages(np.zeros((8, 8, 3), np.uint8))
    reference.folded()[0].rounded(())
    after = reference.model.state_dict()
    assert all(torch.equal(after[name], values) for name, values in before.items())
    assert reference_of(reference.model).postprocessing == reference.postprocessing
