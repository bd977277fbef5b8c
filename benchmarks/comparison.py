"""Compare engines on one detector: first check that they agree, then time them interleaved.

Each network is timed alone (of a two-stage detector the features and the head), and the whole detector from
the image to the boxes. Everything around the networks is the same code for all engines (`runtime.pipeline`),
so that only the engines differ. The native engine is the whole detector in C++: it is not timed in parts.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pocketdet.benchmarks.interleaved import Ratio, Samples, Summary, run_interleaved, speed_ratio, summarise
from pocketdet.benchmarks.machine import Machine, Peak
from pocketdet.benchmarks.plan import InterleavedPlan
from pocketdet.errors import EngineError
from pocketdet.runtime.bundle.schema import Manifest
from pocketdet.runtime.detector import make_pipeline
from pocketdet.runtime.engines.base import Array, Engine, GraphName
from pocketdet.runtime.ncnn_graph import Graph, count_macs, infer_shapes
from pocketdet.runtime.options import DetectorOptions
from pocketdet.runtime.parity import TOLERANCES, Check, compare, compare_detections
from pocketdet.runtime.pipeline import Boxes, NativePipeline, Pipeline, Stopwatch

SCHEMA_VERSION: Final = 1
KIND: Final = "engine contest"  # the word of schema version 1
PLAIN, ALIGNED, NATIVE = "plain ncnn", "aligned ncnn", "native"
FEATURES, HEAD, WHOLE = "features", "head", "image to boxes"


@dataclass(frozen=True)
class EngineCase:
    """An engine with the graphs of the detector loaded; `detail` describes the graphs in reports."""

    name: str
    detail: str
    engine: Engine


@dataclass(frozen=True)
class ExcludedEngine:
    """An engine that is not compared, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Comparison:
    """The engines to compare on one detector.

    Attributes:
        manifest: Manifest of the detector's bundle.
        digest: SHA-256 of that manifest.
        plain: The ncnn graphs without padding, on which multiply-accumulates are counted.
        cases: The engines. The first is the reference: the others must agree with it, and their speed is
            given relative to it.
        excluded: Engines that are not compared.
    """

    manifest: Manifest
    digest: str
    plain: Mapping[str, Graph]
    cases: tuple[EngineCase, ...]
    excluded: tuple[ExcludedEngine, ...]


@dataclass(frozen=True)
class TimedPart:
    """A network or `WHOLE`: its multiply-accumulates, and the samples of every timed engine by name."""

    name: str
    macs: int
    samples: Mapping[str, Samples]


@dataclass(frozen=True)
class ComparisonResult:
    """The result of one comparison.

    Attributes:
        comparison: What was compared.
        rois: Rows of the head when it is timed alone; 0 for a detector without one.
        proposals: Proposals that the reference finds in the image.
        detections: Detections of the reference in the image.
        parts: The timed parts; `WHOLE` is the last.
        failed: By engine the checks that did not hold, or the engine's error. These are not timed.
    """

    comparison: Comparison
    rois: int
    proposals: int
    detections: int
    parts: tuple[TimedPart, ...]
    failed: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class CaseTimes:
    """The times of one engine in one part.

    `ratio` is the speed relative to the reference, `peak_share` the fraction of the FMA peak, 0..1.
    """

    name: str
    summary: Summary
    ratio: Ratio
    peak_share: float


def compare_engines(
    comparison: Comparison,
    image: NDArray[np.uint8],
    rois: int | None,
    plan: InterleavedPlan,
    progress: Callable[[str, int], None] = lambda part, bursts: None,
) -> ComparisonResult:
    """Check every engine against the reference on one image, then time those that agree.

    Args:
        comparison: The engines.
        image: RGB image, (height, width, 3).
        rois: Number of proposals kept and of rows of the head; `None` for the manifest's number.
        plan: Number of rounds and of frames.
        progress: Called after each burst with the name of the part and its total number of bursts.

    Returns:
        Samples of the engines that agree, and why the others do not.

    Raises:
        EngineError: If the reference fails.
        UsageError: If `rois` is given for a detector without proposals.
    """
    options = DetectorOptions(rois=rois)
    pipelines = {c.name: make_pipeline(comparison.manifest, c.engine, options) for c in comparison.cases}
    reference = pipelines[comparison.cases[0].name]
    problems = {
        name: differences(reference, other, image)
        for name, other in pipelines.items()
        if other is not reference
    }
    failed = {name: found for name, found in problems.items() if found}
    pipelines = {name: pipeline for name, pipeline in pipelines.items() if name not in failed}

    rows, proposals = rois or comparison.manifest.max_rois, reference.count_proposals(image)
    inputs = reference.network_inputs(image, rows)
    frames: dict[str, Callable[[Pipeline], object]] = {
        **{name: partial(_run_network, name, values) for name, values in inputs.items()},
        WHOLE: partial(image_to_boxes, image=image),
    }
    macs: dict[str, int] = {name: _macs(comparison, name, rows) for name in inputs}
    macs[WHOLE] = sum(_macs(comparison, name, proposals) for name in inputs)
    parts = []
    for name, frame in frames.items():
        functions = {
            engine: partial(frame, pipeline)
            for engine, pipeline in pipelines.items()
            if name == WHOLE or not isinstance(pipeline, NativePipeline)
        }
        bursts = plan.rounds * len(functions)
        samples = run_interleaved(functions, plan, progress=partial(progress, name, bursts))
        parts.append(TimedPart(name, macs[name], samples))
    detections = len(image_to_boxes(reference, image).scores)
    return ComparisonResult(comparison, rows, proposals, detections, tuple(parts), failed)


