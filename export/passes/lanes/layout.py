"""Where each position of a widened blob comes from: the position in the blob as it was, or -1.

-1 is padding, or a real channel in a place where nobody asked for it. Layouts are all that the rewriting of
weights needs.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pocketdet.export.passes.lanes.content import Content, IntArray
from pocketdet.export.passes.lanes.placement import channels_of_lanes
from pocketdet.export.passes.lanes.trace import Trace
from pocketdet.export.passes.lanes.widen import Wide

Layouts = dict[str, IntArray]


def layouts_of(found: Trace, wide: Wide, lanes_of: Sequence[IntArray]) -> Layouts:
    """The layout of every blob with a content; `lanes_of` comes from `place`."""
    channels = [channels_of_lanes(lanes, wide.widths[i]) for i, lanes in enumerate(lanes_of)]
    return {blob: _layout(found.contents[blob], content, channels) for blob, content in wide.contents.items()}


def is_same(layout: IntArray, size: int) -> bool:
    """Whether a blob of `size` channels is laid out as it was."""
    return len(layout) == size and bool(np.array_equal(layout, np.arange(size)))


def _layout(narrow: Content, wide: Content, channels: Sequence[IntArray]) -> IntArray:
    index = np.full(len(wide), -1, np.int64)
    for group in wide.groups():
        here = wide.group == group
        index[here] = channels[group][wide.index[here]]
    real = np.flatnonzero(index >= 0)
    held = replace(wide, index=index).take(real)
    source, asked = _numbered(narrow), _numbered(held)
    order = np.lexsort(source[::-1])
    position = {(int(key), int(turn)): int(i) for key, turn, i in zip(*source[:, order], order, strict=True)}
    layout = np.full(len(wide), -1, np.int64)
    layout[real] = [position.get((int(key), int(turn)), -1) for key, turn in asked.T]
    return layout


def _numbered(content: Content) -> IntArray:
    """(2, channels): the key of each position, and how often that key came before."""
    keys = content.keys()
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(keys) else order
    turn = np.empty(len(keys), np.int64)
    turn[order] = np.arange(len(keys)) - np.repeat(starts, np.diff([*starts, len(keys)]))
    return np.stack([keys, turn])
