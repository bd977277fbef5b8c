"""Export a trained detector to a bundle at one input size. Every step is compared with the model.

1. remove the parts that only training needs
                                        check: against the whole model, two inputs
2. fold batch norm                      check: folded against original, two inputs
   (half precision: plan the storage and arithmetic of every layer so that nothing overflows, and round the
   weights; the rounded model is the reference of the following steps)
3. export to ONNX and simplify          check: onnxruntime against PyTorch, two inputs
4. convert to ncnn with pnnx            check: ncnn against PyTorch, two inputs
5. match every ncnn blob with a PyTorch module
6. align channels for SIMD              check: against the graph before, and PyTorch, two inputs
   (half precision: mask the layers that stay in fp32    check: ranges of the finished graph, PyTorch)
   (int8: quantize on calibration images                 check: PyTorch, two calibration images)
7. write the golden image and stages, the manifest and the hashes
8. load the bundle like an untrusted one, replay the golden test, compare the detections on other images
   (one-stage)

Outputs are compared field by field of their description. The golden image is one on which the detector
detects (`golden`).
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pocketdet.export.convert import (
    RequireChecks,
    check_network,
    convert,
    split_graphs,
    write_ncnn,
    write_onnx,
)
from pocketdet.export.golden import GoldenChoice, choose_golden, compare_on_images
from pocketdet.export.int8_gain import write_int8_gain
from pocketdet.export.options import ExportOptions, golden_images, other_images
from pocketdet.export.passes.channel_alignment import alignment_target
from pocketdet.export.plan_precision import Planned, plan_precision, wants_int8
from pocketdet.export.precision import GraphPlan
from pocketdet.export.quantization import QuantizeSettings
from pocketdet.export.reference.base import Image, Reference, synthetic_image
from pocketdet.export.reference.one_stage import OneStageReference
from pocketdet.export.to_int8 import Calibration, Progress
from pocketdet.export.write_bundle import GOLDEN, common_fields, write_manifest
from pocketdet.models.fold_bn import FoldReport
from pocketdet.runtime.bundle import load_bundle, write_golden
from pocketdet.runtime.bundle.schema import FileEntry, Graphs, Layout, Manifest
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.parity import Check
from pocketdet.runtime.precision import STORAGES
from pocketdet.runtime.verification import TOLERANCES, golden_checks, make_detectors, open_sizes

Log = Callable[[str], None]


def export_size(
    whole: Reference,
    scratch: Path,
    name: str,
    images: tuple[Path, ...],
    options: ExportOptions,
    card: dict[str, str],
    require: RequireChecks,
    log: Log,
    progress: Progress,
) -> tuple[Manifest, FoldReport]:
    """Write the bundle of one input size into `scratch`: steps 1 to 8 without the move."""
    size, is_int8 = whole.identity.input_size, wants_int8(options.precision, options.layers)
    for note in whole.notes:
        log(f"-[i] {note}")
    for warning in whole.warnings:
        log(f"-[!] {warning}")
    original = whole.for_inference()
    if original is not whole:
        require(_compare("inference", whole, original))
    folded, folds = original.folded()
    for line in (*folds.folds, *folds.refusals):
        log(str(line))
    if folded is not original:
        require(_compare("fold", original, folded))
    golden = _choose_golden(folded, options, images, is_int8, log)
    graphs = folded.graphs()
    planned = plan_precision(folded, graphs, options.precision, options.layers, golden.image, images, log)
    layout = _layout(planned)
    reference = original
    if layout.weight_storage == "fp16":
        reference = folded = folded.rounded(layout.fp32_modules)
    with _calibrating(original, folded, planned, options, progress) as calibration:
        graphs, layout = _convert_all(
            golden.applied_to(folded), graphs, layout, scratch, planned, options, require, calibration, log
        )
    has_int8 = layout.weight_storage == "int8"
    gain = _int8_gain(graphs, planned, options, scratch) if has_int8 else []
    _write_golden(original, reference, golden, scratch, log)
    manifest = _write_manifest(
        original,
        graphs,
        layout,
        name,
        scratch,
        card,
        golden.applied_to(original).score_threshold,
        options.score_threshold,
    )
    require(replay_bundle(scratch))
    if isinstance(reference, OneStageReference):
        others = other_images(size, images, is_int8=is_int8)
        deployed_reference = reference.with_postprocessing(score=options.score_threshold)
        require(_compare_detections(scratch, deployed_reference, others))
    if options.slim:
        manifest = _slim_down(manifest, scratch)
    for line in gain:
        log(f"-[i] {line}")
    return manifest, folds


def _choose_golden(
    folded: Reference, options: ExportOptions, images: tuple[Path, ...], is_int8: bool, log: Log
) -> GoldenChoice:
    """The golden image and its score threshold."""
    is_one_stage = isinstance(folded, OneStageReference)
    arithmetic: Literal["int8", "fp32", "fp16"] = "int8"
    if not is_int8:
        arithmetic = "fp32" if options.precision == "fp32" else "fp16"
    candidates = golden_images(
        folded.identity.input_size,
        options,
        images if is_one_stage or is_int8 else (),
        is_two_stage=not is_one_stage,
    )
    golden = choose_golden(folded, candidates, TOLERANCES[arithmetic], every_level=not is_int8)
    log(golden.line())
    return golden


def _convert_all(
    folded: Reference,
    graphs: Graphs,
    layout: Layout,
    scratch: Path,
    planned: Planned,
    options: ExportOptions,
    require: RequireChecks,
    calibration: Calibration | None,
    log: Log,
) -> tuple[Graphs, Layout]:
    """Steps 3 to 6 of every graph."""
    machines = alignment_target(options.target) if options.target is not None else None
    for part in split_graphs(folded, graphs):
        plan, inputs = planned.plans[part.name], planned.inputs.get(part.name, ())
        part = convert(part, scratch, plan, machines, require, inputs, calibration)
        graphs = graphs.model_copy(update={part.name: part.spec})
        if machines and part.aligned and part.aligned.report.changed:
            layout = layout.model_copy(update={"lanes": machines.lanes, "target": machines.name})
        for line in part.lines():
            log(line)
    return graphs, layout


def _int8_gain(graphs: Graphs, planned: Planned, options: ExportOptions, scratch: Path) -> list[str]:
    """Predict what int8 gains on the machines that the graphs are aligned for, if these are ARM."""
    if options.target is None or not alignment_target(options.target).is_arm:
        return []
    rois = max((len(rows) for rows in planned.inputs.get("head", ())), default=1)
    return write_int8_gain(graphs, rois, scratch)


def _layout(planned: Planned) -> Layout:
    """The layout before channel alignment."""
    plan = max(planned.plans.values(), key=lambda plan: STORAGES.index(plan.storage))
    return Layout(weight_storage=plan.storage, lanes=1, fp32_modules=planned.fp32_modules)


@contextmanager
def _calibrating(
    original: Reference, folded: Reference, planned: Planned, options: ExportOptions, progress: Progress
) -> Iterator[Calibration | None]:
    """The data for int8, if a graph is planned as int8. A metric is opened on an fp32 bundle."""
    if all(plan.storage != "int8" for plan in planned.plans.values()):
        yield None
        return
    settings, limit = options.int8 or QuantizeSettings(), options.metric_limit
    if limit is None:
        yield Calibration(planned.inputs, settings, None, progress)
        return
    with tempfile.TemporaryDirectory(prefix="pocketdet-fp32-") as folder:
        _write_fp32_bundle(original, folded, Path(folder))
        with load_bundle(Path(folder)) as bundle, limit.open_metric(bundle) as metric:
            settings = replace(settings, max_metric=limit.max_drop)
            yield Calibration(planned.inputs, settings, metric, progress)


def _write_fp32_bundle(original: Reference, folded: Reference, folder: Path) -> None:
    """Write a bundle in fp32, without channel alignment, that a metric replaces graphs of."""
    graphs = folded.graphs()
    for part in split_graphs(folded, graphs):
        write_ncnn(part, write_onnx(part, folder), folder, GraphPlan())
    write_golden(folder, GOLDEN, original.values(synthetic_image(original.identity.input_size)))
    _write_manifest(original, graphs, Layout(weight_storage="fp32", lanes=1), "fp32", folder, {})


def _compare(step: str, before: Reference, after: Reference) -> list[Check]:
    """Compare the networks before and after a step."""
    examples, changed, specs = before.examples(), after.networks(), before.graphs().by_name()
    allowed, regions = TOLERANCES["fp32"], before.output_regions()
    return [
        check
        for name, network in before.networks().items()
        for check in check_network(
            step, network, changed[name], specs[name], examples[name], allowed.of_graph(name), regions
        )
    ]


def _write_golden(
    original: Reference, reference: Reference, golden: GoldenChoice, scratch: Path, log: Log
) -> None:
    at_golden = golden.applied_to(reference)
    values = at_golden.values(golden.image)
    write_golden(scratch, GOLDEN, values)
    if reference is not original:
        for line in at_golden.rounding_cost(original.values(golden.image), values):
            log(line)


def _write_manifest(
    original: Reference,
    graphs: Graphs,
    layout: Layout,
    name: str,
    scratch: Path,
    card: dict[str, str],
    golden_threshold: float | None = None,
    score_threshold: float | None = None,
) -> Manifest:
    """Step 7: write the weights and the manifest; all other files exist.

    The bundle has `score_threshold`, if given, and its weights keep the model's own.
    """
    weights = original.save(scratch, card)
    deployed = original.with_postprocessing(score=score_threshold)
    if golden_threshold == deployed.score_threshold:
        golden_threshold = None

    def manifest(files: dict[str, FileEntry]) -> Manifest:
        fields = common_fields(
            original.identity,
            files,
            name=name,
            layout=layout,
            golden_threshold=golden_threshold,
            reference_weights=weights,
            card=card,
        )
        return deployed.manifest(graphs, fields)

    return write_manifest(scratch, manifest)


def replay_bundle(scratch: Path) -> list[Check]:
    """Step 8: the whole detector on the golden image of each input size, in both engines."""
    return [
        replace(check, name=f"{engine} {check.name}")
        for bundle in open_sizes(scratch)
        for engine, checks in golden_checks(bundle, make_detectors(bundle)).items()
        for check in checks
    ]


def _compare_detections(scratch: Path, reference: OneStageReference, images: Iterable[Image]) -> list[Check]:
    """Step 8: the detections of the finished bundle on other images than the golden one."""
    with load_bundle(scratch) as bundle, Detector(bundle, engine="ncnn") as detector:
        return [compare_on_images(detector, reference, images)]


def _slim_down(manifest: Manifest, scratch: Path) -> Manifest:
    """Remove the reference files, and write the manifest again."""
    remaining = {p: f for p, f in manifest.files.items() if not p.startswith("reference/")}
    for path in set(manifest.files) - set(remaining):
        (scratch / path).unlink()
    (scratch / "reference").rmdir()
    without = {"onnx": None, "lane_layouts": None}
    specs = {n: g.model_copy(update=without) for n, g in manifest.graphs.by_name().items()}
    update = {"graphs": type(manifest.graphs)(**specs), "reference_weights": None}
    return write_manifest(scratch, lambda files: manifest.model_copy(update={**update, "files": files}))
