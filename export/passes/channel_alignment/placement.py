"""Give each channel of a group a lane that reaches every consumer that the channel must reach.

The signature of a channel is the multiset of (consumer, value id) that it reaches in the original graph, with
the position if the consumer needs it in place. A lane of the aligned graph has a signature as well. A channel
may take any lane whose signature contains its own: where such a lane arrives in excess, at a dense consumer,
the weights are zero. Channels and lanes of equal signature are interchangeable, so kinds of channels are
matched with kinds of lanes by a maximum flow.

The result is the channel order of every blob: for each position of the aligned blob the position in the
original blob, or -1. -1 is padding, or a real channel at a place where no consumer needs it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from pocketdet.export.passes.channel_alignment.channel_map import ChannelMap, IntArray
from pocketdet.export.passes.channel_alignment.trace import Consumer, Trace
from pocketdet.export.passes.channel_alignment.widen import AlignedGraph, PlacementError

ChannelOrders = dict[str, IntArray]
Signature = tuple[int, ...]
_Signatures = Mapping[tuple[int, int], Signature]


def place(found: Trace, aligned: AlignedGraph, region: int) -> dict[int, IntArray]:
    """Return the lane of each channel, for every group of a region.

    Raises:
        PlacementError: A group cannot be placed.
    """
    consumers = [(i, x) for i, x in enumerate(found.consumers) if x.blob in aligned.channel_maps]
    needed = _signatures(found, consumers, found.channel_maps)
    offered = _signatures(found, consumers, aligned.channel_maps)
    groups = map(int, np.flatnonzero(found.regions == region))
    return {group: _place_group(found, aligned, needed, offered, group) for group in groups}


def channel_orders(found: Trace, aligned: AlignedGraph, lane_of: Mapping[int, IntArray]) -> ChannelOrders:
    """Return the channel order of every blob of a region; `lane_of` is what `place` returns."""
    channel_of = {}
    for group, lanes in lane_of.items():
        channel_of[group] = np.full(aligned.widths[group], -1, np.int64)
        channel_of[group][lanes] = np.arange(len(lanes))
    maps = aligned.channel_maps.items()
    return {blob: channel_order(found.channel_maps[blob], x, channel_of) for blob, x in maps}


def channel_order(original: ChannelMap, aligned: ChannelMap, channel_of: Mapping[int, IntArray]) -> IntArray:
    """Return the channel order of one blob.

    If a value lies at several positions, its first position is matched with the first, and so on.

    Args:
        original: Map of the original blob.
        aligned: Map of the aligned blob.
        channel_of: For each group the channel in every lane, -1 for padding.
    """
    index = np.full(len(aligned), -1, np.int64)
    for group in aligned.groups():
        here = aligned.group == group
        index[here] = channel_of[group][aligned.index[here]]
    real = np.flatnonzero(index >= 0)
    source, wanted = _occurrence_numbers(original, replace(aligned, index=index).take(real))
    by_number = np.argsort(source, kind="stable")
    place_of = np.minimum(np.searchsorted(source[by_number], wanted), len(source) - 1)
    order = np.full(len(aligned), -1, np.int64)
    order[real] = np.where(source[by_number][place_of] == wanted, by_number[place_of], -1)
    return order


def is_original_order(order: IntArray, size: int) -> bool:
    """Return whether a blob of `size` channels keeps its channels and their order."""
    return len(order) == size and bool(np.array_equal(order, np.arange(size)))


def _signatures(
    found: Trace, consumers: Sequence[tuple[int, Consumer]], channel_maps: Mapping[str, ChannelMap]
) -> _Signatures:
    """(group, index) -> the tokens it reaches, ascending: numbers of (consumer, value id, position or -1)."""
    columns = []
    for number, consumer in consumers:
        channel_map = channel_maps[consumer.blob]
        places = np.full(len(channel_map), -1, np.int64)
        if consumer.kind != "dense":
            channel_map = channel_map.take(slice(0, len(found.channel_maps[consumer.blob])))
            places = np.arange(len(channel_map), dtype=np.int64)
        token = (np.int64(number) << np.int64(44)) | (channel_map.value_id << np.int64(22)) | (places + 1)
        columns.append(np.stack([channel_map.group, channel_map.index, token]))
    if not columns:
        return {}
    rows = np.concatenate(columns, axis=1)
    rows = rows[:, np.lexsort(rows[::-1])]
    starts = np.flatnonzero(np.any(np.diff(rows[:2], axis=1) != 0, axis=0)) + 1
    runs = np.split(rows, starts, axis=1)
    return {(int(run[0, 0]), int(run[1, 0])): tuple(map(int, run[2])) for run in runs}


def _place_group(
    found: Trace, aligned: AlignedGraph, needed: _Signatures, offered: _Signatures, number: int
) -> IntArray:
    group = found.groups[number]
    channels = [needed.get((number, i), ()) for i in range(group.size)]
    lanes = [offered.get((number, i), ()) for i in range(aligned.widths[number])]
    if all(_contains(lane, channel) for lane, channel in zip(lanes, channels, strict=False)):
        return np.arange(group.size, dtype=np.int64)
    matched = None if group.fixed_order else match_lanes(channels, lanes)
    if matched is None:
        reason = f"no lane reaches all the places that a channel of {group.blob!r} must reach"
        raise PlacementError(reason, [number], more_lanes_may_help=True)
    return matched


def _contains(lane: Signature, channel: Signature) -> bool:
    return lane == channel or not Counter(channel) - Counter(lane)


def match_lanes(channels: Sequence[Signature], lanes: Sequence[Signature]) -> IntArray | None:
    """Return a lane for every channel, or None: a maximum flow from kinds of channels to kinds of lanes.

    Args:
        channels: The signature of every channel.
        lanes: The signature of every lane.
    """
    needed, offered = Counter(channels), Counter(lanes)
    fits = {want: [o for o in offered if _contains(o, want)] for want in needed}
    for want, options in fits.items():
        options.sort(key=lambda offer: len(offer) - len(want))  # an exact fit first
    flow: dict[Signature, Counter[Signature]] = {offer: Counter() for offer in offered}
    for want, count in needed.items():
        for _ in range(count):
            if not _augment(want, fits, offered, flow, set()):
                return None
    return _assign(channels, lanes, flow)


def _augment(
    want: Signature,
    fits: Mapping[Signature, Sequence[Signature]],
    offered: Mapping[Signature, int],
    flow: dict[Signature, Counter[Signature]],
    seen: set[Signature],
) -> bool:
    """Find a lane for one more channel of a kind; move other channels if that helps."""
    for offer in fits[want]:
        if offer in seen:
            continue
        seen.add(offer)
        taken = flow[offer]
        if taken.total() < offered[offer]:
            taken[want] += 1
            return True
        for other in [kind for kind, count in taken.items() if count]:
            if _augment(other, fits, offered, flow, seen):
                taken[other] -= 1
                taken[want] += 1
                return True
    return False


def _assign(
    channels: Sequence[Signature], lanes: Sequence[Signature], flow: Mapping[Signature, Counter[Signature]]
) -> IntArray:
    """The channels take, in order, the lanes of the kinds that the flow assigns to them, in order."""
    free: dict[Signature, list[int]] = {}
    for lane in reversed(range(len(lanes))):
        free.setdefault(lanes[lane], []).append(lane)
    remaining = {offer: Counter(taken) for offer, taken in flow.items()}
    placed = np.empty(len(channels), np.int64)
    for channel, want in enumerate(channels):
        offer = next(offer for offer, taken in remaining.items() if taken[want] > 0)
        remaining[offer][want] -= 1
        placed[channel] = free[offer].pop()
    return placed


def _occurrence_numbers(*maps: ChannelMap) -> list[IntArray]:
    """A number per position of each map: equal for equal values that occurred equally often before."""
    kinds = np.unique(np.concatenate([x.keys() for x in maps]), return_inverse=True)[1]
    longest = max(len(x) for x in maps)
    parts = np.split(kinds.reshape(-1).astype(np.int64), np.cumsum([len(x) for x in maps])[:-1])
    return [part * longest + _previous_occurrences(part) for part in parts]


def _previous_occurrences(keys: IntArray) -> IntArray:
    """How often the key of each position occurs before it."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(keys) else order
    counts = np.empty(len(keys), np.int64)
    counts[order] = np.arange(len(keys)) - np.repeat(starts, np.diff(starts, append=len(keys)))
    return counts
