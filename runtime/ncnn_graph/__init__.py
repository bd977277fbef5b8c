"""ncnn's .param/.bin networks as data: read, check, change, cost, write. Knows the format, does not import
ncnn. The rules for untrusted graphs are written once, in C++: `runtime/native/graph`.

    graph = read_graph("model.ncnn.param", "model.ncnn.bin")
    valid = validate(graph, {"in0": (3, 320, 320)}, lambda name: ncnn.layer_to_index(name) >= 0)
    print(valid.shapes["out0"], valid.macs)

    conv = graph.layer("conv_3")
    conv.weights["bias"] = conv.weights["bias"].with_values(numpy.zeros(24, "float32"))
    write_graph(graph, "edited.ncnn.param", "edited.ncnn.bin")

An untouched graph is written back byte for byte. Whatever is wrong raises `pocketdet.errors.GraphError`.
"""

from pocketdet.runtime.ncnn_graph.feature_mask import feature_mask
from pocketdet.runtime.ncnn_graph.files import read_graph, read_param, to_param_text, write_graph
from pocketdet.runtime.ncnn_graph.layer_views import LAYER_TYPES
from pocketdet.runtime.ncnn_graph.model import Graph, Layer, ParamValue, has_known_weights, weight_slots
from pocketdet.runtime.ncnn_graph.validate import (
    LayerCost,
    Limits,
    Shape,
    ValidGraph,
    check_no_int8,
    check_weights,
    count_macs,
    infer_shapes,
    validate,
)
from pocketdet.runtime.ncnn_graph.weight import Weight, encode

__all__ = [
    "LAYER_TYPES",
    "Graph",
    "Layer",
    "LayerCost",
    "Limits",
    "ParamValue",
    "Shape",
    "ValidGraph",
    "Weight",
    "check_no_int8",
    "check_weights",
    "count_macs",
    "encode",
    "feature_mask",
    "has_known_weights",
    "infer_shapes",
    "read_graph",
    "read_param",
    "to_param_text",
    "validate",
    "weight_slots",
    "write_graph",
]
