"""A trained detector in, a bundle out, every step checked against the model it came from.

1. copy the model to the CPU in eval mode, refuse weights that are not finite, leave out what only training
   needs                                check: against the whole model, two inputs
2. fold batch norm                      check: folded against original, two inputs
   (half precision: plan what every layer is stored and computed in, so that nothing can overflow, and
   round the weights; the rounded model is the reference from here on)
3. export to ONNX and simplify          check: onnxruntime against PyTorch, two inputs
4. convert to ncnn through pnnx         check: ncnn against PyTorch, two inputs
5. name the module behind each ncnn blob
6. lay channels out for SIMD lanes      check: against the graph as it was, and PyTorch, two inputs
   (half precision: mask the layers that stay in fp32    check: ranges of the finished graph, PyTorch)
   (int8: quantise on calibration pictures               check: PyTorch, two calibration pictures)
7. write the golden image and stages, the manifest and the hashes
8. load the bundle as a stranger would, replay golden, publish
"""

import copy
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pocketdet.errors import CheckFailed, ExportError, UsageError
from pocketdet.export.convert import Judge, convert, split
from pocketdet.export.fold_bn import FoldReport
from pocketdet.export.graph_checks import check_network
from pocketdet.export.kinds import reference_of
from pocketdet.export.manifest import GOLDEN, common_fields
from pocketdet.export.options import ExportOptions, calibration_pictures, golden_picture
from pocketdet.export.passes.lane_targets import lane_target
from pocketdet.export.plan_precision import Planned, plan_precision
from pocketdet.export.quantize import QuantizeSettings
from pocketdet.export.reference import Picture, Reference
from pocketdet.export.to_int8 import Calibration, Progress
from pocketdet.export.write_bundle import SUFFIX, check_target, publish, seal, staging_directory
from pocketdet.models.build import AnyDetector
from pocketdet.runtime.bundle import load_bundle, write_golden
from pocketdet.runtime.bundle.schema import FileEntry, Graphs, Layout, Manifest, is_safe_path
from pocketdet.runtime.parity import Check
from pocketdet.runtime.precision import STORAGES
from pocketdet.runtime.verification import TOLERANCES, compare_engines, golden_stages, make_detectors

Log = Callable[[str], None]


@dataclass(frozen=True)
class ExportResult:
    """Where the bundle is, what was folded, and every check that was made on the way."""

    path: Path
    manifest: Manifest
    folds: FoldReport
    checks: tuple[Check, ...]


def export_detector(
    model: AnyDetector,
    out: Path,
    options: ExportOptions | None = None,
    *,
    card: Mapping[str, str] | None = None,
    log: Log = lambda line: None,
    progress: Progress = lambda stage, done, total: None,
) -> ExportResult:
    """Export `model` into `out / <name>.pocketdet`; `log` receives one line per fold and check, `progress`
    what is done of how much while int8 is calibrated.

    Raises `ExportError` if a step fails or the target cannot be written, `CheckFailed` if a step changed
    the model's answers, `UsageError` for a name that no file can have, a choice that fits no layer, or int8
    that cannot be calibrated, `ImageError` for a golden image or calibration picture that is none. In any
    case nothing is left behind.
    """
    # the caller's own stays on its device and in its mode
    reference = reference_of(copy.deepcopy(model).cpu().eval())
    return export_reference(reference, out, options, card=card, log=log, progress=progress)


def export_reference(
    whole: Reference,
    out: Path,
    options: ExportOptions | None = None,
    *,
    card: Mapping[str, str] | None = None,
    log: Log = lambda line: None,
    progress: Progress = lambda stage, done, total: None,
) -> ExportResult:
    """`export_detector` for whatever the export can see as a reference. Raises as it does."""
    options = options or ExportOptions()
    name = _bundle_name(whole, options, log)
    target = out / (name + SUFFIX + (".zip" if options.archive else ""))
    check_target(target, overwrite=options.overwrite)
    pictures = calibration_pictures(options)
    golden = golden_picture(whole.identity.input_size, options, pictures)
    _refuse_unsound_weights(whole)
    checks: list[Check] = []
    judge = _judge(name, checks, log)
    with staging_directory(target) as scratch:
        original = whole.for_inference()
        if original is not whole:
            judge(_compare("inference", whole, original))
        folded, folds = original.folded()
        for line in (*folds.folds, *folds.refusals):
            log(str(line))
        if folded is not original:
            judge(_compare("fold", original, folded))
        graphs = folded.graphs()
        planned = plan_precision(folded, graphs, options.precision, options.layers, golden, pictures, log)
        layout = _layout(planned)
        reference = original
        if layout.weight_storage == "fp16":
            reference = folded = folded.rounded(layout.fp32_modules)
        with _calibrating(original, planned, options, progress) as calibration:
            graphs, layout = _convert_all(
                folded, graphs, layout, scratch, planned, options, judge, calibration, log
            )
        _write_golden(original, reference, golden, scratch, log)
        manifest = _seal(original, graphs, layout, name, scratch, dict(card or {}))
        judge(_replay(scratch))
        if options.slim:
            manifest = _slim_down(manifest, scratch)
        publish(scratch, target, overwrite=options.overwrite)
    return ExportResult(target, manifest, folds, tuple(checks))


def _judge(name: str, checks: list[Check], log: Log) -> Judge:
    """Keeps and logs what it is given, and stops the export at the first failure."""

    def judge(found: list[Check]) -> None:
        checks.extend(found)
        for check in found:
            log(str(check))
        failed = [c for c in found if not c.ok]
        if failed:
            raise CheckFailed(
                f"the export of {name} stopped, {len(failed)} check(s) failed; first: {failed[0]}"
            )

    return judge


