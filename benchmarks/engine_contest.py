"""One detector on several engines: first the proof that they agree, then the contest.

Timed are the features network alone, the head alone, and the whole from the image to the boxes. Everything
around the networks is the same code for all (`runtime.pipeline`), so that only the engines differ.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pocketdet.benchmarks.contest import Contestant, Plan, Samples, hold
from pocketdet.errors import EngineError
from pocketdet.runtime.bundle.schema import Manifest
from pocketdet.runtime.engines.base import Array, Engine, GraphName
from pocketdet.runtime.ncnn_graph import Graph, count_macs, infer_shapes
from pocketdet.runtime.options import DetectorOptions
from pocketdet.runtime.parity import Check, compare
from pocketdet.runtime.pipeline import Boxes, Pipeline
from pocketdet.runtime.stages import TOLERANCES, compare_detections

PLAIN, ALIGNED = "plain ncnn", "aligned ncnn"
FEATURES, HEAD, WHOLE = "features", "head", "image to boxes"
PARTS = (FEATURES, HEAD, WHOLE)


@dataclass(frozen=True)
class Entrant:
    """An engine with the graphs of the detector loaded; `detail` tells people what it runs."""

    name: str
    detail: str
    engine: Engine


@dataclass(frozen=True)
class LeftOut:
    """Who does not take part, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Field:
    """All that enter for one detector. The first entrant is what the others must agree with and are held to.

    `plain` are the ncnn graphs without any padding, on which multiply-accumulates are counted.
    """

    manifest: Manifest
    digest: str
    plain: Mapping[str, Graph]
    entrants: tuple[Entrant, ...]
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True)
class Part:
    """One of `PARTS`: its multiply-accumulates and the samples of everyone who was timed, by name."""

    name: str
    macs: int
    samples: Mapping[str, Samples]


@dataclass(frozen=True)
class Outcome:
    """What came of one field.

    rois: rows of the head when timed alone; proposals and detections: those of the picture. `failed` has the
    checks that did not hold, or the words of the engine, by entrant; these were not timed.
    """

    field: Field
    rois: int
    proposals: int
    detections: int
    parts: tuple[Part, ...]
    failed: Mapping[str, tuple[str, ...]]


def compete(
    field: Field,
    image: NDArray[np.uint8],
    rois: int | None,
    plan: Plan,
    progress: Callable[[str, int], None] = lambda part, bursts: None,
) -> Outcome:
    """Compare everyone with the first entrant on `image` (H, W, 3) RGB, then time those that agree.

    `rois` is the number of proposals kept and the rows of the head; `None` is what the manifest says.
    `progress` gets the part and how many bursts it has in all, after each burst.
    Raises `EngineError` if the first entrant fails.
    """
    options = DetectorOptions(rois=rois)
    pipelines = {e.name: Pipeline(field.manifest, e.engine, options) for e in field.entrants}
    base = next(iter(pipelines.values()))
    found = {name: differences(base, p, image) for name, p in pipelines.items() if p is not base}
    failed = {name: words for name, words in found.items() if words}
    able = {name: p for name, p in pipelines.items() if name not in failed}

    tensor = base.preprocess(image)
    maps = base.features(tensor)
    proposals = base.propose(maps["rpn_scores"], maps["rpn_deltas"]).boxes
    rows = rois or field.manifest.proposals.post_nms_top_n
    some = _rows(base.roi_features(maps["sam"], proposals), rows)
    macs = [_macs(field, "features", 1), _macs(field, "head", rows)]
    macs.append(macs[0] + (_macs(field, "head", len(proposals)) if len(proposals) else 0))
    frames: dict[str, Callable[[Pipeline], object]] = {
        FEATURES: lambda p: p.features(tensor),
        HEAD: lambda p: p.head(some),
        WHOLE: lambda p: image_to_boxes(p, image),
    }
    parts = []
    for (name, frame), count in zip(frames.items(), macs, strict=True):
        contestants = [_contestant(entrant, p, frame) for entrant, p in able.items()]
        bursts = plan.rounds * len(contestants)
        samples = hold(contestants, plan, progress=partial(progress, name, bursts))
        parts.append(Part(name, count, samples))
    detections = len(image_to_boxes(base, image).scores)
    return Outcome(field, rows, len(proposals), detections, tuple(parts), failed)


def image_to_boxes(pipeline: Pipeline, image: NDArray[np.uint8]) -> Boxes:
    """All stages of one picture (H, W, 3) RGB in a row."""
    maps = pipeline.features(pipeline.preprocess(image))
    rois = pipeline.propose(maps["rpn_scores"], maps["rpn_deltas"])
    head = pipeline.head(pipeline.roi_features(maps["sam"], rois.boxes))
    return pipeline.boxes(head, rois.boxes, (image.shape[0], image.shape[1]))


def differences(base: Pipeline, subject: Pipeline, image: NDArray[np.uint8]) -> tuple[str, ...]:
    """How `subject` differs from `base` on one picture by more than fp32 rounding: nothing if they agree.

    Compared are the maps, the head on the same RoIs, and the detections: the same set, boxes within 0.1
    pixels. An engine that fails has its words here.
    """
    try:
        checks = _checks(base, subject, image)
    except EngineError as error:
        return (str(error),)
    return tuple(str(check) for check in checks if not check.ok)


def _checks(base: Pipeline, subject: Pipeline, image: NDArray[np.uint8]) -> list[Check]:
    tolerances = TOLERANCES["fp32"]
    tensor = base.preprocess(image)
    maps, theirs = base.features(tensor), subject.features(tensor)
    checks = [compare(f"features.{k}", maps[k], theirs[k], relative=tolerances.features) for k in maps]
    rois = base.propose(maps["rpn_scores"], maps["rpn_deltas"]).boxes
    rows = _rows(base.roi_features(maps["sam"], rois), max(1, len(rois)))
    checks.append(compare("head", base.head(rows), subject.head(rows), relative=tolerances.head))
    wanted, found = image_to_boxes(base, image), image_to_boxes(subject, image)
    reference = {"boxes": wanted.boxes, "scores": wanted.scores, "labels": wanted.labels}
    return [*checks, compare_detections(WHOLE, reference, found, tolerances)]


def _contestant(name: str, pipeline: Pipeline, frame: Callable[[Pipeline], object]) -> Contestant:
    return Contestant(name, partial(frame, pipeline))


def _rows(roi_features: Array, rows: int) -> Array:
    """Real RoI features repeated, or cut, to `rows` rows; zeros where the picture has no proposal."""
    if len(roi_features) == 0:
        return np.zeros((rows, roi_features.shape[1]), np.float32)
    return np.ascontiguousarray(roi_features[np.arange(rows) % len(roi_features)])


def _macs(field: Field, name: GraphName, rows: int) -> int:
    graph, spec = field.plain[name], field.manifest.graphs.by_name()[name]
    shape = tuple(rows if n is None else n for n in spec.inputs[0].shape)
    shapes = infer_shapes(graph, {graph.input_names()[0]: shape})
    return sum(cost.macs or 0 for cost in count_macs(graph, shapes))
