"""Follow every lane of a widened region: the same layers, with classes of other widths.

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


def widen(found: Trace, widths: Sequence[int], lanes: int, region: int) -> Wide:
    """Route the lanes of one region, whose classes have these widths. Raises `Obstacle` where a layer could
    not work.
    """
    wide = Wide(widths)
    blobs = {blob for blob in found.contents if found.region_of(blob) == region}
    made = {blob for layer in found.graph.layers for blob in layer.outputs}
    for blob, group in found.births.items():
        if blob in blobs and blob not in made:
            wide.contents[blob] = _born(found, wide, blob, group)
    for number, layer in enumerate(found.graph.layers):
        if blobs.isdisjoint(layer.outputs):
            continue
        for blob, content in zip(layer.outputs, _step(found, wide, number, layer, lanes), strict=True):
            if content is not None and blob in blobs:
                wide.contents[blob] = content
    return wide


def as_it_is(found: Trace, region: int) -> Wide:
    """One region that is not widened."""
    wide = Wide([own.size for own in found.classes])
    wide.contents = {b: content for b, content in found.contents.items() if found.region_of(b) == region}
    for number, layer in enumerate(found.graph.layers):
        if found.roles[number].kind == "cut" and layer.outputs[0] in wide.contents:
            wide.intervals[number] = list(found.roles[number].intervals)
    return wide


def _born(found: Trace, wide: Wide, blob: str, group: int) -> Content:
    return fresh(group, wide.widths[group], found.versions.number("born", blob))


def _step(found: Trace, wide: Wide, number: int, layer: Layer, lanes: int) -> Sequence[Content | None]:
    role = found.roles[number]
    if role.kind in ("make", "source", "opaque"):
        births = [found.births.get(blob) for blob in layer.outputs]
        pairs = zip(layer.outputs, births, strict=True)
        return [None if group is None else _born(found, wide, blob, group) for blob, group in pairs]
    if role.kind == "copy":
        return [wide.contents[layer.inputs[0]]] * len(layer.outputs)
    if role.kind == "join":
        return [join([wide.contents[blob] for blob in layer.inputs])]
    main = wide.contents[layer.inputs[role.main]]
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
        inputs = [wide.contents[blob] for blob in layer.inputs]
        _check_tie(layer, inputs)
        return [tie(found.versions, number, inputs)]
    if role.weighted and len(np.unique(main.keys())) < len(main):
        raise Obstacle(f"{layer.name!r} would have two weights for one value", main.groups())
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
