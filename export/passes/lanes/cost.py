"""What a layer costs for given channel counts, in nanoseconds of one core: a model, not a promise.

ncnn packs the largest of its lane counts that divides the channels, and picks kernels by that. The rates were
measured with ncnn 1.0.20261020 on x86 (Zen 4, AVX-512, one thread, chains of one layer on 10x10 to 40x40
pixels, 56 to 256 channels). Dense convolutions there run equally fast for any channel count; depthwise
convolutions and pooling are 4 to 12 times slower without lanes; cutting and joining is 2.5 times slower where
the pieces are packed differently. Only ratios matter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from pocketdet.runtime.ncnn_graph import Graph, Layer, Shape


@dataclass(frozen=True)
class Rates:
    """Nanoseconds per unit. `depthwise` and `pooling`: per tap and output value, by the lanes that are packed.

    `dense` and `winograd`: per multiply-accumulate; `odd_dense` is the factor for a blob without lanes.
    `move` and `move_mixed`: per value, packed alike or not. `pointwise`: per value of any other layer.
    """

    depthwise: Mapping[int, float]
    pooling: Mapping[int, float]
    dense: float = 0.021
    winograd: float = 0.009
    odd_dense: float = 1.02
    move: float = 0.09
    move_mixed: float = 0.25
    pointwise: float = 0.1


X86 = Rates(
    depthwise={1: 0.35, 4: 0.062, 8: 0.043, 16: 0.042},
    pooling={1: 0.38, 4: 0.137, 8: 0.077, 16: 0.053},
)
# By instruction counts under emulation: whole lanes of 4 gain nothing in fp32 on NEON, and a blob without
# lanes costs about three times as much in half precision.
NEON_FP32 = Rates(depthwise={1: 0.08, 4: 0.08}, pooling={1: 0.15, 4: 0.137}, odd_dense=1.0)
NEON_FP16 = Rates(
    depthwise={1: 0.2, 4: 0.08, 8: 0.04}, pooling={1: 0.3, 4: 0.14, 8: 0.07}, dense=0.011, odd_dense=3.0
)


def packed_lanes(channels: int, lanes: int) -> int:
    """How many channels ncnn packs into one element on a machine with `lanes` lanes: 16, 8, 4 or 1."""
    return next((pack for pack in (16, 8, 4) if pack <= lanes and channels % pack == 0), 1)


def graph_cost(graph: Graph, shapes: Mapping[str, Shape], lanes: int, rates: Rates) -> float:
    """Cost of all layers whose shapes are known."""
    total = 0.0
    for layer in graph.layers:
        if layer.inputs and all(blob in shapes for blob in (*layer.inputs, *layer.outputs)):
            inputs, outputs = ([shapes[b] for b in blobs] for blobs in (layer.inputs, layer.outputs))
            total += layer_cost(layer, inputs, outputs, lanes, rates)
    return total


def crop_cost(shape: Shape, rates: Rates) -> float:
    """Cost of cutting padding off a blob of this shape."""
    return prod(shape) * rates.move_mixed


def layer_cost(
    layer: Layer, inputs: Sequence[Shape], outputs: Sequence[Shape], lanes: int, rates: Rates
) -> float:
    """Cost of one layer, judged by its shapes; its weights may still be the narrow ones."""
    source, out = inputs[0], outputs[0]
    pack = packed_lanes(source[0], lanes)
    if layer.type in ("Convolution", "Deconvolution", "DeformableConv2D"):
        kernel = _window(layer)
        pixels = prod((source if layer.type == "Deconvolution" else out)[1:])
        stride = layer.int_param(3, 1)
        fast = kernel == (3, 3) and stride == 1 and layer.type == "Convolution" and source[0] >= 8
        odd = (rates.odd_dense if pack == 1 else 1.0) * (
            rates.odd_dense if packed_lanes(out[0], lanes) == 1 else 1.0
        )
        return source[0] * out[0] * prod(kernel) * pixels * (rates.winograd if fast else rates.dense) * odd
    if layer.type in ("ConvolutionDepthWise", "DeconvolutionDepthWise"):
        group = max(layer.int_param(7, 1), 1)
        work = prod(out) * prod(_window(layer))
        alone = group in (layer.int_param(0, 0), out[0])
        return work * (rates.depthwise[pack] if alone else rates.dense * source[0] / group)
    if layer.type == "InnerProduct":
        return prod(source) * out[-1] * rates.dense
    if layer.type == "Pooling":
        whole = layer.int_param(4, 0) or layer.int_param(7, 0)
        return (
            prod(source) * rates.pointwise
            if whole
            else prod(out) * prod(_window(layer)) * rates.pooling[pack]
        )
    if layer.type in ("Split", "Noop", "Reshape", "Flatten"):
        return 0.0
    if layer.type in ("Concat", "Slice"):
        packs = {packed_lanes(shape[0], lanes) for shape in (*inputs, *outputs)}
        return max(sum(map(prod, inputs)), sum(map(prod, outputs))) * (
            rates.move if min(packs) in (max(packs), lanes) else rates.move_mixed
        )
    return sum(map(prod, outputs)) * rates.pointwise


def _window(layer: Layer) -> tuple[int, int]:
    width = layer.int_param(1, 1)
    return layer.int_param(11, width), width
