"""The value that lies at each channel of a blob.

A value is identified by three numbers. `group` is the channel group (tensors that share one channel order)
that it belongs to. `index` is its channel in that group, or its lane in the aligned graph. `value_id` says
which operations were applied to it, so that x, relu(x) and relu(relu(x)) are three values of one channel. Two
positions with equal triples hold equal numbers. Layers that only move channels keep all three.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pocketdet.errors import GraphError

IntArray = NDArray[np.int64]
MAX_IDS = 2**22
"""Limit of `index` and `value_id`: `ChannelMap.keys` packs them into 22 bits each."""


@dataclass(frozen=True, eq=False)
class ChannelMap:
    """The values along the first axis of a blob: three int64 arrays of its length."""

    group: IntArray
    index: IntArray
    value_id: IntArray

    @classmethod
    def identity(cls, group: int, size: int, value_id: int) -> "ChannelMap":
        """Return the map of a new tensor: channel k of `group` at position k."""
        return cls(
            np.full(size, group, np.int64), np.arange(size, dtype=np.int64), np.full(size, value_id, np.int64)
        )

    @classmethod
    def concat(cls, maps: Sequence["ChannelMap"]) -> "ChannelMap":
        """Return the map of a concatenation along the first axis."""
        return cls(
            np.concatenate([part.group for part in maps]),
            np.concatenate([part.index for part in maps]),
            np.concatenate([part.value_id for part in maps]),
        )

    def __len__(self) -> int:
        return len(self.index)

    def take(self, positions: IntArray | slice) -> "ChannelMap":
        """Return the map of some positions, in their order."""
        return ChannelMap(self.group[positions], self.index[positions], self.value_id[positions])

    def repeat(self, times: int) -> "ChannelMap":
        """Return the map with every position `times` times in a row."""
        return ChannelMap(*(np.repeat(part, times) for part in (self.group, self.index, self.value_id)))

    def with_groups(self, new_group: IntArray) -> "ChannelMap":
        """Return the map with group g replaced by `new_group[g]`."""
        return replace(self, group=new_group[self.group])

    def keys(self) -> IntArray:
        """Return one number per position; equal numbers are equal values, in all blobs of a graph."""
        return (self.group << np.int64(44)) | (self.index << np.int64(22)) | self.value_id

    def groups(self) -> list[int]:
        """Return the groups that occur, in ascending order."""
        return [int(group) for group in np.unique(self.group)]

    def has_duplicates(self) -> bool:
        """Return whether one value lies at two positions."""
        return len(np.unique(self.keys())) < len(self)


class ValueIds:
    """Assigns value ids: the same key gets the same id, in the original and in the aligned graph."""

    def __init__(self) -> None:
        self._first_ids: dict[Hashable, int] = {}
        self._next = 0

    def new_tensor(self, blob: str) -> int:
        """Return the id of the values of a tensor as its layer computes it."""
        return self.block(1, "tensor", blob)

    def block(self, size: int, *key: Hashable) -> int:
        """Return the first of `size` consecutive ids that belong to `key`.

        Raises:
            GraphError: More than `MAX_IDS` ids would be needed.
        """
        if key not in self._first_ids:
            if self._next + size > MAX_IDS:
                raise GraphError(f"the channels of the graph take more than {MAX_IDS} values: too many")
            self._first_ids[key] = self._next
            self._next += size
        return self._first_ids[key]


def elementwise(ids: ValueIds, layer: int, inputs: Sequence[ChannelMap]) -> ChannelMap:
    """Return the map behind layer number `layer`, which combines channel k of all `inputs`."""
    rows, inverse = np.unique(np.stack([x.value_id for x in inputs], axis=1), axis=0, return_inverse=True)
    new_ids = [ids.block(1, "elementwise", layer, *map(int, row)) for row in rows]
    return replace(inputs[0], value_id=np.asarray(new_ids, np.int64)[inverse.reshape(-1)])


def per_channel(ids: ValueIds, layer: int, output: int, source: ChannelMap, repeat: int) -> ChannelMap:
    """Return the map of one output of a layer that computes each channel from the same channel of its input.

    Args:
        ids: The ids of the graph.
        layer: Number of the layer.
        output: Number of the output.
        source: Map of the input.
        repeat: Output channels per input channel, which lie in a row.
    """
    repeated = source.repeat(repeat)
    kinds, inverse = np.unique(source.value_id, return_inverse=True)
    first_ids = np.asarray(
        [ids.block(repeat, "per_channel", layer, output, int(kind)) for kind in kinds], np.int64
    )
    offsets = np.tile(np.arange(repeat, dtype=np.int64), len(source))
    return replace(repeated, value_id=np.repeat(first_ids[inverse], repeat) + offsets)


def shuffle_order(channels: int, groups: int, reverse: bool) -> IntArray:
    """Return the source position of every output position of ncnn's ShuffleChannel.

    Source: ncnn src/layer/shufflechannel.cpp. `groups` divides `channels`.
    """
    rows = channels // groups if reverse else groups
    return np.arange(channels, dtype=np.int64).reshape(rows, -1).T.reshape(-1)
