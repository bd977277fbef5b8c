"""The first convolution of a network by ncnn's direct kernel, if that is faster than its matrix product.

ncnn computes a convolution with more than 16 outputs as a matrix product. For a 3x3 of stride 2 on one to
three channels it has a direct kernel as well, which writes 8 channels at a time. ncnn chooses it by itself on
ARM; on x86 it does not, although the kernel is 1.2 to 1.6 times as fast there (ncnn 1.0.20261020, Zen 4, 24
and 40 outputs from 160x160 to 640x640 pixels). For other kernels, strides and counts the product is faster.
"""

from collections.abc import Mapping
from dataclasses import replace

from pocketdet.runtime.ncnn_graph import Graph, Layer, Shape
from pocketdet.runtime.ncnn_graph.feature_mask import FEATURE_MASK, NO_MATRIX_PRODUCT, feature_mask
from pocketdet.runtime.ncnn_graph.layer_views import Convolution


def force_direct_convolution(graph: Graph, shapes: Mapping[str, Shape]) -> Graph:
    """Make the convolutions that read the image use the direct kernel on x86.

    Only the order of additions changes.

    Args:
        graph: The graph; it is not changed.
        shapes: Shape of every blob, (c, h, w), from `infer_shapes`.

    Returns:
        A new graph, or `graph` itself if no convolution gains.
    """
    names = {layer.name for layer in graph.layers if _is_faster(layer, shapes)}
    if not names:
        return graph
    layers = [_without_matrix_product(layer) if layer.name in names else layer for layer in graph.layers]
    return replace(graph, layers=layers)


def _is_faster(layer: Layer, shapes: Mapping[str, Shape]) -> bool:
    if layer.type != "Convolution" or len(layer.inputs) != 1 or layer.inputs[0] not in shapes:
        return False
    convolution = Convolution.of(layer)
    shape, outputs = shapes[layer.inputs[0]], convolution.num_output
    eight_at_a_time = outputs > 16 and outputs % 16 == 8
    sides = (convolution.kernel, convolution.dilation, convolution.stride)
    is_3x3_stride_2 = sides == ((3, 3), (1, 1), (2, 2))
    int8 = convolution.int8_scale_term != 0
    return len(shape) == 3 and shape[0] <= 3 and eight_at_a_time and is_3x3_stride_2 and not int8


def _without_matrix_product(layer: Layer) -> Layer:
    mask = feature_mask(layer) | NO_MATRIX_PRODUCT
    return replace(layer, params={**layer.params, FEATURE_MASK: mask})
