"""Where each position of a widened blob comes from: the position in the blob as it was, or -1.

-1 is padding, or a real channel in a place where nobody asked for it. Layouts are all that the rewriting of
weights needs.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from pocketdet.export.passes.lanes.content import Content, IntArray
from pocketdet.export.passes.lanes.placement import channels_of_lanes
from pocketdet.export.passes.lanes.trace import Trace
from pocketdet.export.passes.lanes.widen import Wide

Layouts = dict[str, IntArray]


def layouts_of(found: Trace, wide: Wide, lanes_of: Mapping[int, IntArray]) -> Layouts:
    """The layout of every blob of a region; `lanes_of` comes from `place`."""
    channels = {i: channels_of_lanes(lanes, wide.widths[i]) for i, lanes in lanes_of.items()}
    return {blob: _layout(found.contents[blob], content, channels) for blob, content in wide.contents.items()}


def is_same(layout: IntArray, size: int) -> bool:
    """Whether a blob of `size` channels is laid out as it was."""
    return len(layout) == size and bool(np.array_equal(layout, np.arange(size)))


def _layout(narrow: Content, wide: Content, channels: Mapping[int, IntArray]) -> IntArray:
    """The first position of the narrow blob that holds what a lane holds, the second for its second twin."""
    index = np.full(len(wide), -1, np.int64)
    for group in wide.groups():
        here = wide.group == group
        index[here] = channels[group][wide.index[here]]
    real = np.flatnonzero(index >= 0)
    source, asked = _numbered(narrow, replace(wide, index=index).take(real))
    order = np.argsort(source, kind="stable")
    place = np.minimum(np.searchsorted(source[order], asked), len(source) - 1)
    layout = np.full(len(wide), -1, np.int64)
    layout[real] = np.where(source[order][place] == asked, order[place], -1)
    return layout


def _numbered(*contents: Content) -> list[IntArray]:
    """For each content a number per position: equal numbers are equal values, met equally often before."""
    kinds = np.unique(np.concatenate([content.keys() for content in contents]), return_inverse=True)[1]
    most = max(len(content) for content in contents)
    parts = np.split(kinds.reshape(-1).astype(np.int64), np.cumsum([len(c) for c in contents])[:-1])
    return [part * most + _turns(part) for part in parts]


def _turns(keys: IntArray) -> IntArray:
    """How often the key of each position came before."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(keys) else order
    turns = np.empty(len(keys), np.int64)
    turns[order] = np.arange(len(keys)) - np.repeat(starts, np.diff([*starts, len(keys)]))
    return turns
