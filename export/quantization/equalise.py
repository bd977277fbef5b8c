"""Cross-layer equalisation: give the channels of a tensor equal shares of the int8 range.

With one scale for a whole activation, a channel of small values gets few of the 255 levels. If one layer
writes a tensor and only linear layers read it, channel c may be divided by any s_c > 0 on one side and
multiplied by it on the other, provided that the layers between are positively homogeneous, f(s x) = s f(x):
ReLU, leaky ReLU, pooling (M. Nagel et al., Data-Free Quantization Through Weight Equalization and Bias
Correction, 2019, section 4.1). Rows of the producer are divided and columns of the readers multiplied; the
outputs do not change.

The ranges are the observed ones. For a dense reader s_c = sqrt(r_c / w_c), with r_c the largest |x| of the
channel and w_c the largest share of the column in any row's range; both are then equally wide. A depthwise
reader has a scale per channel, so s_c = r_c flattens the activation at no cost. A tensor that Concat, Slice,
ShuffleChannel, a sum or a network output reads is not changed, nor is one that a Gemm writes or reads: a Gemm
has a single scale for all its weights, which uneven rows or columns would coarsen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pocketdet.export.quantization.activation_ranges import ObservedRange
from pocketdet.export.quantization.layers import bias_of, float_weights, with_bias
from pocketdet.export.quantization.settings import Array
from pocketdet.runtime.ncnn_graph import Graph, Layer, Shape, encode
from pocketdet.runtime.ncnn_graph.layer_views import Convolution

_HOMOGENEOUS = ("ReLU", "Pooling", "Split")
_WIDEST = 1024.0


@dataclass(frozen=True)
class Edge:
    """A tensor between the layer that writes it and all layers that read it, as `blobs`."""

    maker: str
    readers: tuple[str, ...]
    blobs: tuple[str, ...]


def find_edges(graph: Graph, shapes: Mapping[str, Shape], int8: Sequence[str]) -> list[Edge]:
    """The tensors that can be equalised and that a layer in `int8` reads."""
    readers_of = graph.consumers()
    edges = []
    for maker in graph.layers:
        if not _is_maker(maker):
            continue
        open_blobs, found = list(maker.outputs), []
        while open_blobs:
            blob = open_blobs.pop()
            readers = readers_of[blob]
            passing = (
                len(readers) == 1 and readers[0].type in _HOMOGENEOUS and _same_channels(readers[0], shapes)
            )
            if passing:
                open_blobs += readers[0].outputs
            elif len(readers) == 1 and _is_reader(readers[0], shapes[blob]):
                found.append((readers[0], blob))
            else:
                break
        else:
            if any(reader.name in int8 for reader, _ in found):
                edges.append(Edge(maker.name, tuple(r.name for r, _ in found), tuple(b for _, b in found)))
    return edges


def factors(graph: Graph, edge: Edge, seen: Mapping[str, ObservedRange], int8: Sequence[str]) -> Array | None:
    """The factors s_c of an edge, with a geometric mean of 1; None if all are 1."""
    layers = {layer.name: layer for layer in graph.layers}
    found = [channels for blob in edge.blobs if (channels := seen[blob].channels) is not None]
    ranges = np.max(found, axis=0).astype(np.float64)
    dense = [n for n in edge.readers if n in int8 and layers[n].type != "ConvolutionDepthWise"]
    columns = [_column_share(layers[name]) for name in dense]
    share = np.max(columns, axis=0) if columns else np.ones_like(ranges)
    useful = (ranges > 0) & (share > 0)
    if not useful.any():
        return None
    ratio = np.where(useful, ranges, 1.0) / np.where(useful, share, 1.0)
    scale = np.sqrt(ratio) if columns else ratio
    scale = scale / np.exp(np.mean(np.log(scale[useful])))
    scale = np.where(useful, np.clip(scale, 1 / _WIDEST, _WIDEST), 1.0).astype(np.float32)
    return None if np.all(scale == 1) else np.asarray(scale, np.float32)


def equalised(graph: Graph, edge: Edge, scale: Array) -> Graph:
    """A copy of the graph with the weights on both sides of an edge scaled."""
    changed = {}
    for layer in graph.layers:
        if layer.name == edge.maker:
            changed[layer.name] = _divide_rows(layer, scale)
        elif layer.name in edge.readers:
            changed[layer.name] = _multiply_columns(layer, scale)
    return replace(graph, layers=[changed.get(layer.name, layer) for layer in graph.layers])


def _is_maker(layer: Layer) -> bool:
    if layer.type not in ("Convolution", "ConvolutionDepthWise") or Convolution.of(layer).dynamic_weight:
        return False
    return Convolution.of(layer).activation_type in (0, 1, 2)  # no activation, ReLU, leaky ReLU


def _is_reader(layer: Layer, shape: Shape) -> bool:
    if layer.type not in ("Convolution", "ConvolutionDepthWise") or len(layer.inputs) != 1 or len(shape) != 3:
        return False
    convolution = Convolution.of(layer)
    if convolution.pad_value != 0.0:
        return False  # the padding value is not scaled
    return layer.type == "Convolution" or convolution.group == convolution.num_output == shape[0]


def _same_channels(layer: Layer, shapes: Mapping[str, Shape]) -> bool:
    before, after = shapes[layer.inputs[0]], shapes[layer.outputs[0]]
    return (
        layer.type == "Split" or (before[0] == after[0] and len(before) == len(after) == 3) or before == after
    )


def _column_share(layer: Layer) -> Array:
    """The largest share of each input channel's weights in the range of any row, 0..1."""
    magnitude = np.abs(float_weights(layer))
    by_channel = magnitude.reshape(*magnitude.shape[:2], -1).max(axis=2)
    rows = np.maximum(by_channel.max(axis=1, keepdims=True), 1e-30)
    return np.asarray((by_channel / rows).max(axis=0), np.float32)


def _along(layer: Layer, values: Array, axis: int, scale: NDArray[np.floating]) -> Array:
    """`values` times `scale` along an axis, rounded once."""
    if values.shape[axis] != len(scale):
        raise layer.error(f"{len(scale)} factors do not fit its {values.shape[axis]} channels")
    shape = [-1 if i == axis else 1 for i in range(values.ndim)]
    return np.asarray(values.astype(np.float64) * scale.astype(np.float64).reshape(shape), np.float32)


def _divide_rows(layer: Layer, scale: Array) -> Layer:
    inverse = 1 / scale.astype(np.float64)
    made = _with_weights(layer, _along(layer, float_weights(layer), 0, inverse))
    return with_bias(made, _along(layer, bias_of(layer), 0, inverse)) if "bias" in layer.weights else made


def _multiply_columns(layer: Layer, scale: Array) -> Layer:
    axis = 0 if layer.type == "ConvolutionDepthWise" else 1
    return _with_weights(layer, _along(layer, float_weights(layer), axis, scale))


def _with_weights(layer: Layer, values: Array) -> Layer:
    return replace(layer, weights={**layer.weights, "weight": encode(values, "fp32")})
