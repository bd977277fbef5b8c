"""Write the widened net: layer by layer, from the layouts of its blobs alone."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pocketdet.export.passes.lanes.intervals import Interval
from pocketdet.export.passes.lanes.layout import Layouts, is_same
from pocketdet.export.passes.lanes.rewrite_params import set_crop, set_hints, set_reshape, set_slice
from pocketdet.export.passes.lanes.rewrite_weights import (
    channel_weights,
    constant,
    dense_weights,
    gemm_weights,
)
from pocketdet.export.passes.lanes.trace import Trace
from pocketdet.export.passes.lanes.widen import Wide
from pocketdet.runtime.ncnn_graph import Graph, Layer, ParamValue


@dataclass(frozen=True)
class Plan:
    """All that was decided: the widened net, where channels lie, and whether outputs keep extra lanes."""

    found: Trace
    wide: Wide
    layouts: Layouts
    wide_outputs: bool = False

    def changed(self, blob: str) -> bool:
        """Whether a blob is laid out in another way than it was."""
        return blob in self.layouts and not is_same(self.layouts[blob], self.found.shapes[blob][0])

    def moved(self, twins: Mapping[str, str]) -> Layouts:
        """The layouts of all blobs of the new graph that are laid out in another way; see `Aligned.twins`."""
        narrow = {old for old in twins.values() if not self.wide_outputs and old in self.outputs()}
        found = {blob: layout for blob, layout in self.layouts.items() if self.changed(blob)}
        moved = {blob: layout for blob, layout in found.items() if blob not in narrow}
        return moved | {new: found[old] for new, old in twins.items() if old in narrow}

    def outputs(self) -> set[str]:
        """Blobs that the graph gives out."""
        return {sink.blob for sink in self.found.sinks if sink.kind == "output"}

    def cropped(self) -> list[str]:
        """Blobs that get a Crop, once for each reader that needs the channels as they were."""
        sinks = [sink for sink in self.found.sinks if sink.kind == "fixed"]
        if not self.wide_outputs:
            sinks += [sink for sink in self.found.sinks if sink.kind == "output"]
        return [sink.blob for sink in sinks if self.changed(sink.blob)]


def rewrite(plan: Plan) -> Graph:
    """A new graph that computes the same; the old one and its layers are not touched."""
    old = plan.found.graph
    names = _Names(old)
    layers: list[Layer] = []
    for number, source in enumerate(old.layers):
        layer = replace(
            source,
            inputs=list(source.inputs),
            outputs=list(source.outputs),
            params=dict(source.params),
            weights=dict(source.weights),
        )
        _rewrite_layer(plan, number, layer)
        layers += _crops_before(plan, number, layer, names)
        behind = _crops_behind(plan, layer, names)
        layers += [layer, *behind]
    return replace(old, layers=layers)


def _rewrite_layer(plan: Plan, number: int, layer: Layer) -> None:
    role, layouts, shapes = plan.found.roles[number], plan.layouts, plan.found.shapes
    if role.kind == "opaque" or not any(plan.changed(blob) for blob in (*layer.inputs, *layer.outputs)):
        return
    out = layer.outputs[0]
    dims = len(shapes[out])
    if role.kind == "make" and layer.type == "Gemm":
        gemm_weights(layer, layouts[layer.inputs[0]], layouts[out])
    elif role.kind == "make":
        dense_weights(layer, role, layouts[layer.inputs[0]], layouts[out])
    elif role.kind == "source":
        constant(layer, layouts[out])
    elif role.kind == "cut" and layer.type == "Slice":
        set_slice(layer, plan.wide.intervals[number], len(layouts[layer.inputs[0]]))
    elif role.kind == "cut":
        set_crop(layer, plan.wide.intervals[number][0], dims)
    elif role.kind == "pass" and role.weighted:
        channel_weights(layer, layouts[layer.inputs[0]], layouts[out])
    elif role.kind == "pass" and layer.type == "Crop":
        set_crop(layer, Interval(0, len(layouts[out])), dims)
    elif role.kind == "pass" and layer.type == "Reshape":
        set_reshape(layer, dims, len(layouts[out]))
    if any(plan.changed(blob) for blob in layer.outputs) and layer.params.get(30):
        set_hints(layer, plan.wide.shapes(plan.found))


class _Names:
    """Names for new layers and blobs that nothing else has."""

    def __init__(self, graph: Graph) -> None:
        self.taken = {layer.name for layer in graph.layers} | set(graph.blob_names())

    def new(self, wish: str) -> str:
        name, count = wish, 1
        while name in self.taken:
            name, count = f"{wish}_{count}", count + 1
        self.taken.add(name)
        return name


def _crops_before(plan: Plan, number: int, layer: Layer, names: _Names) -> list[Layer]:
    """Crops in front of inputs that must arrive as they were; the layer reads them instead."""
    made = []
    for i in plan.found.roles[number].fixed:
        blob = layer.inputs[i]
        if plan.changed(blob):
            layer.inputs[i] = names.new(f"{blob}_narrow")
            made.append(_crop(blob, layer.inputs[i], plan.found.shapes[blob][0], names))
    return made


def _crops_behind(plan: Plan, layer: Layer, names: _Names) -> list[Layer]:
    """Crops behind the maker of outputs of the graph; the output keeps its name."""
    if plan.wide_outputs:
        return []
    outputs = plan.outputs()
    made = []
    for i, blob in enumerate(layer.outputs):
        if blob in outputs and plan.changed(blob):
            layer.outputs[i] = names.new(f"{blob}_wide")
            made.append(_crop(layer.outputs[i], blob, plan.found.shapes[blob][0], names))
    return made


def _crop(source: str, target: str, channels: int, names: _Names) -> Layer:
    """A Crop by starts, ends and axes: the first `channels` of the first axis."""
    params: dict[int, ParamValue] = {9: (0,), 10: (channels,), 11: (0,)}
    return Layer("Crop", names.new(f"{target}_crop"), [source], [target], params)