def _convert_all(
    folded: Reference,
    graphs: Graphs,
    layout: Layout,
    scratch: Path,
    planned: Planned,
    options: ExportOptions,
    judge: Judge,
    calibration: Calibration | None,
    log: Log,
) -> tuple[Graphs, Layout]:
    """Steps 3 to 6 of every graph."""
    machines = lane_target(options.target) if options.target is not None else None
    for part in split(folded, graphs):
        plan, inputs = planned.plans[part.name], planned.inputs.get(part.name, ())
        made = convert(part, scratch, plan, machines, judge, inputs, calibration)
        graphs = graphs.model_copy(update={part.name: made.spec})
        if machines and made.aligned and made.aligned.report.changed:
            layout = layout.model_copy(update={"lanes": machines.lanes, "target": machines.name})
        for line in made.lines(part.name):
            log(line)
    return graphs, layout


def _bundle_name(reference: Reference, options: ExportOptions, log: Log) -> str:
    """The name that was chosen, or that of the architecture, which may be any file's, made safe."""
    given = reference.identity.architecture
    name = _safe_name(given) if options.name is None else options.name
    if not _is_safe_name(name):
        raise UsageError(
            f"bundle name {(given if options.name is None else name)!r}: expected 1 to 100 ASCII letters, "
            "digits, '_', '.' or '-', and a letter, digit or '_' first; choose another with --name"
        )
    if options.name is None and name != given:
        log(f"bundle name {name}, made from {given!r}; --name chooses another")
    return name


def _is_safe_name(name: str) -> bool:
    return is_safe_path(name) and "/" not in name


def _safe_name(text: str) -> str:
    """From "UltraFace v1 (2)" to "UltraFace-v1-2"; nothing of a text without ASCII letters or digits."""
    if _is_safe_name(text):
        return text
    return re.sub(r"[^A-Za-z0-9_.]+", "-", text).strip("-.")[:100].rstrip("-.")


def _layout(planned: Planned) -> Layout:
    """Before lane alignment."""
    storage = max((plan.storage for plan in planned.plans.values()), key=STORAGES.index)
    return Layout(weight_storage=storage, lanes=1, fp32_modules=planned.fp32_modules)


@contextmanager
def _calibrating(
    original: Reference, planned: Planned, options: ExportOptions, progress: Progress
) -> Iterator[Calibration | None]:
    """What int8 is found with, if it is asked for; to measure a metric, a plain bundle is exported first."""
    if all(plan.storage != "int8" for plan in planned.plans.values()):
        yield None
        return
    settings, limit = options.int8 or QuantizeSettings(), options.metric_limit
    if limit is None:
        yield Calibration(planned.inputs, settings, None, progress)
        return
    with tempfile.TemporaryDirectory(prefix="pocketdet-plain-") as folder:
        plain = export_reference(original, Path(folder), ExportOptions(name="plain", target=None, slim=True))
        with load_bundle(plain.path) as bundle, limit.open_metric(bundle) as metric:
            settings = replace(settings, max_judged=limit.max_drop)
            yield Calibration(planned.inputs, settings, metric, progress)


def _refuse_unsound_weights(reference: Reference) -> None:
    for name, values in reference.every_weight():
        count = int(np.count_nonzero(~np.isfinite(values)))
        if count:
            raise ExportError(f"weight {name!r} has {count} NaN or infinite values: the model is damaged")


def _compare(step: str, before: Reference, after: Reference) -> list[Check]:
    """Whether a step changed what the networks answer."""
    examples, changed, specs = before.examples(), after.networks(), before.graphs().by_name()
    allowed = TOLERANCES["fp32"]
    return [
        check
        for name, network in before.networks().items()
        for check in check_network(
            step, network, changed[name], specs[name], examples[name], allowed.of_graph(name)
        )
    ]


def _write_golden(
    original: Reference, reference: Reference, golden: Picture, scratch: Path, log: Log
) -> None:
    values = reference.values(golden)
    write_golden(scratch, GOLDEN, values)
    if reference is not original:
        for line in reference.rounding_cost(original.values(golden), values):
            log(line)


def _seal(
    original: Reference, graphs: Graphs, layout: Layout, name: str, scratch: Path, card: dict[str, str]
) -> Manifest:
    """Step 7, the golden image and stages being there."""
    weights = original.save(scratch, card)

    def manifest(files: dict[str, FileEntry]) -> Manifest:
        fields = common_fields(
            original.identity, files, name=name, layout=layout, reference_weights=weights, card=card
        )
        return original.manifest(graphs, fields)

    return seal(scratch, manifest)


def _replay(scratch: Path) -> list[Check]:
    """Step 8: the whole detector on the golden image, in both engines."""
    with load_bundle(scratch) as bundle:
        by_engine = compare_engines(golden_stages(bundle), make_detectors(bundle))
        return [replace(c, name=f"{engine} {c.name}") for engine, checks in by_engine.items() for c in checks]


def _slim_down(manifest: Manifest, scratch: Path) -> Manifest:
    """Remove what only proofs on a workstation need, and seal again."""
    keep = {p: f for p, f in manifest.files.items() if not p.startswith("reference/")}
    for path in set(manifest.files) - set(keep):
        (scratch / path).unlink()
    (scratch / "reference").rmdir()
    without = {"onnx": None, "lane_layouts": None}
    specs = {n: g.model_copy(update=without) for n, g in manifest.graphs.by_name().items()}
    update = {"graphs": type(manifest.graphs)(**specs), "reference_weights": None}
    return seal(scratch, lambda files: manifest.model_copy(update={**update, "files": files}))
