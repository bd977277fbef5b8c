"""The one place of the export where kinds of detectors part."""

from dataclasses import replace
from pathlib import Path

from pocketdet.errors import UsageError
from pocketdet.export.description import Description
from pocketdet.export.foreign import OnnxReference
from pocketdet.export.one_stage import OneStageReference
from pocketdet.export.onnx_network import load_onnx, read_onnx
from pocketdet.export.reference import Identity, Reference, Rule
from pocketdet.export.two_stage import TwoStageReference
from pocketdet.models.build import AnyDetector
from pocketdet.models.checkpoint import load_detector
from pocketdet.models.config import Preprocessing
from pocketdet.models.thundernet import ThunderNet
from pocketdet.runtime.bundle import Bundle
from pocketdet.runtime.bundle.one_stage import OneStageManifest
from pocketdet.runtime.bundle.two_stage import TwoStageManifest


def reference_of(model: AnyDetector) -> Reference:
    """A model as the export sees it."""
    return TwoStageReference(model) if isinstance(model, ThunderNet) else OneStageReference(model)


def described_reference(path: Path, description: Description) -> Reference:
    """Anybody's ONNX file as the export sees it, called by its file's name.

    Raises `UsageError` for a file or an output that does not fit the description, `ExportError` for a file
    that cannot be simplified, `EngineError` for one that cannot be run.
    """
    decode = description.spec()
    network = read_onnx(path, decode.outputs, description.input_size)
    pre = description.preprocessing
    # a manifest's texts are UTF-8 of at most 200 characters, a file's name may be anything
    architecture = path.stem.encode("utf-8", "replace").decode("utf-8")[:200]
    identity = Identity(architecture, description.class_names, description.input_size, pre)
    reference = OnnxReference(network, identity, decode)
    for level, slot, elements in decode.fields_read():
        problem = level.shape_error(slot, elements, reference.output_shapes[slot.output])
        if problem:
            raise UsageError(f"{path}: {problem}")
    return reference


def reference_of_bundle(bundle: Bundle, weights: Path | None = None) -> Reference | None:
    """What the bundle was made from, or `weights` in its place; None if it carries none and none are given.

    An ONNX file that was described is its own original. Raises what `load_detector` raises, and `UsageError`
    for an ONNX file that is none.
    """
    manifest = bundle.manifest
    if weights is None and manifest.reference_weights is None:
        return _from_onnx(bundle)
    model = load_detector(
        weights or bundle.path(manifest.reference_weights or ""),
        arch=manifest.architecture,
        class_names=manifest.class_names,
        input_size=(manifest.input.height, manifest.input.width),
    )
    return reference_of(model)


def _from_onnx(bundle: Bundle) -> Reference | None:
    manifest = bundle.manifest
    if not isinstance(manifest, OneStageManifest) or manifest.graphs.model.onnx is None:
        return None
    size = (manifest.input.height, manifest.input.width)
    preprocessing = Preprocessing(**manifest.preprocessing.model_dump())
    identity = Identity(manifest.architecture, manifest.class_names, size, preprocessing)
    network = load_onnx(bundle.path(manifest.graphs.model.onnx))
    return OnnxReference(network, identity, manifest.decode)


def rule_of_bundle(bundle: Bundle, score: float | None = None) -> Rule:
    """What makes detections of the bundle's scores, with `score` as its threshold unless that is None."""
    manifest = bundle.manifest
    if isinstance(manifest, OneStageManifest):
        rule = Rule.of(manifest.decode.selection)
    else:
        assert isinstance(manifest, TwoStageManifest)
        rule = Rule.of(manifest.postprocessing)
    return rule if score is None else replace(rule, score_threshold=score)
