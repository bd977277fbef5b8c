"""One detector on several engines: first the proof that they agree, then the contest.

Timed are each network alone (of a two-stage detector the features and the head), and the whole from the image
to the boxes. Everything around the networks is the same code for all (`runtime.pipeline`), so that only the
engines differ.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pocketdet.benchmarks.contest import Contestant, Plan, Samples, hold
from pocketdet.errors import EngineError
from pocketdet.runtime.bundle.schema import Manifest
from pocketdet.runtime.detector import make_pipeline
from pocketdet.runtime.engines.base import Array, Engine, GraphName
from pocketdet.runtime.ncnn_graph import Graph, count_macs, infer_shapes
from pocketdet.runtime.options import DetectorOptions
from pocketdet.runtime.parity import TOLERANCES, Check, compare, compare_detections
from pocketdet.runtime.pipeline import Boxes, Pipeline, Stopwatch

PLAIN, ALIGNED = "plain ncnn", "aligned ncnn"
FEATURES, HEAD, WHOLE = "features", "head", "image to boxes"


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
    """A network or `WHOLE`: its multiply-accumulates and the samples of everyone who was timed, by name."""

    name: str
    macs: int
    samples: Mapping[str, Samples]


@dataclass(frozen=True)
class Outcome:
    """What came of one field.

    rois: rows of the head when timed alone, 0 without one; proposals and detections: those of the picture.
    `failed` has the
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
    able = {e.name: make_pipeline(field.manifest, e.engine, options) for e in field.entrants}
    base = able[field.entrants[0].name]
    found = {name: differences(base, subject, image) for name, subject in able.items() if subject is not base}
    failed = {name: words for name, words in found.items() if words}
    able = {name: subject for name, subject in able.items() if name not in failed}

    rows, proposals = rois or field.manifest.max_rois, base.count_proposals(image)
    inputs = base.network_inputs(image, rows)
    frames: dict[str, Callable[[Pipeline], object]] = {
        **{name: partial(_network, name, given) for name, given in inputs.items()},
        WHOLE: partial(image_to_boxes, image=image),
    }
    macs: dict[str, int] = {name: _macs(field, name, rows) for name in inputs}
    macs[WHOLE] = sum(_macs(field, name, proposals) for name in inputs)
    parts = []
    for name, frame in frames.items():
        contestants = [Contestant(entrant, partial(frame, subject)) for entrant, subject in able.items()]
        bursts = plan.rounds * len(contestants)
        samples = hold(contestants, plan, progress=partial(progress, name, bursts))
        parts.append(Part(name, macs[name], samples))
    detections = len(image_to_boxes(base, image).scores)
    return Outcome(field, rows, proposals, detections, tuple(parts), failed)


def image_to_boxes(pipeline: Pipeline, image: NDArray[np.uint8]) -> Boxes:
    """All stages of one picture (H, W, 3) RGB in a row."""
    return pipeline.run(image, Stopwatch())


def differences(base: Pipeline, subject: Pipeline, image: NDArray[np.uint8]) -> tuple[str, ...]:
    """How `subject` differs from `base` on one picture by more than fp32 rounding: nothing if they agree.

    Compared are the outputs of each network on the same inputs, and the detections: the same set, boxes
    within 0.1 pixels. An engine that fails has its words here.
    """
    try:
        checks = _checks(base, subject, image)
    except EngineError as error:
        return (str(error),)
    return tuple(str(check) for check in checks if not check.ok)


def _checks(base: Pipeline, subject: Pipeline, image: NDArray[np.uint8]) -> list[Check]:
    tolerances, checks = TOLERANCES["fp32"], []
    for name, given in base.network_inputs(image).items():
        wanted, theirs = base.engine.run(name, given), subject.engine.run(name, given)
        limit = tolerances.of_graph(name)
        checks += [compare(f"{name}.{k}", wanted[k], theirs[k], relative=limit) for k in wanted]
    boxes, found = image_to_boxes(base, image), image_to_boxes(subject, image)
    reference = {"boxes": boxes.boxes, "scores": boxes.scores, "labels": boxes.labels}
    return [*checks, compare_detections(WHOLE, reference, found, tolerances)]


def _network(name: GraphName, given: Mapping[str, Array], pipeline: Pipeline) -> object:
    return pipeline.engine.run(name, given)


def _macs(field: Field, name: str, rows: int) -> int:
    """Of one graph, with so many RoIs where it has any."""
    graph, spec = field.plain[name], field.manifest.graphs.by_name()[name]
    if not spec.is_batched and not rows:
        return 0
    (shape,) = spec.input_shapes(rows).values()
    shapes = infer_shapes(graph, {graph.input_names()[0]: shape})
    return sum(cost.macs or 0 for cost in count_macs(graph, shapes))
