"""Align the channels of an ncnn graph, and report what was done."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from pocketdet.errors import UsageError
from pocketdet.export.passes.channel_alignment.cost import LANE_COUNTS, X86, CostRates
from pocketdet.export.passes.channel_alignment.placement import ChannelOrders
from pocketdet.export.passes.channel_alignment.rewrite import rewrite
from pocketdet.export.passes.channel_alignment.search import NOT_FASTER, Candidate, Search
from pocketdet.export.passes.channel_alignment.trace import trace
from pocketdet.runtime.ncnn_graph import (
    Graph,
    Shape,
    check_weights,
    count_macs,
    has_known_weights,
    infer_shapes,
)


@dataclass(frozen=True)
class Widened:
    """Tensors of one channel group that got padding.

    Attributes:
        makers: Names of the layers that compute them.
        channels: Channels before.
        lanes: Channels after, with padding.
    """

    makers: tuple[str, ...]
    channels: int
    lanes: int

    def __str__(self) -> str:
        return f"{_short_list(self.makers)}: {self.channels} -> {self.lanes} channels"


@dataclass(frozen=True)
class Excluded:
    """Tensors of one channel group that keep a channel count which is not a multiple of the lanes.

    Attributes:
        makers: Names of the layers that compute them.
        channels: Channels.
        reason: Why they keep them.
    """

    makers: tuple[str, ...]
    channels: int
    reason: str

    def __str__(self) -> str:
        return f"{_short_list(self.makers)}: stays at {self.channels} channels: {self.reason}"


@dataclass(frozen=True)
class AlignmentReport:
    """What an alignment did. `pocketdet align --json` prints these fields.

    Attributes:
        lanes: Channels that the target packs.
        widened: What got padding.
        refused: What did not, although its channel count is not a multiple of `lanes`.
        macs: Multiply-accumulates before and after.
        weight_bytes: Bytes of the weights before and after; None for a graph read without weights.
        estimated_ratio: The cost before, divided by the cost after, by the cost model.
        crops: Layers that were added to cut padding off.
        wider_outputs: Output of the graph that keeps its padding -> (channels, channels with padding); empty
            unless `wide_outputs` was given.
    """

    lanes: int
    widened: tuple[Widened, ...]
    refused: tuple[Excluded, ...]
    macs: tuple[int, int]
    weight_bytes: tuple[int, int] | None
    estimated_ratio: float
    crops: int
    wider_outputs: Mapping[str, tuple[int, int]]

    @property
    def changed(self) -> bool:
        """Whether anything was widened."""
        return bool(self.widened)

    def summary(self) -> str:
        """Return the report in one line."""
        if not self.changed:
            return f"nothing to gain with {self.lanes} SIMD lanes, the graph is unchanged"
        steps = sorted({(item.channels, item.lanes) for item in self.widened})
        shown = ", ".join(f"{channels} -> {lanes}" for channels, lanes in steps)
        more = self.macs[1] / self.macs[0] - 1 if self.macs[0] else 0.0
        return f"{len(self.widened)} tensors widened ({shown}), {more:+.1%} multiply-accumulates"

    def __str__(self) -> str:
        lines = [f"{len(self.widened)} tensors widened to whole lanes of {self.lanes}"]
        if not self.changed:
            lines = [f"nothing to gain with {self.lanes} SIMD lanes: the graph is unchanged"]
        lines += [f"  {item}" for item in (*self.widened, *self.refused)]
        lines.append(f"multiply-accumulates {self.macs[0]} -> {self.macs[1]}")
        if self.weight_bytes is not None:
            lines.append(f"weights {self.weight_bytes[0]} -> {self.weight_bytes[1]} bytes")
        lines.append(f"estimated speed-up {self.estimated_ratio:.2f}, {self.crops} crops added")
        return "\n".join(lines)


@dataclass(frozen=True)
class Alignment:
    """An aligned graph.

    Attributes:
        graph: The graph; the very object that was given if nothing is gained.
        report: What was done.
        channel_orders: Blob of the aligned graph that has padding or another channel order -> for every
            position along its first axis the channel of the original blob, or -1 for padding.
        counterparts: Blob that was added together with a Crop -> the original blob that it stands for.
        regions: The producers of tensors that were widened together, by region.
    """

    graph: Graph
    report: AlignmentReport
    channel_orders: ChannelOrders = field(default_factory=dict)
    counterparts: Mapping[str, str] = field(default_factory=dict)
    regions: tuple[tuple[str, ...], ...] = ()


def align_channels(
    graph: Graph,
    inputs: Mapping[str, Shape],
    lanes: int,
    *,
    wide_outputs: bool = False,
    preserve: Iterable[str] = (),
    exclude: Mapping[str, str] | None = None,
    rates: CostRates = X86,
    min_gain: float = 1.03,
) -> Alignment:
    """Align a graph for a machine that packs `lanes` channels.

    Outputs keep their names, shapes and values. Inner blobs may get padding and another channel order.

    Args:
        graph: The graph; it is not changed.
        inputs: Shape of every input, (c, h, w) without batch.
        lanes: 4, 8 or 16.
        wide_outputs: Whether an output may keep padding behind its channels, instead of a Crop.
        preserve: Inner blobs that must not change, because a program extracts them.
        exclude: Layer name -> why its output must not be widened, for the report.
        rates: The cost model of the target.
        min_gain: How many times as fast the graph must become by the cost model; else it is returned
            unchanged. The model errs by a few percent.

    Raises:
        UsageError: `lanes` is another number.
        GraphError: Shapes contradict each other, or weights do not fit their layers.
    """
    if lanes not in LANE_COUNTS:
        raise UsageError(f"lanes must be one of {LANE_COUNTS}, found {lanes}")
    if not graph.structure_only:
        check_weights(replace(graph, layers=[x for x in graph.layers if has_known_weights(x.type)]))
    shapes = infer_shapes(graph, inputs, partial=True)
    start, best = Search(trace(graph, shapes, preserve, exclude), lanes, rates, wide_outputs).run()
    if best.widths == start.widths or best.cost * min_gain > start.cost:
        unchanged = replace(start, exclusion_reasons=best.exclusion_reasons)
        return Alignment(graph, _make_report((graph, shapes), (graph, shapes), lanes, start, unchanged))
    aligned = rewrite(best.plan)
    aligned_shapes = infer_shapes(aligned, inputs, partial=True)
    report = _make_report((graph, shapes), (aligned, aligned_shapes), lanes, start, best)
    counterparts = _counterparts(graph, aligned)
    return Alignment(aligned, report, best.plan.changed_orders(counterparts), counterparts, best.regions())


def _counterparts(graph: Graph, aligned: Graph) -> dict[str, str]:
    """The new one of the two blobs of each added Crop -> the other one."""
    layers, blobs = {layer.name for layer in graph.layers}, set(graph.blob_names())
    crops = [(layer.inputs[0], layer.outputs[0]) for layer in aligned.layers if layer.name not in layers]
    return dict((a, b) if b in blobs else (b, a) for a, b in crops)


def _make_report(
    original: tuple[Graph, Mapping[str, Shape]],
    aligned: tuple[Graph, Mapping[str, Shape]],
    lanes: int,
    start: Candidate,
    best: Candidate,
) -> AlignmentReport:
    """Compare two graphs, each with the shapes of its blobs."""
    found = best.plan.found
    widened, excluded = [], []
    for number, (group, width) in enumerate(zip(found.groups, best.widths, strict=True)):
        if width > group.size:
            widened.append(Widened(tuple(group.producers), group.size, width))
        elif group.size % lanes:
            reason = group.exclusion_reason or best.exclusion_reasons.get(number, NOT_FASTER)
            excluded.append(Excluded(tuple(group.producers), group.size, reason))
    wider_outputs = {
        blob: (found.shapes[blob][0], len(best.plan.orders[blob]))
        for blob in sorted(found.outputs())
        if best.plan.wide_outputs and best.plan.is_changed(blob)
    }
    costs = [count_macs(*side) for side in (original, aligned)]
    weight_bytes = [sum(cost.weight_bytes or 0 for cost in side) for side in costs]
    macs = [sum(cost.macs or 0 for cost in side) for side in costs]
    return AlignmentReport(
        lanes,
        tuple(widened),
        tuple(excluded),
        (macs[0], macs[1]),
        None if original[0].structure_only else (weight_bytes[0], weight_bytes[1]),
        start.cost / best.cost if best.cost else 1.0,
        len(aligned[0].layers) - len(original[0].layers),
        wider_outputs,
    )


def _short_list(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown
