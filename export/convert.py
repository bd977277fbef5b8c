"""Steps 3 to 6 of the export: one folded graph to ONNX and ncnn, each compared on two inputs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pocketdet.errors import CheckFailed
from pocketdet.export.graph_checks import check_engine
from pocketdet.export.lay_out import lay_out, write_layouts
from pocketdet.export.layer_sources import find_sources
from pocketdet.export.network import Network
from pocketdet.export.passes.align_lanes import Aligned
from pocketdet.export.passes.lane_targets import LaneTarget
from pocketdet.export.precision import GraphPlan, Risk, find_risks, keep_in_fp32, measure_peaks
from pocketdet.export.quantize import Quantized
from pocketdet.export.reference import Reference
from pocketdet.export.to_int8 import Calibration, to_int8
from pocketdet.export.to_ncnn import to_ncnn
from pocketdet.runtime.bundle.schema import Graphs, GraphSpec
from pocketdet.runtime.engines.base import Array, GraphName
from pocketdet.runtime.engines.ncnn_engine import NcnnEngine
from pocketdet.runtime.engines.onnx_engine import OnnxEngine
from pocketdet.runtime.ncnn_graph import Graph, write_graph
from pocketdet.runtime.parity import Check
from pocketdet.runtime.verification import TOLERANCES

Judge = Callable[[list[Check]], None]


@dataclass(frozen=True)
class Part:
    """One graph on its way through the steps."""

    name: GraphName
    network: Network
    spec: GraphSpec
    examples: tuple[Array, Array]

    @property
    def has_rows(self) -> bool:
        """Whether its first axis is the number of RoIs."""
        return not self.spec.is_batched

    @property
    def tolerance(self) -> float:
        """How far an output may be off in fp32, relative to its largest value."""
        return TOLERANCES["fp32"].of_graph(self.name)

    @property
    def example_shape(self) -> tuple[int, ...]:
        """Of the first example as the ONNX twin takes it."""
        shape = self.examples[0].shape
        return shape if self.has_rows else (1, *shape)


def split(reference: Reference, graphs: Graphs) -> list[Part]:
    """The graphs of a folded detector, in the order in which they run."""
    specs, examples = graphs.by_name(), reference.examples()
    return [Part(n, network, specs[n], examples[n]) for n, network in reference.networks().items()]


@dataclass(frozen=True)
class Converted:
    """A graph whose files are written: what the manifest says of it, how it was laid out, if it was, and the
    layers that had to be kept in fp32 beyond the plan; how it was quantised, if it was.
    """

    spec: GraphSpec
    aligned: Aligned | None
    risks: tuple[Risk, ...] = ()
    quantized: Quantized | None = None

    def lines(self, name: GraphName) -> list[str]:
        """For a log."""
        lines = []
        if self.aligned:
            lines.append(f"-[✓] lanes {name}: {self.aligned.report.summary()}")
        lines += [f"-[!] {name}: {risk}: kept in fp32" for risk in self.risks]
        if self.quantized:
            report = self.quantized.report
            lines += [f"-[!] int8 {name}: {warning}" for warning in report.warnings]
            lines.append(f"-[✓] {name} {report.summary()}")
        return lines


def engine_of(part: Part, folder: Path) -> NcnnEngine:
    """Ncnn in fp32 on the graph in `folder`, whatever this machine could do."""
    return NcnnEngine({part.name: part.spec}, folder.joinpath, precision="fp32")


def write_onnx(part: Part, folder: Path) -> Path:
    """Step 3. Raises `ExportError`."""
    assert part.spec.onnx is not None
    path = folder / part.spec.onnx
    path.parent.mkdir(exist_ok=True)
    part.network.write_onnx(path, part.examples[0])
    return path


def write_ncnn(part: Part, onnx_path: Path, folder: Path, plan: GraphPlan) -> Graph:
    """Step 4, without masks: weights stored as planned. Raises `ExportError`."""
    return to_ncnn(
        onnx_path,
        folder / part.spec.param,
        folder / part.spec.bin,
        input_shape=part.example_shape,
        input_name=part.spec.inputs[0].role,
        output_names=[o.role for o in part.spec.outputs],
        dynamic_rows=part.has_rows,
        storage="fp16" if plan.storage == "fp16" else "fp32",
        leave=plan.fp32,
    )


def convert(
    part: Part,
    scratch: Path,
    plan: GraphPlan,
    target: LaneTarget | None,
    judge: Judge,
    range_inputs: Sequence[Array] = (),
    calibration: Calibration | None = None,
) -> Converted:
    """Write ONNX and ncnn files into `scratch`, hand every check to `judge`.

    `range_inputs` are what the range of a graph in half precision is measured on once more when it is done;
    a plan with int8 needs `calibration`.
    Raises `ExportError` if a step fails, `CheckFailed` if lane alignment changes the answers or the graph
    could overflow, and whatever `judge` raises.
    """
    spec, tolerance = part.spec, part.tolerance
    onnx_path = write_onnx(part, scratch)
    onnx = OnnxEngine({part.name: spec}, scratch.joinpath)
    judge(check_engine("onnx", part.network, onnx, part.name, spec, part.examples, tolerance))
    graph = write_ncnn(part, onnx_path, scratch, plan)
    ncnn = engine_of(part, scratch)
    judge(check_engine("ncnn", part.network, ncnn, part.name, spec, part.examples, tolerance))
    blobs = list(graph.blob_names())
    sources = find_sources(part.network, ncnn, part.name, spec, blobs, part.examples[0], tolerance)
    part = replace(part, spec=spec.model_copy(update={"layer_sources": sources}))
    # the head's channels lie along its rows, where ncnn packs nothing
    made = Converted(part.spec, None)
    if target is not None and not part.has_rows:
        graph, made = _aligned(part, graph, scratch, target, judge)
    if plan.storage == "int8":
        assert calibration is not None
        return _in_int8(part, graph, made, scratch, plan, judge, calibration)
    if plan.arithmetic == "fp32":
        return made
    return _in_half(replace(part, spec=made.spec), graph, made, scratch, plan, judge, range_inputs)


def _aligned(
    part: Part, graph: Graph, scratch: Path, target: LaneTarget, judge: Judge
) -> tuple[Graph, Converted]:
    """Step 6: the ncnn files written anew, if that pays."""
    spec = part.spec
    aligned = lay_out(graph, {spec.inputs[0].blob: part.examples[0].shape}, target)
    if not aligned.report.changed:
        return graph, Converted(spec, aligned)
    write_graph(aligned.graph, scratch / spec.param, scratch / spec.bin)
    tolerance = part.tolerance
    ncnn = engine_of(part, scratch)
    judge(check_engine("lanes", part.network, ncnn, part.name, spec, part.examples, tolerance))
    layouts = f"reference/{part.name}.lanes.safetensors"
    write_layouts(aligned, scratch / layouts)
    sources = spec.layer_sources
    twins = {new: sources[old] for new, old in aligned.twins.items() if old in sources}
    update = {"lane_layouts": layouts, "layer_sources": sources | twins}
    return aligned.graph, Converted(spec.model_copy(update=update), aligned)


def _in_half(
    part: Part,
    graph: Graph,
    made: Converted,
    scratch: Path,
    plan: GraphPlan,
    judge: Judge,
    range_inputs: Sequence[Array],
) -> Converted:
    """The plan in the graph as it is now, and what alignment has added to it: layers, and new ranges."""
    spec, role = part.spec, part.spec.inputs[0].role
    risks: list[Risk] = []
    graph = keep_in_fp32(graph, plan.fp32)
    for _ in range(2):
        write_graph(graph, scratch / spec.param, scratch / spec.bin)
        ncnn = engine_of(part, scratch)
        found = find_risks(graph, measure_peaks(ncnn, part.name, graph, role, range_inputs))
        graph = keep_in_fp32(graph, [risk.layer for risk in found])
        risks += found
        if not found:
            break
    else:
        raise CheckFailed(f"graph {part.name!r} could still overflow in half precision: {risks[-1]}")
    judge(check_engine("masks", part.network, ncnn, part.name, spec, part.examples, part.tolerance))
    spec = spec.model_copy(update={"arithmetic": plan.arithmetic})
    return Converted(spec, made.aligned, tuple(risks))


def _in_int8(
    part: Part,
    graph: Graph,
    made: Converted,
    scratch: Path,
    plan: GraphPlan,
    judge: Judge,
    calibration: Calibration,
) -> Converted:
    """Step 6b, checked on the first and the last calibration picture: ranges fit such pictures only."""
    spec, quantized = to_int8(part.name, made.spec, graph, plan, calibration, scratch)
    items = calibration.inputs[part.name]
    tol, ncnn, examples = TOLERANCES["int8"], engine_of(part, scratch), (items[0], items[-1])
    judge(
        check_engine(
            "int8", part.network, ncnn, part.name, spec, examples, tol.of_graph(part.name), tol.least_snr_db
        )
    )
    return Converted(spec, made.aligned, quantized=quantized)
