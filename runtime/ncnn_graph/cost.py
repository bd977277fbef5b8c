"""Multiply-accumulates, parameters and bytes per layer.

One multiply-accumulate (MAC) is one product added to a sum. Counted are the products with weights and between
matrices; biases, activations, pooling, interpolation and the bilinear taps of a deformable convolution are
not.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pocketdet.runtime import _core
from pocketdet.runtime.ncnn_graph.model import Graph
from pocketdet.runtime.ncnn_graph.shapes import Shape, sizes_of


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
    return layer_costs(graph, shapes, _core.count_costs(graph, sizes_of(shapes)))


def layer_costs(
    graph: Graph, shapes: Mapping[str, Shape], counted: Iterable[tuple[int | None, int]]
) -> list[LayerCost]:
    """The costs of all layers from their (macs, parameters)."""
    return [
        LayerCost(
            layer.name,
            layer.type,
            shapes.get(layer.outputs[0]) if layer.outputs else None,
            macs,
            parameters,
            None if graph.structure_only else sum(weight.nbytes for weight in layer.weights.values()),
        )
        for layer, (macs, parameters) in zip(graph.layers, counted, strict=True)
    ]
