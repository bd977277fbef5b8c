"""Follow every channel of a graph: the values that each blob holds, and where they are consumed.

Tensors that are combined element by element must share one channel order: their groups are merged into one
`ChannelGroup`. If they are combined at different channel indices, the layer is treated as a barrier, which
preserves both orders.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from pocketdet.export.passes.channel_alignment.channel_map import (
    ChannelMap,
    IntArray,
    ValueIds,
    elementwise,
    per_channel,
    shuffle_order,
)
from pocketdet.export.passes.channel_alignment.roles import Interval, Role, barrier, role_of
from pocketdet.runtime.ncnn_graph import Graph, Layer, Shape
from pocketdet.runtime.ncnn_graph.layer_views import Convolution, ShuffleChannel

_MAX_LENGTH = 2**17
"""Blobs with a longer first axis are not followed."""

ConsumerKind = Literal["dense", "ordered", "output", "preserved"]


@dataclass(frozen=True)
class Consumer:
    """A place where the values of a blob are needed.

    Attributes:
        kind: `dense` takes the channels in any order; the others need channel k at position k. Padding behind
            the channels of an `ordered` input or an `output` can be cut off; a `preserved` blob must not
            change at all.
        blob: The blob that is read.
        layer: Number of the reading layer; -1 for an output of the graph and for a blob that the caller
            extracts.
        input: Number of the layer's input; -1 as above.
    """

    kind: ConsumerKind
    blob: str
    layer: int = -1
    input: int = -1

    def describe(self, graph: Graph) -> str:
        """Return the reader's name, for messages."""
        if self.layer < 0:
            return f"the {'output' if self.kind == 'output' else 'kept blob'} {self.blob!r}"
        layer = graph.layers[self.layer]
        return f"{layer.type} {layer.name!r}"


@dataclass
class ChannelGroup:
    """Tensors that share one channel order.

    Attributes:
        size: Channels.
        producers: Names of the layers that compute the tensors.
        blob: The first of the tensors.
        exclusion_reason: Why the group must keep its size; empty if it may be widened.
        fixed_order: Whether the channel order is given as well.
    """

    size: int
    producers: list[str]
    blob: str
    exclusion_reason: str = ""
    fixed_order: bool = False


@dataclass
class Trace:
    """What is known about the channels of a graph.

    Attributes:
        graph: The graph.
        shapes: Shape of every blob that is followed, (c, h, w) without batch.
        value_ids: The ids that `channel_maps` use.
        roles: The role of every layer.
        channel_maps: The map of every blob in `shapes`; its `group` numbers `groups`.
        producers: Blob -> the group that its layer, or the caller, creates there.
        groups: The channel groups.
        consumers: Every place where values are needed.
        regions: For every group the number of its region. The widths of groups that lie in one blob depend on
            each other: they are in one region, and so are groups connected through others.
    """

    graph: Graph
    shapes: Mapping[str, Shape]
    value_ids: ValueIds = field(default_factory=ValueIds)
    roles: list[Role] = field(default_factory=list)
    channel_maps: dict[str, ChannelMap] = field(default_factory=dict)
    producers: dict[str, int] = field(default_factory=dict)
    groups: list[ChannelGroup] = field(default_factory=list)
    consumers: list[Consumer] = field(default_factory=list)
    regions: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))

    def region_of(self, blob: str) -> int:
        """Return the region of a blob in `channel_maps`."""
        return int(self.regions[self.channel_maps[blob].group[0]])

    def outputs(self) -> set[str]:
        """Return the outputs of the graph that are followed."""
        return {consumer.blob for consumer in self.consumers if consumer.kind == "output"}


def trace(
    graph: Graph,
    shapes: Mapping[str, Shape],
    preserve: Iterable[str] = (),
    exclusion_reasons: Mapping[str, str] | None = None,
) -> Trace:
    """Trace a graph.

    Args:
        graph: The graph.
        shapes: What `infer_shapes(..., partial=True)` returns.
        preserve: Inner blobs that a caller extracts, which must not change.
        exclusion_reasons: Layer name -> why its output must not be widened.
    """
    followed = {blob: shape for blob, shape in shapes.items() if shape and 0 < shape[0] <= _MAX_LENGTH}
    tracer = _Tracer(graph, followed)
    tracer.run()
    found = tracer.result
    tracer.number_groups()
    found.consumers = find_consumers(graph, found.roles, found.channel_maps, preserve)
    _exclude_groups(found, exclusion_reasons or {})
    found.regions = _regions(found)
    return found


