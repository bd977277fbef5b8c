"""The cost model: what a layer costs for given channel counts, on one core.

ncnn packs the largest of its lane counts that divides the channels, and chooses kernels by that. Only ratios
matter: the model errs by a few percent. Rates are nanoseconds for x86 and cycles for ARM.

The rates of x86 were measured with ncnn 1.0.20261020 (Zen 4, AVX-512, one thread; chains of one layer on
10x10 to 40x40 pixels with 56 to 256 channels, and the layers of SNet49 and ShuffleNetV2). Dense convolutions
there run equally fast for any channel count; without packed channels, depthwise convolutions, pooling and
resizing are 5 to 10 times slower; Slice and Concat are three times slower if the pieces are packed
differently.

The rates of ARM are modelled cycles of the Cortex-A76, in `neon_rates.json`, which
`python -m pocketdet.armmodel.alignment_rates` writes.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from pocketdet.errors import UsageError
from pocketdet.runtime.ncnn_graph import Graph, Layer, Shape
from pocketdet.runtime.ncnn_graph.layer_views import Convolution, Gemm, Pooling

LANE_COUNTS = (4, 8, 16)
"""How many channels ncnn can pack into one element."""

DEFAULT_TARGET = "neon-fp16"
NEON_RATES: Final = Path(__file__).with_name("neon_rates.json")

ByLanes = Mapping[int, float]
"""A rate by the lanes that the input is packed in: 1, 4, 8 or 16."""


@dataclass(frozen=True)
class CostRates:
    """Costs per unit of work, in the same unit for all.

    Attributes:
        depthwise: Depthwise convolution from 5x5 on, per kernel tap and output value.
        depthwise_small: Depthwise convolution of 3x3, per kernel tap and output value.
        pooling: Per kernel tap and output value.
        resize: Interp, per output value.
        dense: Per multiply-accumulate, by the lanes of the input and then of the output.
        winograd: The same of a dense 3x3 convolution of stride 1.
        move: Slice, Concat and ShuffleChannel, per value, between blobs that are packed alike.
        move_mixed: The same between blobs that are packed differently.
        pointwise: Any other layer, per output value.
    """

    depthwise: ByLanes
    depthwise_small: ByLanes
    pooling: ByLanes
    resize: ByLanes
    dense: Mapping[int, ByLanes]
    winograd: Mapping[int, ByLanes]
    move: float
    move_mixed: float
    pointwise: float


@dataclass(frozen=True)
class Work:
    """What a layer does: `amount` units of `rate`, a field of `CostRates`, on blobs packed as `packs`."""

    rate: str
    packs: tuple[int, ...]
    amount: float

    def cost(self, rates: CostRates) -> float:
        """Return the cost by a model."""
        found = getattr(rates, self.rate)
        for pack in self.packs:
            found = found[pack]
        return float(found) * self.amount


def _any_lanes(rate: float, odd: float) -> dict[int, dict[int, float]]:
    """A dense rate that differs by a factor for each side whose channels are not packed."""
    factors = {1: odd, 4: 1.0, 8: 1.0, 16: 1.0}
    return {pack: {out: rate * a * b for out, b in factors.items()} for pack, a in factors.items()}


X86 = CostRates(
    depthwise={1: 0.5, 4: 0.085, 8: 0.055, 16: 0.055},
    depthwise_small={1: 0.2, 4: 0.065, 8: 0.04, 16: 0.04},
    pooling={1: 0.38, 4: 0.137, 8: 0.077, 16: 0.053},
    resize={1: 3.0, 4: 0.8, 8: 0.5, 16: 0.4},
    dense=_any_lanes(0.021, 1.05),
    winograd=_any_lanes(0.009, 1.05),
    move=0.16,
    move_mixed=0.5,
    pointwise=0.25,
)


def neon_rates(target: str) -> CostRates:
    """Read the modelled rates of an ARM target, "neon-fp32" or "neon-fp16"."""
    found = json.loads(NEON_RATES.read_text(encoding="utf-8"))[target]["rates"]
    return CostRates(**{name: _with_numbers(value) for name, value in found.items()})


def _with_numbers(value: Any) -> Any:
    """Convert the keys of JSON objects, which are text, to integers, and the values to floats."""
    return {int(k): _with_numbers(v) for k, v in value.items()} if isinstance(value, dict) else float(value)


NEON_FP32 = neon_rates("neon-fp32")
NEON_FP16 = neon_rates("neon-fp16")
# No machine: packed channels gain everything and padding costs nothing, so that all that can be is widened.
WIDEN_EVERYTHING = CostRates(
    depthwise={1: 100.0, 4: 90.0, 8: 1.0, 16: 1.0},
    depthwise_small={1: 100.0, 4: 90.0, 8: 1.0, 16: 1.0},
    pooling={1: 100.0, 4: 90.0, 8: 1.0, 16: 1.0},
    resize={1: 100.0, 4: 90.0, 8: 1.0, 16: 1.0},
    dense=_any_lanes(1e-6, 1e3),
    winograd=_any_lanes(1e-6, 1e3),
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

    @property
    def is_arm(self) -> bool:
        """Whether the machines are 64-bit ARM."""
        return self.name.startswith("neon-")

    @property
    def has_half(self) -> bool:
        """Whether the machines compute in half precision."""
        return self.name == "neon-fp16"


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
    """Return the cost of all layers whose blobs are in `shapes`."""
    total = 0.0
    for layer in graph.layers:
        if layer.inputs and all(blob in shapes for blob in (*layer.inputs, *layer.outputs)):
            inputs, outputs = ([shapes[b] for b in blobs] for blobs in (layer.inputs, layer.outputs))
            total += layer_cost(layer, inputs, outputs, lanes, rates)
    return total


def crop_cost(shape: Shape, rates: CostRates) -> float:
    """Return the cost of a Crop whose output has this shape."""
    return prod(shape) * rates.move_mixed


def layer_cost(
    layer: Layer, inputs: Sequence[Shape], outputs: Sequence[Shape], lanes: int, rates: CostRates
) -> float:
    """Return the cost of one layer by its shapes; its weights are not read.

    Args:
        layer: The layer.
        inputs: Shapes of its inputs.
        outputs: Shapes of its outputs.
        lanes: The most channels that the machine can pack.
        rates: The cost model.
    """
    return layer_work(layer, inputs, outputs, lanes).cost(rates)


def layer_work(layer: Layer, inputs: Sequence[Shape], outputs: Sequence[Shape], lanes: int) -> Work:
    """Return what a layer does; arguments as `layer_cost`."""
    source, out = inputs[0], outputs[0]
    pack = packed_lanes(source[0], lanes)
    match layer.type:
        case "Convolution" | "Deconvolution" | "DeformableConv2D":
            return _dense_work(layer, source, out, lanes)
        case "ConvolutionDepthWise" | "DeconvolutionDepthWise":
            convolution = Convolution.of(layer)
            group, taps = max(convolution.group, 1), prod(convolution.kernel)
            if group not in (convolution.num_output, out[0]):
                return Work("dense", (lanes, lanes), prod(out) * taps * source[0] / group)
            return Work("depthwise" if taps >= 25 else "depthwise_small", (pack,), prod(out) * taps)
        case "InnerProduct" | "Gemm":
            made = out[0] if layer.type == "Gemm" and Gemm.of(layer).constantA else out[-1]
            return Work("dense", (lanes, lanes), prod(source) * made)
        case "Pooling":
            pooling = Pooling.of(layer)
            if pooling.global_pooling or pooling.adaptive_pooling:
                return Work("pointwise", (), prod(source))
            return Work("pooling", (pack,), prod(out) * prod(pooling.kernel))
        case "Interp":
            return Work("resize", (pack,), prod(out))
        case "Split" | "Noop" | "Reshape" | "Flatten":
            return Work("move", (), 0.0)
        case "Concat" | "Slice":
            packs = {packed_lanes(shape[0], lanes) for shape in (*inputs, *outputs)}
            alike = min(packs) in (max(packs), lanes)
            return Work("move" if alike else "move_mixed", (), sum(map(prod, outputs)))
    return Work("move" if layer.type == "ShuffleChannel" else "pointwise", (), sum(map(prod, outputs)))


def _dense_work(layer: Layer, source: Shape, out: Shape, lanes: int) -> Work:
    convolution = Convolution.of(layer)
    kernel = convolution.kernel
    pixels = prod((source if layer.type == "Deconvolution" else out)[1:])
    winograd = kernel == (3, 3) and convolution.stride_w == 1 and layer.type == "Convolution"
    packs = packed_lanes(source[0], lanes), packed_lanes(out[0], lanes)
    amount = source[0] * out[0] * prod(kernel) * pixels
    return Work("winograd" if winograd and source[0] >= 8 else "dense", packs, amount)
