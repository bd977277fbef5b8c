"""Multiply-accumulates, parameters and bytes per layer.

One multiply-accumulate (MAC) is one product added to a sum. Counted are the products with weights and between
matrices; biases, activations, pooling, interpolation and the bilinear taps of a deformable convolution are
not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from pocketdet.runtime.ncnn_graph.model import Graph, Layer
from pocketdet.runtime.ncnn_graph.shapes import Shape
from pocketdet.runtime.ncnn_graph.shapes.matrix import attention_sizes, gemm_sizes
from pocketdet.runtime.ncnn_graph.weight_slots import has_known_weights, weight_slots

_PER_OUTPUT_PIXEL = frozenset({"Convolution", "ConvolutionDepthWise", "DeformableConv2D"})
_PER_INPUT_PIXEL = frozenset({"Deconvolution", "DeconvolutionDepthWise"})


@dataclass(frozen=True)
class LayerCost:
    """Cost of one layer.

    `macs` is None where the shapes are not known; `parameters` counts the numbers stored for the layer, int8
    scales aside; `weight_bytes` is its share of the .bin file, None for a graph read without weights.
    """

    name: str
    type: str
    output: Shape | None
    macs: int | None
    parameters: int
    weight_bytes: int | None


def count_macs(graph: Graph, shapes: Mapping[str, Shape]) -> list[LayerCost]:
    """Cost of every layer in order; `shapes` comes from `infer_shapes`.

    Raises GraphError for a layer whose parameters give no sane weights.
    """
    return [_cost(layer, shapes, graph.structure_only) for layer in graph.layers]


def _cost(layer: Layer, shapes: Mapping[str, Shape], structure_only: bool) -> LayerCost:
    slots = weight_slots(layer) if has_known_weights(layer.type) else ()
    known = all(name in shapes for name in (*layer.inputs, *layer.outputs))
    return LayerCost(
        layer.name,
        layer.type,
        shapes.get(layer.outputs[0]) if layer.outputs else None,
        _macs(layer, [shapes[name] for name in layer.inputs], shapes) if known else None,
        sum(slot.count for slot in slots if "scale" not in slot.role or layer.type in ("Scale", "Normalize")),
        None if structure_only else sum(weight.nbytes for weight in layer.weights.values()),
    )


def _macs(layer: Layer, inputs: Sequence[Shape], shapes: Mapping[str, Shape]) -> int:
    if layer.type in _PER_OUTPUT_PIXEL:
        return prod(shapes[layer.outputs[0]][1:]) * weight_slots(layer)[0].count
    if layer.type in _PER_INPUT_PIXEL:
        return prod(inputs[0][1:]) * weight_slots(layer)[0].count
    if layer.type == "InnerProduct":
        return prod(inputs[0]) * weight_slots(layer)[0].shape[0]
    if layer.type == "Gemm":
        return prod(gemm_sizes(layer, inputs))
    if layer.type == "MatMul":
        return prod(shapes[layer.outputs[0]]) * inputs[0][-1]
    if layer.type == "MultiHeadAttention":
        queries, keys, query_width, key_width, value_width, embed = attention_sizes(layer, inputs)
        projections = queries * 2 * query_width + keys * (key_width + value_width)
        return embed * (projections + 2 * queries * keys)
    return 0
