"""Write the aligned graph: weights, parameters and Crop layers, from the channel orders of the blobs.

Stored elements of weights are moved, never rounded: zero is the same bits in every storage. (A table256 blob,
whose table need not hold zero, becomes fp32.) Parameters that count weights are written even if the graph was
read without weights.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod

import numpy as np

from pocketdet.export.passes.channel_alignment.channel_map import IntArray
from pocketdet.export.passes.channel_alignment.roles import Interval, Role
from pocketdet.export.passes.channel_alignment.search import AlignmentPlan
from pocketdet.runtime.ncnn_graph import LAYER_TYPES, Graph, Layer, Shape, Weight, weight_slots
from pocketdet.runtime.ncnn_graph.layer_views import (
    NOT_GIVEN,
    Convolution,
    Crop,
    Gemm,
    InnerProduct,
    Sizes,
    Slice,
)
from pocketdet.runtime.ncnn_graph.weight import AnyArray

_DIVISORS = frozenset({"variance", "weight_scales"})
"""Weights that ncnn divides by: padding is 1."""
_FIRST_AXIS = {1: "w", 2: "h", 3: "c", 4: "c"}
"""Name of the size of the first axis in Reshape and MemoryData, by number of dimensions."""
_CHANNEL_COUNT = {
    "BatchNorm": "channels",
    "Bias": "bias_data_size",
    "PReLU": "num_slope",
    "Padding": "per_channel_pad_data_size",
    "Scale": "scale_data_size",
}
"""Name of the number of channels of layers with weights per channel; of convolutions it is num_output."""
_SHAPE_HINTS = 30


def rewrite(plan: AlignmentPlan) -> Graph:
    """Return a new graph that computes the same; the original graph and its layers are not changed."""
    original = plan.found.graph
    names = _UniqueNames(original)
    layers: list[Layer] = []
    for number, source in enumerate(original.layers):
        layer = replace(
            source,
            inputs=list(source.inputs),
            outputs=list(source.outputs),
            params=dict(source.params),
            weights=dict(source.weights),
        )
        _rewrite_layer(plan, number, layer)
        layers += _crop_ordered_inputs(plan, number, layer, names)
        crops = _crop_outputs(plan, layer, names)
        layers += [layer, *crops]
    return replace(original, layers=layers)


def _rewrite_layer(plan: AlignmentPlan, number: int, layer: Layer) -> None:
    role, orders, shapes = plan.found.roles[number], plan.orders, plan.found.shapes
    if role.kind == "barrier" or not any(plan.is_changed(blob) for blob in (*layer.inputs, *layer.outputs)):
        return
    out = layer.outputs[0]
    dims = len(shapes[out])
    if role.kind == "dense" and layer.type == "Gemm":
        reorder_gemm(layer, orders[layer.inputs[0]], orders[out])
    elif role.kind == "dense":
        reorder_dense(layer, role, orders[layer.inputs[0]], orders[out])
    elif role.kind == "constant":
        reorder_constant(layer, orders[out])
    elif role.kind == "slice" and layer.type == "Slice":
        set_slice(layer, plan.aligned.intervals[number], len(orders[layer.inputs[0]]))
    elif role.kind == "slice":
        set_crop(layer, plan.aligned.intervals[number][0], dims)
    elif role.kind == "per_channel" and role.weighted:
        reorder_per_channel(layer, orders[layer.inputs[0]], orders[out])
    elif role.kind == "per_channel" and layer.type == "Crop":
        set_crop(layer, Interval(0, len(orders[out])), dims)
    elif role.kind == "per_channel" and layer.type == "Reshape":
        set_reshape(layer, dims, len(orders[out]))
    if any(plan.is_changed(blob) for blob in layer.outputs) and layer.params.get(_SHAPE_HINTS):
        set_shape_hints(layer, plan.aligned.shapes(plan.found))


class _UniqueNames:
    """Names for new layers and blobs that no other layer or blob has."""

    def __init__(self, graph: Graph) -> None:
        self._taken = {layer.name for layer in graph.layers} | set(graph.blob_names())

    def new(self, base: str) -> str:
        name, count = base, 1
        while name in self._taken:
            name, count = f"{base}_{count}", count + 1
        self._taken.add(name)
        return name


def _crop_ordered_inputs(plan: AlignmentPlan, number: int, layer: Layer, names: _UniqueNames) -> list[Layer]:
    """Crops before the inputs that need their original channels; the layer reads their outputs."""
    crops = []
    for i in plan.found.roles[number].ordered:
        blob = layer.inputs[i]
        if plan.is_changed(blob):
            layer.inputs[i] = names.new(f"{blob}_narrow")
            crops.append(_crop(blob, layer.inputs[i], plan.found.shapes[blob][0], names))
    return crops


def _crop_outputs(plan: AlignmentPlan, layer: Layer, names: _UniqueNames) -> list[Layer]:
    """Crops behind the layer that computes outputs of the graph; the output keeps its name."""
    if plan.wide_outputs:
        return []
    outputs = plan.found.outputs()
    crops = []
    for i, blob in enumerate(layer.outputs):
        if blob in outputs and plan.is_changed(blob):
            layer.outputs[i] = names.new(f"{blob}_wide")
            crops.append(_crop(layer.outputs[i], blob, plan.found.shapes[blob][0], names))
    return crops


def _crop(source: str, target: str, channels: int, names: _UniqueNames) -> Layer:
    """A Crop with starts, ends and axes: the first `channels` of the first axis."""
    crop = Crop.of(Layer("Crop", names.new(f"{target}_crop"), [source], [target]))
    crop.starts, crop.ends, crop.axes = (0,), (channels,), (0,)
    return crop.layer


def reorder(weight: Weight, axis: int, order: IntArray, fill: float = 0.0) -> Weight:
    """Return a weight with other entries along an axis.

    Args:
        weight: The weight.
        axis: The axis.
        order: For each new entry the original one; -1 for padding.
        fill: The value of padding.
    """
    if weight.table is not None:
        weight = weight.with_values(weight.values())
    data: AnyArray = weight.data.take(np.maximum(order, 0), axis)
    np.moveaxis(data, axis, 0)[order < 0] = fill
    return replace(weight, data=data, padding=b"")


def reorder_dense(layer: Layer, role: Role, inputs: IntArray, outputs: IntArray) -> None:
    """Reorder a convolution or an InnerProduct in place: weights of shape (out, in, ...).

    Args:
        layer: The layer.
        role: Its role.
        inputs: Channel order of its input.
        outputs: Channel order of its output.
    """
    columns, values = inputs, role.values_per_channel
    if values > 1:
        columns = np.where(inputs[:, None] < 0, -1, inputs[:, None] * values + np.arange(values)).reshape(-1)
    taps = prod(weight_slots(layer)[0].shape[2:])
    for name, weight in layer.weights.items():
        if name == "weight":
            layer.weights[name] = reorder(reorder(weight, 1, columns), 0, outputs)
        elif name in ("bias", "weight_scales"):
            layer.weights[name] = reorder(weight, 0, outputs, float(name in _DIVISORS))
    view = (InnerProduct if layer.type == "InnerProduct" else Convolution).of(layer)
    view.num_output = len(outputs)
    view.weight_data_size = len(outputs) * len(columns) * taps


def reorder_gemm(layer: Layer, inputs: IntArray, outputs: IntArray) -> None:
    """Reorder a Gemm in place: A of (M, K), or (K, M) if transposed, and C with a row for each row of A."""
    gemm = Gemm.of(layer)
    rows = gemm.transA
    for name, weight in layer.weights.items():
        moved = reorder(weight, rows if name == "a" else 0, outputs)
        layer.weights[name] = reorder(moved, 1 - rows, inputs) if name == "a" else moved
    gemm.constantM, gemm.constantK = len(outputs), len(inputs)


def reorder_per_channel(layer: Layer, inputs: IntArray, outputs: IntArray) -> None:
    """Reorder a layer with weights per channel in place."""
    depthwise = layer.type in ("ConvolutionDepthWise", "DeconvolutionDepthWise")
    taps = prod(weight_slots(layer)[0].shape[1:])
    for name, weight in layer.weights.items():
        if name in ("input_scale", "output_scale") or (name == "weight_scales" and weight.data.size == 1):
            continue
        order = inputs if depthwise and name == "weight_scales" else outputs
        layer.weights[name] = reorder(weight, 0, order, float(name in _DIVISORS))
    if depthwise:
        convolution = Convolution.of(layer)
        convolution.weight_data_size = len(outputs) * taps
        convolution.group = len(inputs)
    name = _CHANNEL_COUNT.get(layer.type, "num_output")
    layer.params[LAYER_TYPES[layer.type].params[name]] = len(outputs)


def reorder_constant(layer: Layer, outputs: IntArray) -> None:
    """Reorder a MemoryData in place along its first axis."""
    dims = len(weight_slots(layer)[0].shape)
    for name, weight in layer.weights.items():
        layer.weights[name] = reorder(weight, 0, outputs)
    setattr(Sizes.of(layer), _FIRST_AXIS[dims], len(outputs))


def set_slice(layer: Layer, intervals: Sequence[Interval], channels: int) -> None:
    """Make a Slice cut `channels` channels at other positions; shares that stay equal stay as written."""
    view = Slice.of(layer)
    if view.indices:
        view.indices = tuple(interval.begin for interval in intervals[1:])
        return
    sizes = [interval.end - interval.begin for interval in intervals]
    if _slice_sizes(view.slices, channels) != sizes:
        view.slices = tuple(sizes)


def _slice_sizes(sizes: Sequence[int], channels: int) -> list[int]:
    """The sizes of the outputs: ncnn divides what is left among those that are not given."""
    found: list[int] = []
    for i, size in enumerate(sizes):
        found.append((channels - sum(found)) // (len(sizes) - i) if size == NOT_GIVEN else size)
    return found


def set_crop(layer: Layer, interval: Interval, dims: int) -> None:
    """Make a Crop take other channels; other axes are not changed."""
    crop = Crop.of(layer)
    if not crop.starts and not crop.ends:
        if crop.is_given("outc") and crop.outc != NOT_GIVEN:
            crop.outc = interval.end - interval.begin
        return
    axes = [axis % dims for axis in crop.axes or range(dims)]
    if 0 in axes:
        at = axes.index(0)
        crop.starts = (*crop.starts[:at], interval.begin, *crop.starts[at + 1 :])
        crop.ends = (*crop.ends[:at], interval.end, *crop.ends[at + 1 :])


def set_reshape(layer: Layer, dims: int, size: int) -> None:
    """Give the output of a Reshape, of `dims` dimensions, another first axis if it is given as a number."""
    sizes, name = Sizes.of(layer), _FIRST_AXIS[dims]
    if getattr(sizes, name) > 0:
        setattr(sizes, name, size)


def set_shape_hints(layer: Layer, shapes: Mapping[str, Shape]) -> None:
    """Write the shape hints of a layer's outputs: (dims, w, h, c) or (dims, w, h, d, c) for each."""
    hints = layer.int_array(_SHAPE_HINTS)
    step = len(hints) // max(len(layer.outputs), 1)
    if step not in (4, 5) or step * len(layer.outputs) != len(hints):
        layer.params.pop(_SHAPE_HINTS, None)
        return
    new_hints: list[int] = []
    for blob in layer.outputs:
        shape = shapes[blob]
        whd = [*reversed(shape), 1, 1, 1][:3] if len(shape) != 3 else [shape[2], shape[1], 1]
        channels = shape[0] if len(shape) > 2 else 1
        new_hints += [len(shape), whd[0], whd[1], *([whd[2]] if step == 5 else []), channels]
    layer.params[_SHAPE_HINTS] = tuple(new_hints)
