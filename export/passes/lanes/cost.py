"""What a layer costs for given channel counts, in nanoseconds of one core: a model, not a promise.

ncnn packs the largest of its lane counts that divides the channels, and picks kernels by that. The rates were
measured with ncnn 1.0.20261020 on x86 (Zen 4, AVX-512, one thread; chains of one layer on 10x10 to 40x40
pixels with 56 to 256 channels, and the layers of SNet49 and ShuffleNetV2). Dense convolutions there run
equally fast for any channel count; without lanes, depthwise convolutions, pooling and resizing are 5 to 10
times slower; cutting and joining is three times slower where the pieces are packed differently. Only ratios
matter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from pocketdet.runtime.ncnn_graph import Graph, Layer, Shape


@dataclass(frozen=True)
class Rates:
    """Nanoseconds per unit, by packed lanes where a mapping is given.

    `depthwise` (from 5x5 on), `depthwise_small` (3x3) and `pooling`: per tap and output value. `resize`: per
    output value of Interp. `dense` and `winograd`: per multiply-accumulate; `odd_dense` is the factor for
    each side without lanes. `move` and `move_mixed`: per value that is moved, between blobs packed alike or
    not. `pointwise`: per value of any other layer.
    """

    depthwise: Mapping[int, float]
    depthwise_small: Mapping[int, float]
    pooling: Mapping[int, float]
    resize: Mapping[int, float]
    dense: float = 0.021
    winograd: float = 0.009
    odd_dense: float = 1.05
    move: float = 0.16
    move_mixed: float = 0.5
    pointwise: float = 0.25


X86 = Rates(
    depthwise={1: 0.5, 4: 0.085, 8: 0.055, 16: 0.055},
    depthwise_small={1: 0.2, 4: 0.065, 8: 0.04, 16: 0.04},
    pooling={1: 0.38, 4: 0.137, 8: 0.077, 16: 0.053},
    resize={1: 3.0, 4: 0.8, 8: 0.5, 16: 0.4},
)
# Guided by instruction counts under emulation: in fp32 lanes gain next to nothing on NEON, in half precision
# a net without lanes takes about three times the instructions.
NEON_FP32 = Rates(
    depthwise={1: 0.1, 4: 0.09},
    depthwise_small={1: 0.1, 4: 0.09},
    pooling={1: 0.2, 4: 0.137},
    resize={1: 1.0, 4: 0.8},
    odd_dense=1.0,
    move_mixed=0.2,
)
NEON_FP16 = Rates(
    depthwise={1: 0.5, 4: 0.1, 8: 0.05},
    depthwise_small={1: 0.3, 4: 0.1, 8: 0.05},
    pooling={1: 0.4, 4: 0.14, 8: 0.08},
    resize={1: 2.0, 4: 0.8, 8: 0.5},
    dense=0.011,
    odd_dense=2.0,
)
# No machine: whole lanes are worth everything and padding costs nothing, so all that can be widened is.
LANES_ALONE = Rates(
    depthwise={1: 100.0, 4: 90.0, 8: 1.0, 16: 1.0},
    depthwise_small={1: 100.0, 4: 90.0, 8: 1.0, 16: 1.0},
    pooling={1: 100.0, 4: 90.0, 8: 1.0, 16: 1.0},
    resize={1: 100.0, 4: 90.0, 8: 1.0, 16: 1.0},
    dense=1e-6,
    winograd=1e-6,
    odd_dense=1e3,
    move=0.0,
    move_mixed=0.0,
    pointwise=0.0,
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
        taps = prod(_window(layer))
        if group not in (layer.int_param(0, 0), out[0]):
            return prod(out) * taps * rates.dense * source[0] / group
        return prod(out) * taps * (rates.depthwise if taps >= 25 else rates.depthwise_small)[pack]
    if layer.type in ("InnerProduct", "Gemm"):
        made = out[0] if layer.type == "Gemm" and layer.int_param(4, 0) else out[-1]
        return prod(source) * made * rates.dense
    if layer.type == "Pooling":
        whole = layer.int_param(4, 0) or layer.int_param(7, 0)
        return (
            prod(source) * rates.pointwise
            if whole
            else prod(out) * prod(_window(layer)) * rates.pooling[pack]
        )
    if layer.type == "Interp":
        return prod(out) * rates.resize[pack]
    if layer.type in ("Split", "Noop", "Reshape", "Flatten"):
        return 0.0
    if layer.type in ("Concat", "Slice"):
        packs = {packed_lanes(shape[0], lanes) for shape in (*inputs, *outputs)}
        alike = min(packs) in (max(packs), lanes)
        return sum(map(prod, outputs)) * (rates.move if alike else rates.move_mixed)
    return sum(map(prod, outputs)) * (rates.move if layer.type == "ShuffleChannel" else rates.pointwise)


def _window(layer: Layer) -> tuple[int, int]:
    width = layer.int_param(1, 1)
    return layer.int_param(11, width), width
