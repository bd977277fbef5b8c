"""Follow every lane of the widened net: the same layers, with classes of other widths.

Layers that only move channels move positions, whatever lies there. So their outputs follow from the widths
alone; what changes is where Slice and Crop cut.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from pocketdet.export.passes.lanes.content import Content, fresh, join, shuffle_order
from pocketdet.export.passes.lanes.intervals import Interval, wide_intervals
from pocketdet.export.passes.lanes.trace import Trace, pass_on, tie
from pocketdet.runtime.ncnn_graph import Layer, Shape


class Obstacle(Exception):
    """Why a set of widths cannot be: a reason in plain words and the classes to blame."""

    def __init__(self, reason: str, classes: Sequence[int], more_lanes_may_help: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.classes = reason, tuple(classes)
        self.more_lanes_may_help = more_lanes_may_help


@dataclass
class Wide:
    """The widened net: contents by blob (`index` is a lane), and the intervals of cuts by layer number."""

    widths: Sequence[int]
    contents: dict[str, Content] = field(default_factory=dict)
    intervals: dict[int, list[Interval]] = field(default_factory=dict)

    def shapes(self, found: Trace) -> dict[str, Shape]:
        """Shape of every blob whose shape was known."""
        narrow = found.shapes
        return {
            b: (len(self.contents[b]), *narrow[b][1:]) if b in self.contents else narrow[b] for b in narrow
        }


def widen(found: Trace, widths: Sequence[int], lanes: int) -> Wide:
    """Route the lanes of classes of these widths. Raises `Obstacle` where a layer could not work."""
    wide = Wide(widths)
    for blob, group in found.births.items():
        if blob not in {name for layer in found.graph.layers for name in layer.outputs}:
            wide.contents[blob] = _born(found, wide, blob, group)
    for number, layer in enumerate(found.graph.layers):
        for blob, content in zip(layer.outputs, _step(found, wide, number, layer, lanes), strict=True):
            if content is not None:
                wide.contents[blob] = content
    return wide


def _born(found: Trace, wide: Wide, blob: str, group: int) -> Content:
    return fresh(group, wide.widths[group], found.versions.number("born", blob))


def _step(found: Trace, wide: Wide, number: int, layer: Layer, lanes: int) -> Sequence[Content | None]:
    role = found.roles[number]
    if role.kind in ("make", "source", "opaque"):
        births = [found.births.get(blob) for blob in layer.outputs]
        pairs = zip(layer.outputs, births, strict=True)
        return [None if group is None else _born(found, wide, blob, group) for blob, group in pairs]
    inputs = [wide.contents[blob] for blob in layer.inputs]
    main = inputs[role.main]
    if role.kind == "copy":
        return (inputs * len(layer.outputs) if len(inputs) == 1 else inputs)[: len(layer.outputs)]
    if role.kind == "join":
        return [join(inputs)]
    if role.kind == "cut":
        narrow = found.contents[layer.inputs[0]]
        intervals = wide_intervals(role.intervals, narrow, main, lanes)
        if intervals is None:
            raise Obstacle(f"no place to cut {layer.name!r} in the widened blob", main.groups())
        wide.intervals[number] = intervals
        return [main.take(slice(*interval)) for interval in intervals]
    if role.kind == "shuffle":
        groups = layer.int_param(0, 1)
        if len(main) % groups:
            reason = f"{len(main)} channels do not divide into the {groups} groups of {layer.name!r}"
            raise Obstacle(reason, main.groups())
        return [main.take(shuffle_order(len(main), groups, bool(layer.int_param(1, 0))))]
    if role.kind == "tie":
        _check_tie(layer, inputs)
        return [tie(found.versions, number, inputs)]
    steps = [(number, output) for output in range(len(layer.outputs))]
    return [pass_on(found.versions, step, main, role.repeat) for step in steps]


def _check_tie(layer: Layer, inputs: Sequence[Content]) -> None:
    """Lanes that meet must be the same lanes of one class."""
    first = inputs[0]
    for other in inputs[1:]:
        fits = len(first) == len(other) and np.array_equal(
            np.stack([first.group, first.index]), np.stack([other.group, other.index])
        )
        if not fits:
            reason = f"the inputs of {layer.name!r} would no longer meet channel by channel"
            raise Obstacle(reason, sorted({*first.groups(), *other.groups()}))
