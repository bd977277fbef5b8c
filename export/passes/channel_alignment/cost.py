"""The cost model: what a layer costs for given channel counts, in nanoseconds of one core.

ncnn packs the largest of its lane counts that divides the channels, and chooses kernels by that. The rates
were measured with ncnn 1.0.20261020 on x86 (Zen 4, AVX-512, one thread; chains of one layer on 10x10 to 40x40
pixels with 56 to 256 channels, and the layers of SNet49 and ShuffleNetV2). Dense convolutions there run
equally fast for any channel count; without packed channels, depthwise convolutions, pooling and resizing are
5 to 10 times slower; Slice and Concat are three times slower if the pieces are packed differently. Only
ratios matter: the model errs by a few percent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from types import MappingProxyType

from pocketdet.errors import UsageError
from pocketdet.runtime.ncnn_graph import Graph, Layer, Shape
from pocketdet.runtime.ncnn_graph.layer_views import Convolution, Gemm, Pooling

LANE_COUNTS = (4, 8, 16)
"""How many channels ncnn can pack into one element."""

DEFAULT_TARGET = "neon-fp16"


@dataclass(frozen=True)
class CostRates:
    """Nanoseconds per unit of work, by packed lanes if a mapping is given.

    Attributes:
        depthwise: Depthwise convolution from 5x5 on, per kernel tap and output value.
        depthwise_small: Depthwise convolution of 3x3, per kernel tap and output value.
        pooling: Per kernel tap and output value.
        resize: Interp, per output value.
        dense: Per multiply-accumulate.
        winograd: Per multiply-accumulate of a dense 3x3 convolution of stride 1.
        odd_dense: Factor on `dense` for each side whose channels are not packed.
        move: Slice, Concat and ShuffleChannel, per value, between blobs that are packed alike.
        move_mixed: The same between blobs that are packed differently.
        pointwise: Any other layer, per output value.
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


