"""Verify a bundle: compare PyTorch, ONNX and ncnn stage by stage and, if requested, layer by layer.

The bundle holds the reference values of the golden image. Other images need the PyTorch weights, which a
bundle holds unless it was exported with `slim`.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
from torch import nn

from pocketdet.errors import UsageError
from pocketdet.export.layer_map import compare_layers
from pocketdet.export.precision import find_risks, measure_peaks
from pocketdet.export.reference.base import Reference
from pocketdet.export.reference.factory import reference_of_bundle
from pocketdet.runtime.bundle import Bundle
from pocketdet.runtime.bundle.one_stage import OUTPUTS
from pocketdet.runtime.bundle.schema import GraphSpec, Layout, SizeChoice
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.engines.base import Array, GraphName
from pocketdet.runtime.engines.ncnn_engine import NcnnEngine
from pocketdet.runtime.images import read_image
from pocketdet.runtime.ncnn_graph import read_graph
from pocketdet.runtime.output_fields import compare_output
from pocketdet.runtime.parity import Check, compare
from pocketdet.runtime.verification import (
    GOLDEN,
    TOLERANCES,
    ImageReport,
    LayerCheck,
    StageValues,
    VerifyReport,
    compare_engines,
    golden_checks,
    golden_stages,
    make_detectors,
    name_at,
    open_sizes,
    tolerances_for,
)


def verify(
    path: str | os.PathLike[str],
    images: Sequence[str | os.PathLike[str]] = (),
    *,
    layers: bool = False,
    weights: str | os.PathLike[str] | None = None,
    module: nn.Module | None = None,
    size: SizeChoice | None = None,
) -> VerifyReport:
    """Compare every stage of a bundle with its reference, on the golden image and on `images`.

    Args:
        path: a bundle, a folder or a zip file.
        images: image files to compare on, too.
        layers: whether every ncnn layer is compared, too, on the golden image.
        weights: PyTorch weights that replace those in the bundle. If the bundle stores halves, the weights of
            the reference are rounded, and the effect of that is reported separately.
        module: the PyTorch module that the bundle was made from, in place of the ONNX file in the bundle.
        size: the input size to verify, as in `load_bundle`. Default: all of them.

    Returns:
        All checks; `report.ok` is true if they passed.

    Raises:
        BundleError: if the bundle is damaged.
        UsageError: if `images` or `layers` need weights that do not exist, or the bundle does not have the
            size.
        ImageError: if an image cannot be read.
    """
    parts = [
        _verify_size(bundle, images, layers, None if weights is None else Path(weights), module)
        for bundle in open_sizes(path, size)
    ]
    return VerifyReport(
        str(path),
        tuple(report for part in parts for report in part.images),
        tuple(row for part in parts for row in part.layers),
        tuple(line for part in parts for line in part.overflows),
        tuple(line for part in parts for line in part.costs),
    )


def _verify_size(
    bundle: Bundle,
    images: Sequence[str | os.PathLike[str]],
    layers: bool,
    weights: Path | None,
    module: nn.Module | None,
) -> VerifyReport:
    """Verify an open bundle."""
    original = reference_of_bundle(bundle, weights, module)
    if original is None and (images or layers):
        default, here = bundle.sizes[0], bundle.manifest.input
        why = "it was exported slim" if here == default else f"its ONNX file is for {default}, not for {here}"
        raise UsageError(
            f"{bundle.source} carries no PyTorch weights ({why}): name them with --weights FILE, "
            "or verify without --image and --layers"
        )
    if original is not None:
        original = original.with_postprocessing(bundle.manifest)  # the weights may have another threshold
    model = _as_stored(original, bundle.manifest.layout) if original is not None else None
    detectors = make_detectors(bundle)
    golden, threshold = golden_stages(bundle), bundle.manifest.golden.score_threshold
    at_golden = model if model is None or threshold is None else model.with_postprocessing(score=threshold)
    stored = {at_golden.runs_in: _compare_stored(golden, at_golden)} if at_golden is not None else {}
    reports = [ImageReport(name_at(GOLDEN, bundle), stored | golden_checks(bundle, detectors))]
    every = [golden]
    for image in images:
        assert model is not None
        every.append(model.values(read_image(image)))
        reports.append(ImageReport(name_at(str(image), bundle), compare_engines(every[-1], detectors)))
    rows: list[LayerCheck] = []
    if layers:
        assert model is not None
        rows = _layer_rows(bundle, detectors["ncnn"], model, golden)
        rows = [replace(row, layer=name_at(row.layer, bundle)) for row in rows]
    costs: list[str] = []
    if original is not None and original is not model:
        costs = original.rounding_cost(original.values(np.ascontiguousarray(golden["image"])), golden)
        costs = [name_at(line, bundle) for line in costs]
    overflows = tuple(name_at(line, bundle) for line in find_overflows(bundle, every))
    return VerifyReport(str(bundle.source), tuple(reports), tuple(rows), overflows, tuple(costs))


def find_overflows(bundle: Bundle, values: Sequence[StageValues]) -> list[str]:
    """Find the layers that overflow in half precision, measured in fp32 on any machine.

    Returns:
        A sentence per layer; empty for graphs in fp32, and in bfloat16, which has the range of fp32.
    """
    found: list[str] = []
    for key, spec in bundle.manifest.graphs.by_name().items():
        name = cast(GraphName, key)
        inputs = [source for stages in values if (source := _input_of(spec, stages)).size]
        if spec.arithmetic not in ("fp16", "fp16-storage") or not inputs:
            continue
        graph = read_graph(bundle.path(spec.param), bundle.path(spec.bin))
        engine = NcnnEngine({name: spec}, bundle.path, precision="fp32")
        peaks = measure_peaks(engine, name, graph, spec.inputs[0].role, inputs)
        found += [f"{name}: {risk}" for risk in find_risks(graph, peaks, margin=1.0)]
    return found


def _input_of(spec: GraphSpec, values: StageValues) -> Array:
    """The input of a graph among the stages of an image."""
    role = spec.inputs[0].role
    return np.ascontiguousarray(values["normalised" if role == "image" else role], np.float32)


def _as_stored(original: Reference, layout: Layout) -> Reference:
    """`original`, with rounded weights if the bundle stores halves."""
    return original.folded()[0].rounded(layout.fp32_modules) if layout.weight_storage == "fp16" else original


def _compare_stored(golden: StageValues, model: Reference) -> list[Check]:
    """Compare the stored stages with those that the reference computes now."""
    live, tol = model.values(np.ascontiguousarray(golden["image"])), TOLERANCES["fp32"]
    relative = max(tol.of_graph(graph) for graph in model.networks())
    limits = {"boxes": tol.box_pixels, "proposal_boxes": tol.proposal_pixels}
    regions = {OUTPUTS + role: parts for role, parts in model.output_regions().items()}
    checks: list[Check] = []
    for name, stored in golden.items():
        if name in regions:
            checks += compare_output(name, regions[name], stored, live[name], relative=relative)
        else:
            exact = name in limits or stored.dtype.kind != "f"
            checks.append(
                compare(
                    name,
                    stored,
                    live[name],
                    relative=0.0 if exact else relative,
                    absolute=limits.get(name, 0.0),
                )
            )
    return checks


def _layer_rows(
    bundle: Bundle, detector: Detector, model: Reference, golden: StageValues
) -> list[LayerCheck]:
    assert isinstance(detector.engine, NcnnEngine)
    tol, specs = tolerances_for(detector), bundle.manifest.graphs.by_name()
    rows: list[LayerCheck] = []
    for name, network in model.folded()[0].networks().items():
        source = _input_of(specs[name], golden)
        rows += compare_layers(
            bundle, detector.engine, name, network, source, tol.of_graph(name), tol.least_snr_db
        )
    return rows
