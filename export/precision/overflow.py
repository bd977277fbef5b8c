"""Which layers of an ncnn graph could overflow in half precision, found on a machine without half precision.

A half holds at most 65504; larger values become infinite. If ncnn computes in half precision, two kinds of
values must stay below: every blob, and every partial sum of a layer, in whatever order a kernel adds. Blobs
are measured in fp32. Partial sums are bounded: for terms w_k x_k with |x_k| <= p_k, every partial sum in any
order is at most sum |w_k| p_k, plus the bias, with p_k the largest measured value of the input channel.
Sources of the bounds: the asimdhp kernels under src/layer/arm of ncnn 1.0.20261020.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from pocketdet.errors import ExportError
from pocketdet.runtime.engines.base import Array, GraphName
from pocketdet.runtime.engines.ncnn_engine import NcnnEngine
from pocketdet.runtime.ncnn_graph import Graph, Layer
from pocketdet.runtime.ncnn_graph.feature_mask import IN_FP32, feature_mask
from pocketdet.runtime.ncnn_graph.layer_views import Convolution, Eltwise, Gemm, Pooling

LARGEST_HALF = 65504.0

# The factor by which a value or a bound may be larger in the field than on the measured images. Over 300
# photographs no value of the trained SNet49 was more than 2.5 times, and no bound more than 5 times, its
# value on the export's own three images (docs/explanation/precision.md).
MARGIN = 8.0

Peak = NDArray[np.float64]  # (c,): largest absolute value of each channel of a blob
Peaks = Mapping[str, Peak]  # by blob

# Winograd F(6, 3), the largest that ncnn has (convolution_3x3_winograd_fp16s.h): sums exceed the output. A
# transformed input is at most 15 times as large along each axis, and a partial sum of the output transform at
# most 203/3 times the sum of inputs times the largest tap. F(4, 3) and F(2, 3) stay below both.
_WINOGRAD_INPUT, _WINOGRAD_OUTPUT = 15.0**2, (203 / 3) ** 2


@dataclass(frozen=True)
class Risk:
    """A layer that may overflow in half precision.

    Attributes:
        layer: its name.
        type: its ncnn type.
        value: the largest absolute value that was measured, or the bound of a partial sum, without the
            margin; infinite if no bound is known for the type.
        reason: why it may overflow, for a log.
    """

    layer: str
    type: str
    value: float
    reason: str

    def __str__(self) -> str:
        return f"{self.type} {self.layer!r}: {self.reason}"


def measure_peaks(
    engine: NcnnEngine, graph_name: GraphName, graph: Graph, role: str, inputs: Iterable[Array]
) -> Peaks:
    """Measure the largest absolute value of every channel of every blob.

    Args:
        engine: runs the graph in fp32.
        graph_name: the graph's name in the engine.
        graph: the graph.
        role: of the input.
        inputs: without a batch axis.

    Raises:
        ExportError: if there are no inputs, or a layer returns NaN or infinity in fp32; the message names the
            first one.
    """
    wanted = list(graph.blob_names())
    peaks: dict[str, NDArray[np.float64]] = {}
    for array in inputs:
        for blob, values in engine.run_blobs(graph_name, {role: array}, wanted).items():
            peak = channel_peaks(values)
            peaks[blob] = np.maximum(peaks[blob], peak) if blob in peaks else peak
    if not peaks:
        raise ExportError(f"graph {graph_name!r}: no input to measure its range on")
    for layer in graph.layers:
        if any(not np.isfinite(peaks[blob]).all() for blob in layer.outputs):
            raise ExportError(
                f"graph {graph_name!r}: {layer.type} {layer.name!r} gives NaN or infinite values in fp32"
            )
    return peaks


def channel_peaks(values: Array) -> NDArray[np.float64]:
    """The largest absolute value per channel: the first axis of (c, h, w), the last of (rows, c) and (c,)."""
    axes = tuple(range(1, values.ndim)) if values.ndim > 2 else tuple(range(values.ndim - 1))
    return np.asarray(np.abs(values).max(axis=axes, initial=0.0), np.float64)


def find_risks(graph: Graph, peaks: Peaks, margin: float = MARGIN) -> list[Risk]:
    """The layers that could overflow if values were `margin` times as large, in the order of execution.

    A layer that reads or writes a blob beyond the range must stay in fp32 even if it computes nothing, since
    a layer in half precision converts its inputs to halves. Layers that are masked as fp32 do not overflow.

    Args:
        graph: an fp32 graph.
        peaks: from `measure_peaks`.
        margin: the factor between the measured values and the largest expected ones.
    """
    limit = LARGEST_HALF / margin
    found = []
    for layer in graph.layers:
        if layer.type != "Input" and feature_mask(layer) & IN_FP32 != IN_FP32:
            risk = _risk(layer, peaks, limit)
            found += [risk] if risk else []
    return found


def _risk(layer: Layer, peaks: Peaks, limit: float) -> Risk | None:
    for verb, blobs in (("reads", layer.inputs), ("gives", layer.outputs)):
        for blob in blobs:
            peak = float(peaks[blob].max(initial=0.0))
            if peak > limit:
                return Risk(layer.name, layer.type, peak, f"{verb} values up to {peak:.3g} ({blob})")
    # the scales and the bias of an int8 layer stay in fp32; the scale of a channel of zeros is huge
    halves = [] if _is_int8(layer) else [weight.values() for weight in layer.weights.values()]
    stored = [float(np.abs(values).max(initial=0.0)) for values in halves]
    if max(stored, default=0.0) > LARGEST_HALF:
        return Risk(layer.name, layer.type, max(stored), f"has a weight of {max(stored):.3g}")
    bound = bound_of_sums(layer, [peaks[blob] for blob in layer.inputs])
    if bound is None:
        reason = "no bound is known for its sums in half precision"
        return Risk(layer.name, layer.type, float("inf"), reason)
    if bound > limit:
        return Risk(layer.name, layer.type, bound, f"its sums may reach {bound:.3g}")
    return None


def bound_of_sums(layer: Layer, inputs: Sequence[Peak]) -> float | None:
    """An upper bound of the absolute value of every partial sum inside a layer.

    Returns:
        0 for a layer that adds nothing and for int8 weights, whose products are summed as integers; None if
        no bound is known for the type.
    """
    if _is_int8(layer) or layer.type in _ADDS_NOTHING:
        return 0.0
    rule = _RULES.get(layer.type)
    return None if rule is None else rule(layer, inputs)


def _is_int8(layer: Layer) -> bool:
    return any(weight.storage == "int8" for weight in layer.weights.values())


def _convolution(layer: Layer, inputs: Sequence[Peak]) -> float | None:
    """Convolution and ConvolutionDepthWise; the weight is (out, in / groups, kernel_h, kernel_w)."""
    if "weight" not in layer.weights or len(inputs) != 1:
        return None  # the weights are an input
    weight = np.abs(layer.weights["weight"].values().astype(np.float64))
    groups = Convolution.of(layer).group
    out, per_group = weight.shape[:2]
    if per_group * groups != inputs[0].size:
        return None
    taps = weight.reshape(out, per_group, -1)
    peaks = inputs[0].reshape(groups, 1, per_group)

    def largest(strength: NDArray[np.float64]) -> float:
        sums = (strength.reshape(groups, out // groups, per_group) * peaks).sum(axis=2).ravel()
        return float((sums + _bias(layer, "bias")).max(initial=0.0))

    if groups > 1 or not _may_use_winograd(layer):
        return largest(taps.sum(axis=2))
    return max(_WINOGRAD_INPUT * float(peaks.max(initial=0.0)), largest(_WINOGRAD_OUTPUT * taps.max(axis=2)))


def _may_use_winograd(layer: Layer) -> bool:
    convolution = Convolution.of(layer)
    sides = (convolution.kernel, convolution.dilation, convolution.stride)
    return sides == ((3, 3), (1, 1), (1, 1))


def _inner_product(layer: Layer, inputs: Sequence[Peak]) -> float | None:
    weight = np.abs(layer.weights["weight"].values().astype(np.float64))
    each, rest = divmod(weight.shape[1], max(inputs[0].size, 1))  # a (c, h, w) input is flattened
    if rest:
        return None
    sums = weight @ np.repeat(inputs[0], each)
    return float((sums + _bias(layer, "bias")).max(initial=0.0))


def _gemm(layer: Layer, inputs: Sequence[Peak]) -> float | None:
    """Alpha * A B + beta * C with the input A (rows, k) and constant B and C: the form of linear layers."""
    gemm = Gemm.of(layer)
    if (gemm.constantA, gemm.constantB) != (0, 1) or gemm.transA or len(inputs) != 1:
        return None
    weight = np.abs(layer.weights["b"].values().astype(np.float64))
    weight = weight if gemm.transB else weight.T
    if weight.shape[1] != inputs[0].size:
        return None
    alpha, beta = abs(gemm.alpha), abs(gemm.beta)
    sums = max(alpha, 1.0) * (weight @ inputs[0])  # alpha is applied after the sum
    added = beta * _bias(layer, "c").max(initial=0.0)
    return float(sums.max(initial=0.0) + added)


def _pooling(layer: Layer, inputs: Sequence[Peak]) -> float | None:
    """The average over a window is a sum of halves; for global pooling ncnn adds in fp32."""
    pooling = Pooling.of(layer)
    if pooling.pooling_type == 0 or pooling.global_pooling or pooling.adaptive_pooling:
        return 0.0
    return float(math.prod(pooling.kernel) * inputs[0].max(initial=0.0))


def _eltwise(layer: Layer, inputs: Sequence[Peak]) -> float | None:
    """A sum of several inputs; the product or maximum of two inputs is the output, which is measured."""
    kind, coefficients = Eltwise.of(layer).op_type, Eltwise.of(layer).coeffs
    if kind != 1:
        return 0.0 if kind == 2 or len(inputs) == 2 else None
    scales = [abs(c) for c in coefficients] or [1.0] * len(inputs)
    return float(sum(s * p.max(initial=0.0) for s, p in zip(scales, inputs, strict=True)))


def _bias(layer: Layer, role: str) -> NDArray[np.float64]:
    if role not in layer.weights:
        return np.zeros(1)
    return np.abs(layer.weights[role].values().astype(np.float64)).ravel()


_RULES: Mapping[str, Callable[[Layer, Sequence[Peak]], float | None]] = MappingProxyType(
    {
        "Convolution": _convolution,
        "ConvolutionDepthWise": _convolution,
        "Eltwise": _eltwise,
        "Gemm": _gemm,
        "InnerProduct": _inner_product,
        "Pooling": _pooling,
    }
)

# These types sum nothing, or the sum of two terms is the output, which is measured (BinaryOp), or the result
# lies between its terms (Interp, Sigmoid, TanH), or ncnn has no half-precision kernel for them on ARM
# (DeformableConv2D, Reduction).
_ADDS_NOTHING = frozenset(
    (
        "BinaryOp", "Clip", "Concat", "Crop", "DeformableConv2D", "Dropout", "ExpandDims", "Flatten",
        "HardSigmoid", "HardSwish", "Interp", "Noop", "PReLU", "Padding", "Permute",
        "PixelShuffle", "ReLU", "Reduction", "Reshape",
        "ShuffleChannel", "Sigmoid", "Slice", "Split", "Squeeze", "Swish", "TanH", "UnaryOp",
    )
)  # fmt: skip
