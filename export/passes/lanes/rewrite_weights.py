"""Weights in a new layout: rows and columns moved, zeros where a row or column is padding.

Stored elements are moved, never rounded: zero is the same bits in every storage. (A table256 blob, whose
table need not hold zero, becomes fp32.) Parameters that count weights are kept even where a graph was read
without them.
"""

from dataclasses import replace
from math import prod

import numpy as np

from pocketdet.export.passes.lanes.content import IntArray
from pocketdet.export.passes.lanes.rewrite_params import leading_key
from pocketdet.export.passes.lanes.roles import Role
from pocketdet.runtime.ncnn_graph import Layer, Weight, weight_slots
from pocketdet.runtime.ncnn_graph.weight import AnyArray

_ONE_FOR_PADDING = frozenset({"variance", "weight_scales"})  # what is divided by


def laid_out(weight: Weight, axis: int, layout: IntArray, fill: float = 0.0) -> Weight:
    """`weight` with its entries along `axis` in `layout`; -1 is filled with `fill`."""
    if weight.table is not None:
        weight = weight.with_values(weight.values())
    data: AnyArray = weight.data.take(np.maximum(layout, 0), axis)
    np.moveaxis(data, axis, 0)[layout < 0] = fill
    return replace(weight, data=data, padding=b"")


def dense_weights(layer: Layer, role: Role, inputs: IntArray, outputs: IntArray) -> None:
    """Convolution and its dense kin and InnerProduct, in place: (out, in, ...) by both layouts."""
    columns = inputs
    if role.axes_merged > 1:
        steps = np.arange(role.axes_merged)
        columns = np.where(inputs[:, None] < 0, -1, inputs[:, None] * role.axes_merged + steps).reshape(-1)
    taps = prod(weight_slots(layer)[0].shape[2:])
    for name, weight in layer.weights.items():
        if name == "weight":
            layer.weights[name] = laid_out(laid_out(weight, 1, columns), 0, outputs)
        elif name in ("bias", "weight_scales"):
            layer.weights[name] = laid_out(weight, 0, outputs, float(name in _ONE_FOR_PADDING))
    layer.params[0] = len(outputs)
    layer.params[2 if layer.type == "InnerProduct" else 6] = len(outputs) * len(columns) * taps


def gemm_weights(layer: Layer, inputs: IntArray, outputs: IntArray) -> None:
    """Gemm with a constant A of (M, K), or (K, M) if transposed, and a C that has a row for each of A."""
    rows = layer.int_param(2, 0)
    for name, weight in layer.weights.items():
        moved = laid_out(weight, rows if name == "a" else 0, outputs)
        layer.weights[name] = laid_out(moved, 1 - rows, inputs) if name == "a" else moved
    layer.params[7], layer.params[9] = len(outputs), len(inputs)


def channel_weights(layer: Layer, inputs: IntArray, outputs: IntArray) -> None:
    """Layers with weights per channel, in place."""
    depthwise = layer.type in ("ConvolutionDepthWise", "DeconvolutionDepthWise")
    taps = prod(weight_slots(layer)[0].shape[1:])
    for name, weight in layer.weights.items():
        if name in ("input_scale", "output_scale") or (name == "weight_scales" and weight.data.size == 1):
            continue
        along = inputs if depthwise and name == "weight_scales" else outputs
        layer.weights[name] = laid_out(weight, 0, along, float(name in _ONE_FOR_PADDING))
    if depthwise:
        layer.params[6] = len(outputs) * taps
        layer.params[7] = len(inputs)
    layer.params[6 if layer.type == "Padding" else 0] = len(outputs)


def constant(layer: Layer, outputs: IntArray) -> None:
    """MemoryData, in place; its first axis is w, h or c."""
    dims = len(weight_slots(layer)[0].shape)
    for name, weight in layer.weights.items():
        layer.weights[name] = laid_out(weight, 0, outputs)
    layer.params[leading_key(dims)] = len(outputs)
