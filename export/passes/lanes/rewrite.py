"""Write the widened net: layer by layer, from the layouts of its blobs alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pocketdet.export.passes.lanes.intervals import Interval
from pocketdet.export.passes.lanes.layout import Layouts, is_same
from pocketdet.export.passes.lanes.rewrite_weights import channel_weights, constant, dense_weights
from pocketdet.export.passes.lanes.trace import Trace
from pocketdet.export.passes.lanes.widen import Wide
from pocketdet.runtime.ncnn_graph import Graph, Layer, Shape

_KEEP = -233
_SHAPE_HINTS = 30
_PADDED_CHANNELS = {"Reshape", "Crop"}


@dataclass(frozen=True)
class Plan:
    """All that was decided: the widened net, where every channel lies, and whether outputs keep extra lanes."""

    found: Trace
    wide: Wide
    layouts: Layouts
    wide_outputs: bool = False


def rewrite(plan: Plan) -> Graph:
    """A new graph that computes the same; the old one and its layers are not touched."""
    crops = _Crops(plan)
    layers: list[Layer] = []
    for number, old in enumerate(plan.found.graph.layers):
        layer = replace(
            old,
            inputs=list(old.inputs),
            outputs=list(old.outputs),
            params=dict(old.params),
            weights=dict(old.weights),
        )
        _rewrite_layer(plan, number, layer)
        layers += crops.in_front_of(number, layer)
        layers.append(layer)
        layers += crops.behind(layer)
    graph = Graph(
        layers,
        plan.found.graph.header,
        plan.found.graph.trailer,
        plan.found.graph.structure_only,
        plan.found.graph.source,
    )
    return graph


def _rewrite_layer(plan: Plan, number: int, layer: Layer) -> None:
    role, layouts, shapes = plan.found.roles[number], plan.layouts, plan.found.shapes
    touched = [b for b in (*layer.inputs, *layer.outputs) if b in layouts and not is_same(layouts[b], shapes[b][0])]
    if not touched or role.kind == "opaque":
        return
    if role.kind == "make":
        inputs = layouts.get(layer.inputs[0])
        assert inputs is not None
        dense_weights(layer, role, inputs, layouts[layer.outputs[0]])
    elif role.kind == "source":
        constant(layer, layouts[layer.outputs[0]])
    elif role.kind == "cut":
        _cut(layer, plan.found.contents[layer.inputs[0]].index.size, plan.wide, number)
    elif role.kind == "pass" and role.weighted:
        channel_weights(layer, layouts[layer.inputs[0]], layouts[layer.outputs[0]])
    elif role.kind == "pass" and layer.type in _PADDED_CHANNELS:
        _leading_size(layer, shapes, len(layouts[layer.outputs[0]]))
    _renew_hints(plan, layer)


def _cut(layer: Layer, narrow: int, wide: Wide, number: int) -> None:
    intervals = wide.intervals[number]
    total = len(wide.contents[layer.inputs[0]])
    if layer.type == "Crop":
        axes = layer.int_array(11)
        dims = len(layer.int_array(9))
        where = [axis % dims if not axes else axis for axis in (axes or range(dims))]
        channel = next(i for i, axis in enumerate(where) if axis == 0 or axis == -_rank(layer, wide))
        starts, ends = list(layer.int_array(9)), list(layer.int_array(10))
        starts[channel], ends[channel] = intervals[0]
        layer.params[9], layer.params[10] = tuple(starts), tuple(ends)
        return
    if layer.int_array(2):
        layer.params[2] = tuple(interval.begin for interval in intervals[1:])
        return
    sizes = [interval.end - interval.begin for interval in intervals]
    if _sizes_as_written(layer.int_array(0), total) != sizes:
        layer.params[0] = tuple(sizes)


def _rank(layer: Layer, wide: Wide) -> int:
    return 3 if layer.inputs[0] in wide.contents else 0


def _sizes_as_written(written: Sequence[int], total: int) -> list[int]:
    """What ncnn's Slice makes of its sizes, -233 being an equal share of the rest."""
    sizes: list[int] = []
    for i, size in enumerate(written):
        sizes.append((total - sum(sizes)) // (len(written) - i) if size == _KEEP else size)
    return sizes


def _leading_size(layer: Layer, shapes: dict[str, Shape], width: int) -> None: ...


def _renew_hints(plan: Plan, layer: Layer) -> None: ...
