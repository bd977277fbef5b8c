"""Steps 3 to 6 of the export: one folded torch graph to ONNX and ncnn, each compared on two inputs."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from pocketdet.export.examples import network_inputs
from pocketdet.export.graph_checks import check_engine
from pocketdet.export.lay_out import lay_out, write_layouts
from pocketdet.export.layer_sources import find_sources
from pocketdet.export.passes.align_lanes import Aligned
from pocketdet.export.passes.lane_targets import LaneTarget
from pocketdet.export.to_ncnn import WeightStorage, to_ncnn
from pocketdet.export.to_onnx import to_onnx
from pocketdet.models.thundernet import HeadGraph, ThunderNet
from pocketdet.runtime.bundle.schema import Graphs, GraphSpec
from pocketdet.runtime.engines.base import GraphName
from pocketdet.runtime.engines.ncnn_engine import NcnnEngine
from pocketdet.runtime.engines.onnx_engine import OnnxEngine
from pocketdet.runtime.ncnn_graph import Graph, write_graph
from pocketdet.runtime.parity import Check
from pocketdet.runtime.stages import TOLERANCES


@dataclass(frozen=True)
class Part:
    """One graph on its way through the steps."""

    name: GraphName
    module: nn.Module
    spec: GraphSpec
    examples: tuple[Tensor, Tensor]


def split(folded: ThunderNet, graphs: Graphs) -> tuple[Part, Part]:
    """The two graphs of a folded detector."""
    generator = torch.Generator().manual_seed(0)
    # two different row counts prove that the number of RoIs was not baked in
    few, many = (torch.randn(n, folded.config.head.channels, generator=generator) for n in (37, 200))
    return (
        Part("features", folded, graphs.features, network_inputs(folded)),
        Part("head", HeadGraph(folded).eval(), graphs.head, (many, few)),
    )


@dataclass(frozen=True)
class Converted:
    """A graph whose files are written: what the manifest says of it, and how it was laid out, if it was."""

    spec: GraphSpec
    aligned: Aligned | None


def convert(
    part: Part,
    scratch: Path,
    storage: WeightStorage,
    target: LaneTarget | None,
    judge: Callable[[list[Check]], None],
) -> Converted:
    """Write ONNX and ncnn files into `scratch`, hand every check to `judge`.

    Raises `ExportError` if a step fails, `CheckFailed` if lane alignment changes the answers, and whatever
    `judge` raises.
    """
    spec, tolerance = part.spec, TOLERANCES["fp32"].features
    source, targets = spec.inputs[0].role, [o.role for o in spec.outputs]
    assert spec.onnx is not None
    onnx_path = scratch / spec.onnx
    onnx_path.parent.mkdir(exist_ok=True)
    example = part.examples[0]
    rows = part.name == "head"
    to_onnx(part.module, example, onnx_path, input_name=source, output_names=targets, dynamic_rows=rows)
    onnx = OnnxEngine({part.name: spec}, scratch.joinpath)
    judge(check_engine("onnx", part.module, onnx, part.name, spec, part.examples, tolerance))

    graph = to_ncnn(
        onnx_path,
        scratch / spec.param,
        scratch / spec.bin,
        input_shape=example.shape,
        input_name=source,
        output_names=targets,
        dynamic_rows=rows,
        storage=storage,
    )
    ncnn = NcnnEngine({part.name: spec}, scratch.joinpath)
    judge(check_engine("ncnn", part.module, ncnn, part.name, spec, part.examples, tolerance))
    sources = find_sources(part.module, ncnn, part.name, spec, list(graph.blob_names()), example, tolerance)
    spec = spec.model_copy(update={"layer_sources": sources})
    if target is None or rows:  # the head's channels lie along its rows, where ncnn packs nothing
        return Converted(spec, None)
    return _aligned(part, spec, graph, scratch, target, judge)


def _aligned(
    part: Part,
    spec: GraphSpec,
    graph: Graph,
    scratch: Path,
    target: LaneTarget,
    judge: Callable[[list[Check]], None],
) -> Converted:
    """Step 6: the ncnn files written anew, if that pays."""
    aligned = lay_out(graph, {spec.inputs[0].blob: tuple(part.examples[0].shape[1:])}, target)
    if not aligned.report.changed:
        return Converted(spec, aligned)
    write_graph(aligned.graph, scratch / spec.param, scratch / spec.bin)
    ncnn = NcnnEngine({part.name: spec}, scratch.joinpath)
    tolerance = TOLERANCES["fp32"].features
    judge(check_engine("lanes", part.module, ncnn, part.name, spec, part.examples, tolerance))
    layouts = f"reference/{part.name}.lanes.safetensors"
    write_layouts(aligned, scratch / layouts)
    sources = spec.layer_sources
    twins = {new: sources[old] for new, old in aligned.twins.items() if old in sources}
    update = {"lane_layouts": layouts, "layer_sources": sources | twins}
    return Converted(spec.model_copy(update=update), aligned)