def routed_inputs(layer: Layer, role: Role) -> list[str]:
    """Return the inputs whose channels a layer passes on."""
    return layer.inputs if role.kind in ("concat", "elementwise") else [layer.inputs[role.main]]


def route(
    ids: ValueIds,
    number: int,
    layer: Layer,
    role: Role,
    inputs: Sequence[ChannelMap],
    intervals: Sequence[Interval],
) -> list[ChannelMap]:
    """Return the maps of the outputs of a layer that passes channels on.

    Args:
        ids: The ids of the graph.
        number: Number of the layer.
        layer: The layer.
        role: Its role: not `dense`, `constant` or `barrier`.
        inputs: Maps of `routed_inputs(layer, role)`.
        intervals: Of a `slice` layer: the positions that each output takes.
    """
    source = inputs[0]
    match role.kind:
        case "pass_through":
            return [source] * len(layer.outputs)
        case "concat":
            return [ChannelMap.concat(inputs)]
        case "slice":
            return [source.take(slice(*interval)) for interval in intervals]
        case "shuffle":
            shuffle = ShuffleChannel.of(layer)
            order = shuffle_order(len(source), shuffle.group, bool(shuffle.reverse))
            return [source.take(order)]
        case "elementwise":
            return [elementwise(ids, number, inputs)]
        case _:
            outputs = range(len(layer.outputs))
            return [per_channel(ids, number, output, source, role.repeat) for output in outputs]


def find_consumers(
    graph: Graph, roles: Sequence[Role], followed: Mapping[str, ChannelMap], preserve: Iterable[str]
) -> list[Consumer]:
    """Return all consumers of blobs in `followed`.

    The inputs of a Noop are preserved as well: it only keeps blobs from being optimised away, as at the end
    of NanoDet, because a program extracts them.
    """
    int8 = _int8_blobs(graph)
    consumers = []
    for number, (layer, role) in enumerate(zip(graph.layers, roles, strict=True)):
        if role.kind == "dense":
            consumers.append(Consumer("dense", layer.inputs[0], number, 0))
        for i in role.ordered:
            kind: ConsumerKind = "preserved" if layer.inputs[i] in int8 else "ordered"
            consumers.append(Consumer(kind, layer.inputs[i], number, i))
    outputs = graph.output_names()
    noop_inputs = [blob for layer in graph.layers if layer.type == "Noop" for blob in layer.inputs]
    consumers += [Consumer("output", blob) for blob in outputs]
    consumers += [Consumer("preserved", blob) for blob in [*preserve, *noop_inputs] if blob not in outputs]
    return [consumer for consumer in consumers if consumer.blob in followed]


def _int8_blobs(graph: Graph) -> set[str]:
    """Blobs of int8 values, from convolutions with an output scale.

    Padding cannot be cut off them: ncnn's Crop reads packed channels as floats.
    """
    found: set[str] = set()
    for layer in graph.layers:
        requantized = layer.type in Convolution.types and Convolution.of(layer).int8_scale_term > 100
        if requantized or (layer.type == "Split" and not found.isdisjoint(layer.inputs)):
            found.update(layer.outputs)
    return found