def image_to_boxes(pipeline: Pipeline, image: NDArray[np.uint8]) -> Boxes:
    """Run all stages on one RGB image, (height, width, 3)."""
    return pipeline.run(image, Stopwatch())


def differences(reference: Pipeline, other: Pipeline, image: NDArray[np.uint8]) -> tuple[str, ...]:
    """Compare two pipelines on one image.

    Compared are the outputs of each network on the same inputs within the tolerances of fp32, and the
    detections: the same set, boxes within 0.1 pixels.

    Args:
        reference: The pipeline to agree with.
        other: The pipeline to check.
        image: RGB image, (height, width, 3).

    Returns:
        The checks that fail, or the error of an engine that fails; empty if the two agree.
    """
    try:
        checks = _checks(reference, other, image)
    except EngineError as error:
        return (str(error),)
    return tuple(str(check) for check in checks if not check.ok)


def _checks(reference: Pipeline, other: Pipeline, image: NDArray[np.uint8]) -> list[Check]:
    tolerances, checks = TOLERANCES["fp32"], []
    networks = {} if isinstance(other, NativePipeline) else reference.network_inputs(image)
    for name, inputs in networks.items():
        expected, found = reference.engine.run(name, inputs), other.engine.run(name, inputs)
        limit = tolerances.of_graph(name)
        checks += [compare(f"{name}.{k}", expected[k], found[k], relative=limit) for k in expected]
    boxes = image_to_boxes(reference, image)
    detections = {"boxes": boxes.boxes, "scores": boxes.scores, "labels": boxes.labels}
    return [*checks, compare_detections(WHOLE, detections, image_to_boxes(other, image), tolerances)]


def _run_network(name: GraphName, inputs: Mapping[str, Array], pipeline: Pipeline) -> object:
    return pipeline.engine.run(name, inputs)


def _macs(comparison: Comparison, name: str, rows: int) -> int:
    """Multiply-accumulates of one graph, with `rows` RoIs if it is the head."""
    graph, spec = comparison.plain[name], comparison.manifest.graphs.by_name()[name]
    if not spec.is_batched and not rows:
        return 0
    (shape,) = spec.input_shapes(rows).values()
    shapes = infer_shapes(graph, {graph.input_names()[0]: shape})
    return sum(cost.macs or 0 for cost in count_macs(graph, shapes))


@dataclass(frozen=True)
class ComparisonReport:
    """One run of `pocketdet bench-engines`: one image, one thread, fp32, a result for each bundle."""

    machine: Machine
    load_after: float | None
    peak: Peak
    plan: InterleavedPlan
    image: str
    results: tuple[ComparisonResult, ...]

    @property
    def ok(self) -> bool:
        """Whether all engines agree on every bundle."""
        return not any(result.failed for result in self.results)

    def case_times(self, part: TimedPart) -> list[CaseTimes]:
        """Summarise the samples of every timed engine in one part, in the order of the cases."""
        base = next(iter(part.samples.values()))
        times = []
        for name, samples in part.samples.items():
            summary, ratio = summarise(samples), speed_ratio(base, samples, self.plan.seed)
            times.append(CaseTimes(name, summary, ratio, self.peak.share(part.macs, summary.median)))
        return times

    def to_json(self) -> dict[str, Any]:
        """Return the record: plain values, samples in milliseconds to the nanosecond, a list per round."""
        return {
            "schema_version": SCHEMA_VERSION,
            "kind": KIND,
            "threads": 1,
            "precision": "fp32",
            "picture": self.image,
            "machine": {**asdict(self.machine), "load_after": self.load_after},
            "fma_peak": asdict(self.peak),
            "plan": asdict(self.plan),
            "bundles": [self._result_json(result) for result in self.results],
            "ok": self.ok,
        }

    def _result_json(self, result: ComparisonResult) -> dict[str, Any]:
        comparison = result.comparison
        return {
            "name": comparison.manifest.name,
            "architecture": comparison.manifest.architecture,
            "manifest_sha256": comparison.digest,
            "rois": result.rois,
            "proposals": result.proposals,
            "detections": result.detections,
            "entrants": {case.name: case.detail for case in comparison.cases},
            "left_out": {engine.name: engine.reason for engine in comparison.excluded},
            "failed": {name: list(problems) for name, problems in result.failed.items()},
            "parts": [self._part_json(part) for part in result.parts],
        }

    def _part_json(self, part: TimedPart) -> dict[str, Any]:
        rows = [
            {
                "name": times.name,
                "milliseconds": asdict(times.summary),
                "times_as_fast": asdict(times.ratio),
                "peak_share": times.peak_share,
                "samples": np.round(part.samples[times.name], 6).tolist(),
            }
            for times in self.case_times(part)
        ]
        return {"name": part.name, "macs": part.macs, "entrants": rows}
