"""Prove a bundle: PyTorch against ONNX against ncnn, stage by stage and, on request, layer by layer.

The golden image's reference is stored in the bundle, so it needs no torch weights to be judged; any other
image needs the PyTorch weights, which a bundle carries unless it was exported slim.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pocketdet.errors import UsageError
from pocketdet.export.compare_layers import compare_layers
from pocketdet.export.fold_bn import fold_batch_norm
from pocketdet.export.precision import find_risks, measure_peaks
from pocketdet.export.reference import reference_values, rounding_cost
from pocketdet.export.round_weights import round_to_half
from pocketdet.models.checkpoint import load_checkpoint
from pocketdet.models.thundernet import HeadGraph, ThunderNet
from pocketdet.runtime.bundle import Bundle, load_bundle
from pocketdet.runtime.bundle.schema import Layout
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.engines.base import GraphName
from pocketdet.runtime.engines.ncnn_engine import NcnnEngine
from pocketdet.runtime.images import read_image
from pocketdet.runtime.ncnn_graph import read_graph
from pocketdet.runtime.parity import Check, compare
from pocketdet.runtime.replay import GOLDEN, compare_engines, make_detectors
from pocketdet.runtime.report import PYTORCH, ImageReport, LayerCheck, VerifyReport
from pocketdet.runtime.stages import TOLERANCES, StageValues, golden_stages, tolerances_for


def verify(
    path: Path, images: Sequence[Path] = (), *, layers: bool = False, weights: Path | None = None
) -> VerifyReport:
    """Replay golden and `images` through every stage of the bundle at `path`.

    `weights` are the PyTorch weights to compare with; by default those in the bundle. Weights that the bundle
    stores as halves are rounded in the reference, and what that costs is told apart.
    Raises `UsageError` if `images` or `layers` are asked for and there are no weights.
    """
    with load_bundle(path) as bundle:
        original = _original_model(bundle, weights)
        if original is None and (images or layers):
            raise UsageError(
                f"{path} carries no PyTorch weights (it was exported slim): name them with --weights FILE, "
                "or verify without --image and --layers"
            )
        model = _as_stored(original, bundle.manifest.layout) if original is not None else None
        detectors = make_detectors(bundle)
        golden = golden_stages(bundle)
        stored = {PYTORCH: _compare_stored(golden, model)} if model is not None else {}
        reports = [ImageReport(GOLDEN, stored | compare_engines(golden, detectors))]
        every = [golden]
        for image in images:
            assert model is not None
            every.append(reference_values(model, read_image(image)))
            reports.append(ImageReport(str(image), compare_engines(every[-1], detectors)))
        rows: list[LayerCheck] = []
        if layers:
            assert model is not None
            rows = _layer_rows(bundle, detectors["ncnn"], model, golden)
        costs = []
        if original is not None and original is not model:
            costs = rounding_cost(reference_values(original, np.ascontiguousarray(golden["image"])), golden)
        overflows = find_overflows(bundle, every)
        return VerifyReport(str(path), tuple(reports), tuple(rows), tuple(overflows), tuple(costs))


def find_overflows(bundle: Bundle, values: Sequence[StageValues]) -> list[str]:
    """A sentence per layer that overflows in half precision on the pictures whose stages are `values`.

    Nothing for a graph that was made for fp32 or bfloat16, which has the range of fp32. Runs in fp32, so that
    any machine can tell.
    """
    found: list[str] = []
    for (name, spec), stage in zip(
        bundle.manifest.graphs.by_name().items(), ("normalised", "roi_features"), strict=True
    ):
        inputs = [np.ascontiguousarray(v[stage], np.float32) for v in values if v[stage].size]
        if spec.arithmetic not in ("fp16", "fp16-storage") or not inputs:
            continue
        graph = read_graph(bundle.path(spec.param), bundle.path(spec.bin))
        graph_name: GraphName = "features" if name == "features" else "head"
        engine = NcnnEngine({graph_name: spec}, bundle.path, precision="fp32")
        peaks = measure_peaks(engine, graph_name, graph, spec.inputs[0].role, inputs)
        found += [f"{name}: {risk}" for risk in find_risks(graph, peaks, margin=1.0)]
    return found


def _original_model(bundle: Bundle, weights: Path | None) -> ThunderNet | None:
    """What the bundle was made from, or the weights in its place."""
    stored = bundle.manifest.reference_weights
    if weights is None and stored is None:
        return None
    path = weights if weights is not None else bundle.path(stored or "")
    manifest = bundle.manifest
    size = (manifest.input.height, manifest.input.width)
    return load_checkpoint(
        path, arch=manifest.architecture, class_names=manifest.class_names, input_size=size
    )


def _as_stored(model: ThunderNet, layout: Layout) -> ThunderNet:
    """The reference of a bundle: `model`, with its weights rounded where the bundle's are halves."""
    if layout.weight_storage == "fp16":
        return round_to_half(fold_batch_norm(model)[0], layout.fp32_modules)
    return model


def _compare_stored(golden: StageValues, model: ThunderNet) -> list[Check]:
    """Whether today's PyTorch still gives the answers that were stored."""
    image: NDArray[np.uint8] = np.ascontiguousarray(golden["image"])
    live, tol = reference_values(model, image), TOLERANCES["fp32"]
    limits = {"boxes": tol.box_pixels, "proposal_boxes": tol.proposal_pixels}
    return [
        compare(
            name,
            golden[name],
            live[name],
            relative=0.0 if name in limits or golden[name].dtype.kind != "f" else tol.features,
            absolute=limits.get(name, 0.0),
        )
        for name in golden
    ]


def _layer_rows(
    bundle: Bundle, detector: Detector, model: ThunderNet, golden: StageValues
) -> list[LayerCheck]:
    assert isinstance(detector.engine, NcnnEngine)
    tol = tolerances_for(detector)
    folded, _ = fold_batch_norm(model)
    image = np.ascontiguousarray(golden["normalised"], np.float32)
    rois = np.ascontiguousarray(golden["roi_features"], np.float32)
    engine, snr = detector.engine, tol.least_snr_db
    rows = compare_layers(bundle, engine, "features", folded, image, tol.features, snr)
    return rows + compare_layers(bundle, engine, "head", HeadGraph(model).eval(), rois, tol.head, snr)