X86 = CostRates(
    depthwise={1: 0.5, 4: 0.085, 8: 0.055, 16: 0.055},
    depthwise_small={1: 0.2, 4: 0.065, 8: 0.04, 16: 0.04},
    pooling={1: 0.38, 4: 0.137, 8: 0.077, 16: 0.053},
    resize={1: 3.0, 4: 0.8, 8: 0.5, 16: 0.4},
)
# Guided by instruction counts under emulation: in fp32 packing gains next to nothing on NEON, in half
# precision a network without it takes about three times the instructions.
NEON_FP32 = CostRates(
    depthwise={1: 0.1, 4: 0.09},
    depthwise_small={1: 0.1, 4: 0.09},
    pooling={1: 0.2, 4: 0.137},
    resize={1: 1.0, 4: 0.8},
    odd_dense=1.0,
    move_mixed=0.2,
)
NEON_FP16 = CostRates(
    depthwise={1: 0.5, 4: 0.1, 8: 0.05},
    depthwise_small={1: 0.3, 4: 0.1, 8: 0.05},
    pooling={1: 0.4, 4: 0.14, 8: 0.08},
    resize={1: 2.0, 4: 0.8, 8: 0.5},
    dense=0.011,
    odd_dense=2.0,
)
# No machine: packed channels gain everything and padding costs nothing, so that all that can be is widened.
WIDEN_EVERYTHING = CostRates(
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


@dataclass(frozen=True)
class AlignmentTarget:
    """The machines that a graph is aligned for.

    Attributes:
        name: What `--target` takes.
        lanes: How many channels ncnn packs into one element there.
        rates: The cost model.
        machines: Which machines these are.
        direct_convolution: Whether the first convolution must be set to use ncnn's direct kernel.
    """

    name: str
    lanes: int
    rates: CostRates
    machines: str
    direct_convolution: bool = False


ALIGNMENT_TARGETS = MappingProxyType(
    {
        target.name: target
        for target in (
            AlignmentTarget("neon-fp32", 4, NEON_FP32, "ARM in single precision: Cortex-A53 to A73"),
            AlignmentTarget("neon-fp16", 8, NEON_FP16, "ARMv8.2 in half precision: Snapdragon 845 and later"),
            AlignmentTarget("avx2", 8, X86, "x86 with AVX2", direct_convolution=True),
            AlignmentTarget("avx512", 16, X86, "x86 with AVX-512", direct_convolution=True),
        )
    }
)


def alignment_target(name: str, lanes: int | None = None) -> AlignmentTarget:
    """Return a target by name.

    Args:
        name: A key of `ALIGNMENT_TARGETS`.
        lanes: Fewer lanes than the target packs: 4, 8 or 16. The default is what it packs.

    Raises:
        UsageError: The name is unknown, or the target does not pack that many lanes.
    """
    if name not in ALIGNMENT_TARGETS:
        raise UsageError(f"target {name!r}: expected one of {', '.join(ALIGNMENT_TARGETS)}")
    target = ALIGNMENT_TARGETS[name]
    if lanes is None:
        return target
    possible = [pack for pack in LANE_COUNTS if pack <= target.lanes]
    if lanes not in possible:
        others = ", ".join(f"{other.name} {other.lanes}" for other in ALIGNMENT_TARGETS.values())
        raise UsageError(
            f"{lanes} lanes for target {name}: expected {' or '.join(map(str, possible))}; the targets pack "
            f"{others}"
        )
    return replace(target, lanes=lanes)


def packed_lanes(channels: int, lanes: int) -> int:
    """Return how many channels ncnn packs into one element: 16, 8, 4 or 1.

    Args:
        channels: Channels of the blob.
        lanes: The most that the machine can pack.
    """
    return next((pack for pack in (16, 8, 4) if pack <= lanes and channels % pack == 0), 1)


def round_up(channels: int, lanes: int) -> int:
    """Return the smallest multiple of `lanes` that holds `channels`."""
    return -(-channels // lanes) * lanes


def graph_cost(graph: Graph, shapes: Mapping[str, Shape], lanes: int, rates: CostRates) -> float:
    """Return the cost of all layers whose blobs are in `shapes`, in nanoseconds."""
    total = 0.0
    for layer in graph.layers:
        if layer.inputs and all(blob in shapes for blob in (*layer.inputs, *layer.outputs)):
            inputs, outputs = ([shapes[b] for b in blobs] for blobs in (layer.inputs, layer.outputs))
            total += layer_cost(layer, inputs, outputs, lanes, rates)
    return total


def crop_cost(shape: Shape, rates: CostRates) -> float:
    """Return the cost of a Crop whose output has this shape, in nanoseconds."""
    return prod(shape) * rates.move_mixed


def layer_cost(
    layer: Layer, inputs: Sequence[Shape], outputs: Sequence[Shape], lanes: int, rates: CostRates
) -> float:
    """Return the cost of one layer by its shapes, in nanoseconds; its weights are not read.

    Args:
        layer: The layer.
        inputs: Shapes of its inputs.
        outputs: Shapes of its outputs.
        lanes: The most channels that the machine can pack.
        rates: The cost model.
    """
    source, out = inputs[0], outputs[0]
    pack = packed_lanes(source[0], lanes)
    match layer.type:
        case "Convolution" | "Deconvolution" | "DeformableConv2D":
            return _dense_cost(layer, source, out, lanes, rates)
        case "ConvolutionDepthWise" | "DeconvolutionDepthWise":
            convolution = Convolution.of(layer)
            group, taps = max(convolution.group, 1), prod(convolution.kernel)
            if group not in (convolution.num_output, out[0]):
                return prod(out) * taps * rates.dense * source[0] / group
            return prod(out) * taps * (rates.depthwise if taps >= 25 else rates.depthwise_small)[pack]
        case "InnerProduct" | "Gemm":
            made = out[0] if layer.type == "Gemm" and Gemm.of(layer).constantA else out[-1]
            return prod(source) * made * rates.dense
        case "Pooling":
            pooling = Pooling.of(layer)
            if pooling.global_pooling or pooling.adaptive_pooling:
                return prod(source) * rates.pointwise
            return prod(out) * prod(pooling.kernel) * rates.pooling[pack]
        case "Interp":
            return prod(out) * rates.resize[pack]
        case "Split" | "Noop" | "Reshape" | "Flatten":
            return 0.0
        case "Concat" | "Slice":
            packs = {packed_lanes(shape[0], lanes) for shape in (*inputs, *outputs)}
            alike = min(packs) in (max(packs), lanes)
            return sum(map(prod, outputs)) * (rates.move if alike else rates.move_mixed)
    return sum(map(prod, outputs)) * (rates.move if layer.type == "ShuffleChannel" else rates.pointwise)


def _dense_cost(layer: Layer, source: Shape, out: Shape, lanes: int, rates: CostRates) -> float:
    convolution = Convolution.of(layer)
    kernel = convolution.kernel
    pixels = prod((source if layer.type == "Deconvolution" else out)[1:])
    winograd = kernel == (3, 3) and convolution.stride_w == 1 and layer.type == "Convolution"
    rate = rates.winograd if winograd and source[0] >= 8 else rates.dense
    odd = (rates.odd_dense if packed_lanes(source[0], lanes) == 1 else 1.0) * (
        rates.odd_dense if packed_lanes(out[0], lanes) == 1 else 1.0
    )
    return source[0] * out[0] * prod(kernel) * pixels * rate * odd
