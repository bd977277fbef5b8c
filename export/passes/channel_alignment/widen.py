"""The aligned graph of one region: the same layers, with channel groups of other widths.

A layer that passes channels on does so whatever lies at a position. The channel maps of the aligned graph
therefore follow from the widths alone. Only the positions where Slice and Crop cut have to be chosen.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from pocketdet.export.passes.channel_alignment.channel_map import ChannelMap, IntArray
from pocketdet.export.passes.channel_alignment.roles import Interval, Role
from pocketdet.export.passes.channel_alignment.trace import Trace, route, routed_inputs
from pocketdet.runtime.ncnn_graph import Layer, Shape
from pocketdet.runtime.ncnn_graph.layer_views import ShuffleChannel


class PlacementError(Exception):
    """A set of widths that is not possible.

    Attributes:
        reason: Why, for the report.
        groups: The channel groups that are the cause.
        more_lanes_may_help: Whether a wider group might be possible.
    """

    def __init__(self, reason: str, groups: Sequence[int], more_lanes_may_help: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.groups = reason, tuple(groups)
        self.more_lanes_may_help = more_lanes_may_help


@dataclass
class AlignedGraph:
    """The channels of the aligned graph, before its layers are written.

    Attributes:
        widths: Lanes of every channel group.
        channel_maps: The map of every blob; `index` is a lane.
        intervals: Number of a `slice` layer -> the positions that each of its outputs takes.
    """

    widths: Sequence[int]
    channel_maps: dict[str, ChannelMap] = field(default_factory=dict)
    intervals: dict[int, list[Interval]] = field(default_factory=dict)

    def shapes(self, found: Trace) -> dict[str, Shape]:
        """Return the shape of every blob whose original shape is known."""
        maps = self.channel_maps
        return {b: (len(maps[b]), *shape[1:]) if b in maps else shape for b, shape in found.shapes.items()}


def widen(found: Trace, widths: Sequence[int], lanes: int, region: int) -> AlignedGraph:
    """Compute the channel maps of one region with other widths.

    Args:
        found: The original graph.
        widths: Lanes of every channel group.
        lanes: Channels that the target packs; cuts at multiples of it are preferred.
        region: Number of the region.

    Raises:
        PlacementError: A layer could not work with these widths.
    """
    aligned = AlignedGraph(widths)
    blobs = {blob for blob in found.channel_maps if found.region_of(blob) == region}
    computed = {blob for layer in found.graph.layers for blob in layer.outputs}
    for blob, group in found.producers.items():
        if blob in blobs and blob not in computed:
            aligned.channel_maps[blob] = _new_tensor(found, widths, blob, group)
    for number, layer in enumerate(found.graph.layers):
        if blobs.isdisjoint(layer.outputs):
            continue
        outputs = zip(layer.outputs, _outputs(found, aligned, number, layer, lanes), strict=True)
        aligned.channel_maps.update({b: x for b, x in outputs if x is not None and b in blobs})
    return aligned


def unchanged(found: Trace, region: int) -> AlignedGraph:
    """Return one region with its original widths."""
    aligned = AlignedGraph([group.size for group in found.groups])
    aligned.channel_maps = {b: x for b, x in found.channel_maps.items() if found.region_of(b) == region}
    for number, layer in enumerate(found.graph.layers):
        if found.roles[number].kind == "slice" and layer.outputs[0] in aligned.channel_maps:
            aligned.intervals[number] = list(found.roles[number].intervals)
    return aligned


def aligned_intervals(
    intervals: Sequence[Interval], original: ChannelMap, aligned: ChannelMap, lanes: int
) -> list[Interval] | None:
    """Choose where a Slice or a Crop cuts the aligned blob.

    Any choice is possible; whether it routes every channel correctly is decided by `placement`. For each
    bound this takes the position that leaves enough lanes of every value on either side. Among several it
    takes the same fraction of the blob if the original parts divide it evenly, else the closest multiple of
    `lanes`.

    Args:
        intervals: Where the layer cuts the original blob.
        original: Map of the original blob.
        aligned: Map of the aligned blob.
        lanes: Channels that the target packs.

    Returns:
        The intervals, or None if a part would be empty.
    """
    sizes = {interval.end - interval.begin for interval in intervals}
    size = next(iter(sizes))
    even = len(sizes) == 1 and len(original) % size == 0
    even = even and all(interval.begin % size == 0 for interval in intervals)
    bounds = sorted({bound for interval in intervals for bound in interval})
    moved = {bound: _aligned_bound(bound, original, aligned, lanes, even) for bound in bounds}
    found = [Interval(moved[interval.begin], moved[interval.end]) for interval in intervals]
    return found if all(interval.begin < interval.end for interval in found) else None


def _new_tensor(found: Trace, widths: Sequence[int], blob: str, group: int) -> ChannelMap:
    return ChannelMap.identity(group, widths[group], found.value_ids.new_tensor(blob))


def _outputs(
    found: Trace, aligned: AlignedGraph, number: int, layer: Layer, lanes: int
) -> Sequence[ChannelMap | None]:
    """Maps of the outputs of a layer, None for those that are not followed."""
    role = found.roles[number]
    if role.kind in ("dense", "constant", "barrier"):
        groups = [(blob, found.producers.get(blob)) for blob in layer.outputs]
        return [None if g is None else _new_tensor(found, aligned.widths, b, g) for b, g in groups]
    inputs = [aligned.channel_maps[blob] for blob in routed_inputs(layer, role)]
    if role.kind == "slice":
        original = found.channel_maps[layer.inputs[0]]
        intervals = aligned_intervals(role.intervals, original, inputs[0], lanes)
        if intervals is None:
            raise PlacementError(f"no place to cut {layer.name!r} in the widened blob", inputs[0].groups())
        aligned.intervals[number] = intervals
    _check_inputs(layer, role, inputs)
    return route(found.value_ids, number, layer, role, inputs, aligned.intervals.get(number, ()))


def _check_inputs(layer: Layer, role: Role, inputs: Sequence[ChannelMap]) -> None:
    """Raise `PlacementError` if a layer cannot pass on these lanes."""
    first = inputs[0]
    if role.kind == "shuffle" and len(first) % ShuffleChannel.of(layer).group:
        shuffled = f"{len(first)} channels do not divide into the {ShuffleChannel.of(layer).group} groups"
        raise PlacementError(f"{shuffled} of {layer.name!r}", first.groups())
    if role.weighted and first.has_duplicates():
        raise PlacementError(f"{layer.name!r} would have two weights for one value", first.groups())
    if role.kind == "elementwise":
        for other in inputs[1:]:
            if not (np.array_equal(first.group, other.group) and np.array_equal(first.index, other.index)):
                reason = f"the inputs of {layer.name!r} would no longer match channel by channel"
                raise PlacementError(reason, sorted({*first.groups(), *other.groups()}))


def _aligned_bound(bound: int, original: ChannelMap, aligned: ChannelMap, lanes: int, even: bool) -> int:
    if bound in (0, len(original)):
        return 0 if bound == 0 else len(aligned)
    share = bound * len(aligned) / len(original)
    positions = np.arange(len(aligned) + 1, dtype=np.int64)
    preference = np.abs(positions - share) + np.where(positions % lanes == 0, 0, len(aligned))
    if even and share == int(share):
        preference[int(share)] = -1
    return int(np.lexsort((preference, _missing_lanes(bound, original, aligned)))[0])


def _missing_lanes(bound: int, original: ChannelMap, aligned: ChannelMap) -> IntArray:
    """For each position to cut at, how many channels would find no lane of their value on their side."""
    kinds, kind_of = np.unique(
        np.concatenate([(x.group << np.int64(32)) | x.value_id for x in (original, aligned)]),
        return_inverse=True,
    )
    of_original, of_aligned = kind_of[: len(original)], kind_of[len(original) :]
    before = np.bincount(of_original[:bound], minlength=len(kinds))
    after = np.bincount(of_original[bound:], minlength=len(kinds))
    counts = np.zeros((len(aligned) + 1, len(kinds)), np.int64)
    counts[np.arange(len(aligned)) + 1, of_aligned] = 1
    counts = counts.cumsum(axis=0)
    missing = np.maximum(before - counts, 0) + np.maximum(after - (counts[-1] - counts), 0)
    return np.asarray(missing.sum(axis=1), np.int64)
