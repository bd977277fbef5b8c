"""How a bundle's networks become boxes, in the words of `pocketdet info`."""

import dataclasses
from typing import Any

from pocketdet.runtime.bundle.one_stage import OneStageManifest
from pocketdet.runtime.bundle.schema import Manifest
from pocketdet.runtime.bundle.two_stage import TwoStageManifest
from pocketdet.spec.one_stage import BoxCoding, Level, OneStageSpec, Scores

Record = dict[str, Any]


def decode_facts(manifest: Manifest) -> Record:
    """What stands between the networks and the boxes, by name."""
    if isinstance(manifest, OneStageManifest):
        return _one_stage(manifest.decode)
    assert isinstance(manifest, TwoStageManifest)
    m = manifest
    rois = f"{m.max_rois} RoIs of {m.proposals.pre_nms_top_n}, NMS at IoU {m.proposals.nms_iou:g}"
    return {
        "anchors": f"{len(m.anchors.sizes)} per cell, stride {m.anchors.stride}",
        "proposals": rois,
        "postprocessing": m.postprocessing.model_dump(),
    }


def _one_stage(spec: OneStageSpec) -> Record:
    return {
        "levels": [_level(level) for level in spec.levels],
        "priors": spec.count,
        "box_coding": [_coding(coding) for coding in spec.codings],
        "scores": _scores(spec.scores),
        "selection": {k: v for k, v in dataclasses.asdict(spec.selection).items() if v is not None},
    }


def _level(level: Level) -> str:
    """The grid of one level, its priors and the outputs that it is read from."""
    height, width = level.grid
    slots = [level.classes, *level.boxes, *([level.objectness] if level.objectness else [])]
    outputs = ", ".join(dict.fromkeys(f"{slot.output} ({slot.layout})" for slot in slots))
    return f"{height} x {width} cells of {len(level.priors)}, stride {level.stride}: {outputs}"


def _coding(coding: BoxCoding) -> str:
    """The form, and the fields that are not as they are by default."""
    changed = [
        f"{field.name} {getattr(coding, field.name)}"
        for field in dataclasses.fields(coding)
        if getattr(coding, field.name) != field.default
    ]
    return f"{coding.form} ({', '.join(changed)})" if changed else coding.form


def _scores(rule: Scores) -> str:
    """How a score is made, as a product."""
    background = "" if rule.background == "none" else f" with the background {rule.background}"
    classes = f"{rule.activation} of the classes{background}".replace("none of the", "the")
    factors = [_power(classes, rule.class_power)] if rule.class_power else []
    objectness = f"{rule.objectness_activation} of objectness".replace("none of ", "")
    factors += [_power(objectness, rule.objectness_power)] if rule.objectness_power else []
    return " times ".join(factors) or "1"


def _power(words: str, exponent: float) -> str:
    return words if exponent == 1 else f"{words} ^ {exponent:g}"
