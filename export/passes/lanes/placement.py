"""Where each channel of a class goes: a lane that reaches every place the channel must reach.

The signature of a channel is the multiset of (sink, version) that it reaches in the graph as it is, with the
position where the sink needs it in place. A lane of the widened net has one too. A channel may take a lane
whose signature contains its own: where such a lane arrives in excess, at an absorber, the weights there are
zero. Channels and lanes of equal signature are interchangeable, so classes of them are matched by a flow.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from pocketdet.export.passes.lanes.content import Content, IntArray
from pocketdet.export.passes.lanes.sinks import Sink
from pocketdet.export.passes.lanes.trace import Trace
from pocketdet.export.passes.lanes.widen import Obstacle, Wide

Signature = tuple[int, ...]
_NONE: Signature = ()


def place(found: Trace, wide: Wide, region: int) -> dict[int, IntArray]:
    """For every class of a region the lane of each channel.

    Raises `Obstacle` naming a class that cannot be placed.
    """
    sinks = [(i, sink) for i, sink in enumerate(found.sinks) if sink.blob in wide.contents]
    needs = _signatures(found, sinks, found.contents)
    offers = _signatures(found, sinks, wide.contents)
    members = map(int, np.flatnonzero(found.regions == region))
    return {number: _place_class(found, wide, needs, offers, number) for number in members}


def channels_of_lanes(lanes: IntArray, width: int) -> IntArray:
    """The channel in each lane of a class, -1 for padding."""
    channels = np.full(width, -1, np.int64)
    channels[lanes] = np.arange(len(lanes))
    return channels


def _signatures(
    found: Trace, sinks: Sequence[tuple[int, Sink]], contents: Mapping[str, Content]
) -> dict[tuple[int, int], Signature]:
    """(class, index) -> the tokens it reaches, ascending; a token numbers (sink, version, position or -1)."""
    columns = []
    for number, sink in sinks:
        content = contents[sink.blob]
        places = np.full(len(content), -1, np.int64)
        if sink.kind != "absorb":
            content = content.take(slice(0, len(found.contents[sink.blob])))
            places = np.arange(len(content), dtype=np.int64)
        token = (np.int64(number) << np.int64(44)) | (content.version << np.int64(22)) | (places + 1)
        columns.append(np.stack([content.group, content.index, token]))
    if not columns:
        return {}
    rows = np.concatenate(columns, axis=1)
    rows = rows[:, np.lexsort(rows[::-1])]
    starts = np.flatnonzero(np.any(np.diff(rows[:2], axis=1) != 0, axis=0)) + 1
    runs = np.split(rows, starts, axis=1)
    return {(int(run[0, 0]), int(run[1, 0])): tuple(map(int, run[2])) for run in runs}


def _place_class(
    found: Trace,
    wide: Wide,
    needs: Mapping[tuple[int, int], Signature],
    offers: Mapping[tuple[int, int], Signature],
    number: int,
) -> IntArray:
    own = found.classes[number]
    channels = [needs.get((number, i), _NONE) for i in range(own.size)]
    lanes = [offers.get((number, i), _NONE) for i in range(wide.widths[number])]
    if all(_contains(lane, channel) for lane, channel in zip(lanes, channels, strict=False)):
        return np.arange(own.size, dtype=np.int64)
    matched = None if own.pinned else _match(channels, lanes)
    if matched is None:
        reason = f"no lane reaches all the places that a channel of {own.blob!r} must reach"
        raise Obstacle(reason, [number], more_lanes_may_help=True)
    return matched


def _contains(lane: Signature, channel: Signature) -> bool:
    return lane == channel or not Counter(channel) - Counter(lane)


def _match(channels: Sequence[Signature], lanes: Sequence[Signature]) -> IntArray | None:
    """A lane for every channel, or None. Maximum flow between kinds of channels and kinds of lanes."""
    wanted, offered = Counter(channels), Counter(lanes)
    fits = {want: [o for o in offered if _contains(o, want)] for want in wanted}
    for want, options in fits.items():
        options.sort(key=lambda offer: len(offer) - len(want))  # an exact fit first
    flow: dict[Signature, Counter[Signature]] = {offer: Counter() for offer in offered}
    for want, count in wanted.items():
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
    """Find a lane for one more channel of a kind, moving others if that helps."""
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
    """Channels in order take the lanes of the kinds that the flow gave them, in order."""
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
