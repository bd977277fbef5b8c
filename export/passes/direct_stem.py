"""The first convolution of a net by ncnn's direct kernel, where that beats its matrix product on x86.

ncnn turns a convolution with more than 16 outputs into a matrix product. For a 3x3 of stride 2 on the one to
three channels of a picture it has a direct kernel as well, which writes 8 channels at a time. ncnn picks it
by itself on ARM; on x86 it does not, although there it is 1.2 to 1.6 times as fast (ncnn 1.0.20261020, Zen 4,
24 and 40 outputs from 160x160 to 640x640 pixels). For other kernels, strides and counts the product wins.
"""

from collections.abc import Mapping
from dataclasses import replace

from pocketdet.runtime.ncnn_graph import Graph, Layer, Shape
from pocketdet.runtime.ncnn_graph.feature_mask import FEATURE_MASK, NO_MATRIX_PRODUCT, feature_mask


def direct_stem(graph: Graph, shapes: Mapping[str, Shape]) -> Graph:
    """A graph whose picture convolutions ask for the direct kernel; `graph` itself if it has none to gain.

    `shapes` come from `infer_shapes`, (c, h, w) by blob. Nothing but the order of additions changes. For x86
    alone: ARM does so unasked. `graph` is not changed.
    """
    gains = {layer.name for layer in graph.layers if _gains(layer, shapes)}
    if not gains:
        return graph
    return replace(graph, layers=[_direct(layer) if layer.name in gains else layer for layer in graph.layers])


def _gains(layer: Layer, shapes: Mapping[str, Shape]) -> bool:
    if layer.type != "Convolution" or len(layer.inputs) != 1 or layer.inputs[0] not in shapes:
        return False
    shape, outputs = shapes[layer.inputs[0]], layer.int_param(0, 0)
    eight_at_a_time = outputs > 16 and outputs % 16 == 8
    whole_numbers = layer.int_param(8, 0) != 0
    return len(shape) == 3 and shape[0] <= 3 and eight_at_a_time and _is_3x3_s2(layer) and not whole_numbers


def _is_3x3_s2(layer: Layer) -> bool:
    sides = ((1, 11, 3), (2, 12, 1), (3, 13, 2))  # kernel, dilation, stride: along w, along h, as wanted
    along_w = {key: layer.int_param(key, 1) for key, _, _ in sides}
    return all(
        along_w[key] == wanted and layer.int_param(other, along_w[key]) == wanted
        for key, other, wanted in sides
    )


def _direct(layer: Layer) -> Layer:
    mask = feature_mask(layer) | NO_MATRIX_PRODUCT
    return replace(layer, params={**layer.params, FEATURE_MASK: mask})
