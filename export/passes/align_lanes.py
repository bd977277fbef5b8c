"""Lay an ncnn graph out for SIMD: channel counts become whole lanes, and every answer stays.

ncnn packs 4, 8 or 16 channels into one element, and falls back to slow kernels where a channel count is not
a whole number of them. Here tensors get zero channels, real channels are placed so that the graph's own
Slice, Concat and ShuffleChannel layers still route each one to where it went, and the weights are permuted
and padded once. What cannot be proved or does not pay stays as it was, with the reason in the report.

    aligned = align_lanes(graph, {"in0": (3, 320, 320)}, lanes=8)
    print(aligned.report)
    differences = prove_same(graph, aligned.graph, {"in0": (3, 320, 320)})
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from pocketdet.errors import UsageError
from pocketdet.export.passes.lanes.cost import X86, Rates
from pocketdet.export.passes.lanes.layout import Layouts
from pocketdet.export.passes.lanes.proof import Difference, prove_same
from pocketdet.export.passes.lanes.report import AlignReport, Refused, Widened, make_report
from pocketdet.export.passes.lanes.rewrite import rewrite
from pocketdet.export.passes.lanes.search import Search
from pocketdet.export.passes.lanes.trace import trace
from pocketdet.runtime.ncnn_graph import Graph, Shape, check_weights, has_known_weights, infer_shapes

__all__ = ["AlignReport", "Aligned", "Difference", "Refused", "Widened", "align_lanes", "prove_same"]

LANES = (4, 8, 16)


@dataclass(frozen=True)
class Aligned:
    """The graph, which is the very object that came in where nothing was gained, and what was done.

    `layouts` has an entry for each blob whose channels lie elsewhere now: for every position along the first
    axis the channel of the blob as it was, or -1. `twins` maps each blob that came with a Crop, before or
    behind it, to the blob of the old graph that it stands for. `regions` names, for each set of tensors that
    were widened together, the layers that make them.
    """

    graph: Graph
    report: AlignReport
    layouts: Layouts = field(default_factory=dict)
    twins: Mapping[str, str] = field(default_factory=dict)
    regions: tuple[tuple[str, ...], ...] = ()


def align_lanes(
    graph: Graph,
    inputs: Mapping[str, Shape],
    lanes: int,
    *,
    wide_outputs: bool = False,
    keep: Iterable[str] = (),
    leave: Mapping[str, str] | None = None,
    rates: Rates = X86,
    least_gain: float = 1.03,
) -> Aligned:
    """Align `graph` for a machine that packs `lanes` channels: 4, 8 or 16.

    `inputs` are the shapes that will be fed, (c, h, w) without batch. Outputs keep names, shapes and values;
    with `wide_outputs` an output may keep extra channels at its end instead of having them cut off. Inner
    blobs may change; those named in `keep` do not. What the layers named in `leave` make is not widened, for
    the reason given there.
    `rates` is the cost model of the target; a graph that would not become `least_gain` times faster by it is
    returned as it is: the model errs by a few percent. `graph` is never changed.
    Raises UsageError for another lane count, GraphError for a graph whose shapes contradict each other or
    whose weights do not fit its layers.
    """
    if lanes not in LANES:
        raise UsageError(f"lanes must be one of {LANES}, found {lanes}")
    if not graph.structure_only:
        check_weights(replace(graph, layers=[x for x in graph.layers if has_known_weights(x.type)]))
    shapes = infer_shapes(graph, inputs, partial=True)
    found = trace(graph, shapes, keep, leave or {})
    start, best = Search(found, lanes, rates, wide_outputs).run()
    if best.widths == start.widths or best.cost * least_gain > start.cost:
        as_it_was = replace(start, reasons=best.reasons)
        return Aligned(graph, make_report((graph, shapes), (graph, shapes), lanes, start, as_it_was))
    made = rewrite(best.plan)
    after = infer_shapes(made, inputs, partial=True)
    report = make_report((graph, shapes), (made, after), lanes, start, best)
    twins = _twins(graph, made)
    return Aligned(made, report, best.plan.moved(twins), twins, best.regions())


def _twins(graph: Graph, made: Graph) -> dict[str, str]:
    old, known = {layer.name for layer in graph.layers}, set(graph.blob_names())
    crops = [layer for layer in made.layers if layer.name not in old]
    ends = [(crop.inputs[0], crop.outputs[0]) for crop in crops]
    return dict(pair if pair[1] in known else pair[::-1] for pair in ends)
