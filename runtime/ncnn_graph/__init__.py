"""ncnn's .param/.bin networks as data: read, check, change, write.

    graph = read_graph("model.ncnn.param", "model.ncnn.bin")
    conv = graph.layer("Conv_0")
    conv.weights["bias"] = conv.weights["bias"].with_values(numpy.zeros(24, "float32"))
    write_graph(graph, "edited.ncnn.param", "edited.ncnn.bin")

An untouched graph is written back byte for byte. Everything here raises `pocketdet.errors.GraphError`.
"""

from pocketdet.runtime.ncnn_graph.files import read_graph, write_graph
from pocketdet.runtime.ncnn_graph.model import Graph, Header, Layer
from pocketdet.runtime.ncnn_graph.param_text import read_param, to_param_text
from pocketdet.runtime.ncnn_graph.params import ParamValue
from pocketdet.runtime.ncnn_graph.weight import Storage, Weight, encode
from pocketdet.runtime.ncnn_graph.weight_slots import Slot, has_known_weights, weight_slots

__all__ = [
    "Graph",
    "Header",
    "Layer",
    "ParamValue",
    "Slot",
    "Storage",
    "Weight",
    "encode",
    "has_known_weights",
    "read_graph",
    "read_param",
    "to_param_text",
    "weight_slots",
    "write_graph",
]
