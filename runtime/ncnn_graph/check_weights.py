"""Weights that ncnn can compute with: present, finite, and of an element type that their layer reads.

ncnn takes the element type of a blob from the file: int8 weights in a layer without int8 scales, or an int8
blob into a layer that reads floats, are read out of bounds.
"""

from collections.abc import Iterable

import numpy as np

from pocketdet.runtime.ncnn_graph.model import Graph, Layer
from pocketdet.runtime.ncnn_graph.weight import Weight
from pocketdet.runtime.ncnn_graph.weight_slots import Slot, weight_slots

_INT8_LAYERS = frozenset({"Convolution", "ConvolutionDepthWise", "InnerProduct"})


def check_weights(graph: Graph) -> None:
    """Raise GraphError naming the first layer whose weights are missing, misshapen, not finite or of a wrong
    type.
    """
    for layer in graph.layers:
        slots = weight_slots(layer)
        if list(layer.weights) != [slot.role for slot in slots]:
            raise layer.error(f"needs the weights {[slot.role for slot in slots]}, has {list(layer.weights)}")
        for slot in slots:
            _check_weight(layer, slot, layer.weights[slot.role])


def check_element_types(graph: Graph, outputs: Iterable[str] = ()) -> None:
    """Follow int8 blobs: a convolution with an output scale makes one, and only int8 layers may read it."""
    int8_blobs: dict[str, Layer] = {}
    for layer in graph.layers:
        sources = [name for name in layer.inputs if name in int8_blobs]
        takes_int8 = layer.type in _INT8_LAYERS and layer.int_param(8, 0) != 0
        if sources and layer.type != "Split" and not takes_int8:
            raise layer.error(f"reads {sources[0]!r}, which {int8_blobs[sources[0]].name!r} makes as int8")
        makes_int8 = layer.type.startswith("Convolution") and layer.int_param(8, 0) > 100
        if makes_int8 or (sources and layer.type == "Split"):
            int8_blobs.update(dict.fromkeys(layer.outputs, layer))
    for name in [*graph.output_names(), *outputs]:
        if name in int8_blobs:
            raise int8_blobs[name].error(f"the output {name!r} would be int8")


def _check_weight(layer: Layer, slot: Slot, weight: Weight) -> None:
    if weight.data.shape != slot.shape or (weight.storage == "raw") == slot.tagged:
        raise layer.error(
            f"its {slot.role} must have the shape {slot.shape},"
            f" found {weight.data.shape} stored as {weight.storage}"
        )
    numbers = weight.data if weight.table is None else weight.table
    if weight.storage == "bf16":
        numbers = weight.values()
    if numbers.dtype.kind == "f" and not bool(np.isfinite(numbers).all()):
        raise layer.error(f"its {slot.role} holds NaN or infinity")
    scaled_gemm = layer.type == "Gemm" and slot.role in ("a", "b") and layer.int_param(18, 0) != 0
    scaled = layer.type in _INT8_LAYERS and slot.role == "weight" and layer.int_param(8, 0) != 0
    if weight.storage == "int8" and not (scaled or scaled_gemm):
        raise layer.error(f"its {slot.role} is int8 and its parameters announce no int8 scales")
    if scaled_gemm and weight.storage != "int8":
        raise layer.error(f"announces int8 and its {slot.role} is stored as {weight.storage}")