class _Tracer:
    """Computes roles and channel maps; merges the groups of tensors that are combined element by element."""

    def __init__(self, graph: Graph, shapes: Mapping[str, Shape]) -> None:
        self.result = Trace(graph, shapes)
        self._parent: list[int] = []  # of a union-find over `_tensors`
        self._tensors: list[ChannelGroup] = []

    def run(self) -> None:
        found = self.result
        for blob in found.graph.input_names():
            self._add_tensor(blob, "the input", fixed_order=True)
        for number, layer in enumerate(found.graph.layers):
            role = role_of(layer, found.shapes)
            outputs = self._outputs(number, layer, role)
            if outputs is None:
                role = barrier(layer)
                for blob in layer.outputs:
                    self._add_tensor(blob, layer.name, fixed_order=True)
            else:
                found.channel_maps.update(zip(layer.outputs, outputs, strict=True))
            found.roles.append(role)

    def number_groups(self) -> None:
        """Replace tensors by merged groups everywhere."""
        found = self.result
        roots = sorted({self._root(tensor) for tensor in range(len(self._parent))})
        number = {root: i for i, root in enumerate(roots)}
        group_of: IntArray = np.asarray([number[self._root(t)] for t in range(len(self._parent))], np.int64)
        found.channel_maps = {b: x.with_groups(group_of) for b, x in found.channel_maps.items()}
        found.producers = {blob: int(group_of[tensor]) for blob, tensor in found.producers.items()}
        found.groups = [ChannelGroup(self._tensors[r].size, [], self._tensors[r].blob) for r in roots]
        for tensor, group in zip(self._tensors, group_of, strict=True):
            found.groups[group].producers += tensor.producers
            found.groups[group].fixed_order |= tensor.fixed_order

    def _add_tensor(self, blob: str, producer: str, fixed_order: bool) -> None:
        """Add a group for a blob that has none; do nothing if its shape is not known."""
        found = self.result
        if blob in found.channel_maps or blob not in found.shapes:
            return
        number, size = len(self._tensors), found.shapes[blob][0]
        self._parent.append(number)
        self._tensors.append(ChannelGroup(size, [producer], blob, fixed_order=fixed_order))
        found.producers[blob] = number
        found.channel_maps[blob] = ChannelMap.identity(number, size, found.value_ids.new_tensor(blob))

    def _outputs(self, number: int, layer: Layer, role: Role) -> list[ChannelMap] | None:
        """Maps of the outputs; None if the layer has to be a barrier."""
        maps = self.result.channel_maps
        if role.kind in ("dense", "constant"):
            self._add_tensor(layer.outputs[0], layer.name, fixed_order=False)
            return [maps[layer.outputs[0]]]
        if role.kind == "barrier":
            return None
        inputs = [maps[blob] for blob in routed_inputs(layer, role)]
        if role.kind == "elementwise" and not self._merge(inputs):
            return None
        if role.weighted and inputs[0].has_duplicates():
            return None  # two weights for one value: the channels could not be distinguished
        return route(self.result.value_ids, number, layer, role, inputs, role.intervals)

    def _merge(self, inputs: Sequence[ChannelMap]) -> bool:
        """Merge the groups at equal positions; return False if their indices or sizes differ."""
        first, pairs = inputs[0], []
        for other in inputs[1:]:
            combined = np.unique(np.stack([first.group, other.group]), axis=1).T
            pairs += [(int(a), int(b)) for a, b in combined]
            if not np.array_equal(first.index, other.index) or any(
                self._tensors[a].size != self._tensors[b].size for a, b in combined
            ):
                return False
        for a, b in pairs:
            self._parent[self._root(b)] = self._root(a)
        return True

    def _root(self, tensor: int) -> int:
        while self._parent[tensor] != tensor:
            tensor = self._parent[tensor]
        return tensor


def _regions(found: Trace) -> IntArray:
    region = np.arange(len(found.groups), dtype=np.int64)
    for channel_map in found.channel_maps.values():
        connected = region[channel_map.groups()]
        region[np.isin(region, connected)] = connected.min()
    return region


def _exclude_groups(found: Trace, exclusion_reasons: Mapping[str, str]) -> None:
    """Set the exclusion reason of every group that no placement allows to widen."""
    for group in found.groups:
        if group.fixed_order:
            group.exclusion_reason = f"its channel order is given by {group.producers[0]}"
        elif group.size == 1:
            group.exclusion_reason = "a single channel, which may be broadcast over others"
        else:
            reasons = (exclusion_reasons[name] for name in group.producers if name in exclusion_reasons)
            group.exclusion_reason = next(reasons, "")
    for consumer in found.consumers:
        if consumer.kind == "dense":
            continue
        reason = f"its channels must stay in place for {consumer.describe(found.graph)}"
        for number in _groups_that_need_their_place(found.channel_maps[consumer.blob], consumer.kind):
            found.groups[number].exclusion_reason = found.groups[number].exclusion_reason or reason


def _groups_that_need_their_place(channel_map: ChannelMap, kind: ConsumerKind) -> list[int]:
    """The groups whose padding cannot be cut off: all but one that lies in a row at the end of the blob."""
    last = int(channel_map.group[-1])
    tail = channel_map.group == last
    one_run = bool(tail[int(np.argmax(tail)) :].all()) and len(np.unique(channel_map.value_id[tail])) == 1
    return [g for g in channel_map.groups() if kind == "preserved" or g != last or not one_run]
