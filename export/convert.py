"""Steps 3 to 6 of the export: one folded graph to ONNX and ncnn, each compared with PyTorch on two inputs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pocketdet.errors import CheckFailed, ExportError, GraphError
from pocketdet.export.align_graph import align_graph, write_channel_orders
from pocketdet.export.layer_map import match_layers
from pocketdet.export.passes.channel_alignment import Alignment, AlignmentTarget
from pocketdet.export.passes.keep_in_fp32 import keep_in_fp32
from pocketdet.export.precision import GraphPlan, Risk, find_risks, fp32_layers, measure_peaks
from pocketdet.export.quantization import Quantized
from pocketdet.export.reference.base import Reference
from pocketdet.export.reference.network import Network
from pocketdet.export.to_int8 import Calibration, to_int8
from pocketdet.export.to_ncnn import to_ncnn
from pocketdet.runtime.bundle.load import ncnn_has_layer
from pocketdet.runtime.bundle.schema import Graphs, GraphSpec
from pocketdet.runtime.engines.base import Array, Engine, GraphName
from pocketdet.runtime.engines.ncnn_engine import NcnnEngine
from pocketdet.runtime.engines.onnx_engine import OnnxEngine
from pocketdet.runtime.ncnn_graph import Graph, validate, write_graph
from pocketdet.runtime.output_fields import WHOLE, Regions, compare_output
from pocketdet.runtime.parity import Check
from pocketdet.runtime.precision import Arithmetic
from pocketdet.runtime.verification import TOLERANCES

RANGE_ITEMS = 16  # of int8 calibration; all would take as long again as calibrating
RequireChecks = Callable[[list[Check]], None]
"""Records checks, and raises `CheckFailed` if one of them failed."""


@dataclass(frozen=True)
class GraphExport:
    """One graph of a detector during the export.

    Attributes:
        name: of the graph.
        network: the original.
        spec: files, inputs and outputs, as the manifest lists them.
        examples: two inputs without a batch axis.
        aligned: the result of channel alignment, if it was applied.
        risks: layers that stay in fp32 beyond the plan because they could overflow.
        quantized: the result of quantization, if it was applied.
        regions: of each output by role, the elements that are compared together; all by default.
    """

    name: GraphName
    network: Network
    spec: GraphSpec
    examples: tuple[Array, Array]
    aligned: Alignment | None = None
    risks: tuple[Risk, ...] = ()
    quantized: Quantized | None = None
    regions: Regions = field(default_factory=dict)

    @property
    def has_rows(self) -> bool:
        """Whether the first axis of its input is the number of RoIs."""
        return not self.spec.is_batched

    @property
    def tolerance(self) -> float:
        """The largest fp32 difference of an output, relative to the range of each of its regions."""
        return TOLERANCES["fp32"].of_graph(self.name)

    @property
    def example_shape(self) -> tuple[int, ...]:
        """The shape of the first example as the ONNX counterpart receives it."""
        shape = self.examples[0].shape
        return shape if self.has_rows else (1, *shape)

    def lines(self) -> list[str]:
        """The log lines of its passes."""
        lines = []
        if self.aligned:
            lines.append(f"-[✓] channel alignment {self.name}: {self.aligned.report.summary()}")
        lines += [f"-[!] {self.name}: {risk}: kept in fp32" for risk in self.risks]
        if self.quantized:
            report = self.quantized.report
            lines += [f"-[!] int8 {self.name}: {warning}" for warning in report.warnings]
            lines.append(f"-[✓] {self.name} {report.summary()}")
            lines += [f"-[i] int8 {self.name}: {line}" for line in report.kept_lines()]
        return lines


def split_graphs(reference: Reference, graphs: Graphs) -> list[GraphExport]:
    """The graphs of a folded detector, in the order of execution."""
    specs, examples, regions = graphs.by_name(), reference.examples(), reference.output_regions()
    return [
        GraphExport(n, network, specs[n], examples[n], regions=regions)
        for n, network in reference.networks().items()
    ]


def fp32_engine(part: GraphExport, folder: Path) -> NcnnEngine:
    """An ncnn engine for the graph in `folder` that computes in fp32 on every machine."""
    return NcnnEngine({part.name: part.spec}, folder.joinpath, precision="fp32")


def write_onnx(part: GraphExport, folder: Path) -> Path:
    """Step 3: write the ONNX counterpart. Raises `ExportError`."""
    assert part.spec.onnx is not None
    path = folder / part.spec.onnx
    path.parent.mkdir(exist_ok=True)
    part.network.write_onnx(path, part.examples[0])
    return path


def write_ncnn(part: GraphExport, onnx_path: Path, folder: Path, plan: GraphPlan) -> Graph:
    """Step 4: write the ncnn files; weights are stored as planned, feature masks follow in step 6.

    Raises `ExportError`, also for a graph that could crash ncnn.
    """
    graph = to_ncnn(
        onnx_path,
        folder / part.spec.param,
        folder / part.spec.bin,
        input_shape=part.example_shape,
        input_name=part.spec.inputs[0].role,
        output_names=[o.role for o in part.spec.outputs],
        dynamic_rows=part.has_rows,
        storage="fp16" if plan.storage == "fp16" else "fp32",
        exclude=plan.fp32,
    )
    inputs = {part.spec.inputs[0].blob: part.examples[0].shape}
    try:
        validate(graph, inputs, ncnn_has_layer, outputs=[o.blob for o in part.spec.outputs])
    except GraphError as error:
        raise ExportError(f"pnnx converted {onnx_path.name} to a graph that is not valid: {error}") from error
    return graph


def convert(
    part: GraphExport,
    scratch: Path,
    plan: GraphPlan,
    target: AlignmentTarget | None,
    require: RequireChecks,
    range_inputs: Sequence[Array] = (),
    calibration: Calibration | None = None,
) -> GraphExport:
    """Write the ONNX and ncnn files of one graph.

    Args:
        part: the graph.
        scratch: the folder to write into.
        plan: the precision of every layer.
        target: the machines that channels are aligned for; None skips the alignment.
        require: receives the checks of every step.
        range_inputs: inputs on which the ranges of a finished half-precision graph are measured again.
        calibration: required if the plan contains int8.

    Returns:
        The graph with its final specification and the reports of its passes.

    Raises:
        ExportError: if a step fails.
        CheckFailed: if channel alignment changes the outputs, or the finished graph could overflow; `require`
            raises it if a step changes the outputs.
    """
    spec, tolerance = part.spec, part.tolerance
    onnx_path = write_onnx(part, scratch)
    require(_check_engine("onnx", part, OnnxEngine({part.name: spec}, scratch.joinpath)))
    graph = write_ncnn(part, onnx_path, scratch, plan)
    ncnn = fp32_engine(part, scratch)
    require(_check_engine("ncnn", part, ncnn))
    blobs = list(graph.blob_names())
    layer_map = match_layers(part.network, ncnn, part.name, spec, blobs, part.examples[0], tolerance)
    part = replace(part, spec=spec.model_copy(update={"layer_sources": layer_map}))
    # the head's channels are the columns of a matrix, which ncnn does not pack
    if target is not None and not part.has_rows:
        graph, part = _align(part, graph, scratch, target, require)
    if plan.storage == "int8":
        assert calibration is not None
        arithmetic: Arithmetic = "fp16" if target is not None and target.has_half else plan.arithmetic
        return _convert_to_int8(
            part, graph, scratch, replace(plan, arithmetic=arithmetic), require, calibration
        )
    if plan.arithmetic == "fp32":
        return part
    return _convert_to_half(part, graph, scratch, plan, require, range_inputs)


def _align(
    part: GraphExport, graph: Graph, scratch: Path, target: AlignmentTarget, require: RequireChecks
) -> tuple[Graph, GraphExport]:
    """Step 6: align the channels, and write the ncnn files again if that changed the graph."""
    spec = part.spec
    aligned = align_graph(graph, {spec.inputs[0].blob: part.examples[0].shape}, target)
    part = replace(part, aligned=aligned)
    if not aligned.report.changed:
        return graph, part
    write_graph(aligned.graph, scratch / spec.param, scratch / spec.bin)
    require(_check_engine("aligned", part, fp32_engine(part, scratch)))
    layouts = f"reference/{part.name}.lanes.safetensors"
    write_channel_orders(aligned, scratch / layouts)
    layer_map = spec.layer_sources
    matched = {new: layer_map[old] for new, old in aligned.counterparts.items() if old in layer_map}
    update = {"lane_layouts": layouts, "layer_sources": layer_map | matched}
    return aligned.graph, replace(part, spec=spec.model_copy(update=update))


def _convert_to_half(
    part: GraphExport,
    graph: Graph,
    scratch: Path,
    plan: GraphPlan,
    require: RequireChecks,
    range_inputs: Sequence[Array],
) -> GraphExport:
    """Step 6b: mask the planned layers, and those that alignment added and that could overflow."""
    ncnn, risks = _mask(part, graph, scratch, plan.fp32, range_inputs)
    require(_check_engine("masks", part, ncnn))
    spec = part.spec.model_copy(update={"arithmetic": plan.arithmetic})
    return replace(part, spec=spec, risks=risks)


def _mask(
    part: GraphExport, graph: Graph, scratch: Path, fp32: Sequence[str], range_inputs: Sequence[Array]
) -> tuple[NcnnEngine, tuple[Risk, ...]]:
    """Write a graph with layers in fp32: those named, and those that could overflow in half precision.

    Returns:
        An engine for the written graph, and the layers that are not named.

    Raises:
        CheckFailed: if the written graph could overflow.
    """
    spec, role = part.spec, part.spec.inputs[0].role
    risks: list[Risk] = []
    graph = keep_in_fp32(graph, fp32)
    for _ in range(2):
        write_graph(graph, scratch / spec.param, scratch / spec.bin)
        ncnn = fp32_engine(part, scratch)
        found = find_risks(graph, measure_peaks(ncnn, part.name, graph, role, range_inputs))
        if not found:
            return ncnn, tuple(risks)
        graph = keep_in_fp32(graph, [risk.layer for risk in found])
        risks += found
    raise CheckFailed(f"graph {part.name!r} could still overflow in half precision: {risks[-1]}")


def _convert_to_int8(
    part: GraphExport,
    graph: Graph,
    scratch: Path,
    plan: GraphPlan,
    require: RequireChecks,
    calibration: Calibration,
) -> GraphExport:
    """Step 6b: quantize; checked on the first and the last calibration image, which the ranges fit.

    Layers that half precision is not for are masked whatever the plan asks for: any bundle may run with it.
    """
    spec, quantized = to_int8(part.name, part.spec, graph, plan, calibration, scratch, part.regions)
    items = calibration.inputs[part.name]
    part = replace(part, spec=spec, quantized=quantized)
    fp32 = fp32_layers(plan, quantized.graph)
    ncnn, risks = _mask(part, quantized.graph, scratch, fp32, items[:RANGE_ITEMS])
    checked = replace(part, examples=(items[0], items[-1]))
    tolerance = TOLERANCES["int8"]
    require(_check_engine("int8", checked, ncnn, tolerance.of_graph(part.name), tolerance.least_snr_db))
    spec = part.spec.model_copy(update={"arithmetic": plan.arithmetic})
    return replace(part, spec=spec, risks=risks)


def check_network(
    name: str,
    reference: Network,
    subject: Network,
    spec: GraphSpec,
    examples: Sequence[Array],
    relative: float,
    regions: Regions,
) -> list[Check]:
    """Compare two networks on the same inputs.

    Args:
        name: of the step; it precedes the output's name in each check.
        reference: the expected network.
        subject: the network to check.
        spec: the outputs to compare.
        examples: inputs without a batch axis.
        relative: the tolerance, relative to the range of a region.
        regions: of each output by role, the elements that are compared together; all by default.

    Returns:
        A check per region of an output, of the input with the largest difference.
    """
    pairs = [(reference.run(example), subject.run(example)) for example in examples]
    return _worst(name, spec, pairs, relative, regions)


def _check_engine(
    name: str,
    part: GraphExport,
    engine: Engine,
    relative: float | None = None,
    least_snr_db: float | None = None,
) -> list[Check]:
    """Compare the original of a graph with an engine that runs its export; by default in fp32 tolerance."""
    role = part.spec.inputs[0].role
    pairs = [(part.network.run(example), engine.run(part.name, {role: example})) for example in part.examples]
    relative = part.tolerance if relative is None else relative
    return _worst(name, part.spec, pairs, relative, part.regions, least_snr_db)


def _worst(
    name: str,
    spec: GraphSpec,
    pairs: Sequence[tuple[Mapping[str, Array], Mapping[str, Array]]],
    relative: float,
    regions: Regions,
    least_snr_db: float | None = None,
) -> list[Check]:
    """A check per region, of the pair with the largest difference; only the first shape that differs."""
    checks: list[Check] = []
    for output in (o.role for o in spec.outputs):
        parts = regions.get(output, (WHOLE,))
        found = [
            compare_output(
                f"{name} {output}", parts, r[output], s[output], relative=relative, least_snr_db=least_snr_db
            )
            for r, s in pairs
        ]
        unequal = next((one for one in found if len(one) != len(parts)), None)
        checks += unequal or [max(same, key=_severity) for same in zip(*found, strict=True)]
    return checks


def _severity(check: Check) -> tuple[bool, float]:
    return not check.ok, check.max_abs / max(check.tolerance, 1e-30)
