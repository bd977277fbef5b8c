"""What the channels of a blob are: for each position the value that lies there.

A value is named by three numbers. `group`: the tensor it was born in (or the set of tensors that must share
one channel order). `index`: its channel there; in the widened net, its lane. `version`: what was done to it
since, so that x, relu(x) and relu(relu(x)) are three values of one channel. Two positions with equal triples
hold equal numbers. Values that layers only move keep all three.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pocketdet.errors import GraphError

IntArray = NDArray[np.int64]
MOST = 2**22  # indices of a group, and versions: what `Content.keys` has room for


@dataclass(frozen=True, eq=False)
class Content:
    """The values along the first axis of a blob; three arrays of its length."""

    group: IntArray
    index: IntArray
    version: IntArray

    def __len__(self) -> int:
        return len(self.index)

    def take(self, positions: IntArray | slice) -> "Content":
        """The content of some positions, in their order."""
        return Content(self.group[positions], self.index[positions], self.version[positions])

    def repeat(self, times: int) -> "Content":
        """Every position `times` times in a row."""
        return Content(*(np.repeat(part, times) for part in (self.group, self.index, self.version)))

    def with_groups(self, class_of: IntArray) -> "Content":
        """The same with every group replaced by its class."""
        return replace(self, group=class_of[self.group])

    def keys(self) -> IntArray:
        """One number per position; equal numbers are equal values. Unique across blobs of a net."""
        return (self.group << np.int64(44)) | (self.index << np.int64(22)) | self.version

    def groups(self) -> list[int]:
        """The groups that occur, ascending."""
        return [int(group) for group in np.unique(self.group)]


def fresh(group: int, size: int, version: int) -> Content:
    """The content of a new tensor."""
    ones = np.ones(size, np.int64)
    return Content(ones * group, np.arange(size, dtype=np.int64), ones * version)


def join(parts: Sequence[Content]) -> Content:
    """The content of a concatenation."""
    return Content(
        np.concatenate([part.group for part in parts]),
        np.concatenate([part.index for part in parts]),
        np.concatenate([part.version for part in parts]),
    )


def shuffle_order(channels: int, groups: int, reverse: bool) -> IntArray:
    """Source position of every output position of ncnn's ShuffleChannel."""
    rows = channels // groups if reverse else groups
    return np.arange(channels, dtype=np.int64).reshape(rows, -1).T.reshape(-1)


class Versions:
    """Numbers for versions: the same key gives the same number, in the narrow and in the widened net."""

    def __init__(self) -> None:
        self._firsts: dict[Hashable, int] = {}
        self._next = 0

    def number(self, *key: Hashable) -> int:
        """The number of a key such as (layer, earlier version)."""
        return self.block(1, *key)

    def block(self, size: int, *key: Hashable) -> int:
        """The first of `size` numbers in a row that belong to a key.

        Raises `GraphError` if there are too many for `Content.keys`.
        """
        if key not in self._firsts:
            if self._next + size > MOST:
                raise GraphError(f"the channels of the graph take more than {MOST} forms, too many to follow")
            self._firsts[key] = self._next
            self._next += size
        return self._firsts[key]

    def after(self, step: Hashable, *earlier: IntArray) -> IntArray:
        """Versions behind a layer that made one value out of each row of `earlier`."""
        rows, inverse = np.unique(np.stack(earlier, axis=1), axis=0, return_inverse=True)
        numbers = [self.number(step, *map(int, row)) for row in rows]
        return np.asarray(numbers, np.int64)[inverse.reshape(-1)]
