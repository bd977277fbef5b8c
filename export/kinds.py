"""The one place of the export where kinds of detectors part."""

from dataclasses import replace
from pathlib import Path

from pocketdet.export.one_stage import OneStageReference
from pocketdet.export.reference import Reference, Rule
from pocketdet.export.two_stage import TwoStageReference
from pocketdet.models.build import AnyDetector
from pocketdet.models.checkpoint import load_detector
from pocketdet.models.thundernet import ThunderNet
from pocketdet.runtime.bundle import Bundle
from pocketdet.runtime.bundle.one_stage import OneStageManifest
from pocketdet.runtime.bundle.two_stage import TwoStageManifest


def reference_of(model: AnyDetector) -> Reference:
    """A model as the export sees it."""
    return TwoStageReference(model) if isinstance(model, ThunderNet) else OneStageReference(model)


def reference_of_bundle(bundle: Bundle, weights: Path | None = None) -> Reference | None:
    """What the bundle was made from, or `weights` in its place; None if it carries none and none are given.

    Raises what `load_detector` raises, `UsageError` if `weights` are those of another kind of detector.
    """
    manifest = bundle.manifest
    if weights is None and manifest.reference_weights is None:
        return None
    model = load_detector(
        weights or bundle.path(manifest.reference_weights or ""),
        arch=manifest.architecture,
        class_names=manifest.class_names,
        input_size=(manifest.input.height, manifest.input.width),
    )
    return reference_of(model)


def rule_of_bundle(bundle: Bundle, score: float | None = None) -> Rule:
    """What makes detections of the bundle's scores, with `score` as its threshold unless that is None."""
    manifest = bundle.manifest
    if isinstance(manifest, OneStageManifest):
        rule = Rule.of(manifest.decode.selection)
    else:
        assert isinstance(manifest, TwoStageManifest)
        rule = Rule.of(manifest.postprocessing)
    return rule if score is None else replace(rule, score_threshold=score)
