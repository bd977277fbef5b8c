"""The largest absolute value that a sum inside an ncnn layer can pass through, by layer type.

For terms w_k x_k with |x_k| <= p_k, added in any order and any grouping, every partial sum is at most
sum |w_k| p_k, plus the bias. Sources: the asimdhp kernels under src/layer/arm of ncnn 1.0.20261020.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from pocketdet.runtime.ncnn_graph import Layer

Peak = NDArray[np.float64]  # (c,): largest absolute value of each channel of an input

# Winograd F(6, 3), the widest that ncnn has (convolution_3x3_winograd_fp16s.h), adds up more than it gives: a
# transformed input is at most 15 times as large along each axis, and a partial sum of the output transform at
# most 203/3 times the sum of inputs times the largest tap. F(4, 3) and F(2, 3) stay below both.
_WINOGRAD_INPUT, _WINOGRAD_OUTPUT = 15.0**2, (203 / 3) ** 2


def bound_of_sums(layer: Layer, inputs: Sequence[Peak]) -> float | None:
    """An upper bound, 0 for a layer that adds nothing; None for a type that nothing is known about.

    `inputs` has the peaks of each input. Weights that are int8 are summed as integers: their bound is 0.
    """
    if any(weight.storage == "int8" for weight in layer.weights.values()):
        return 0.0
    if layer.type in _ADDS_NOTHING:
        return 0.0
    rule = _RULES.get(layer.type)
    return None if rule is None else rule(layer, inputs)


def _convolution(layer: Layer, inputs: Sequence[Peak]) -> float | None:
    """Of both Convolution and ConvolutionDepthWise; weight (out, in / groups, kernel_h, kernel_w)."""
    if "weight" not in layer.weights or len(inputs) != 1:
        return None  # its weights are an input
    weight = np.abs(layer.weights["weight"].values().astype(np.float64))
    groups = layer.int_param(7, 1) if layer.type == "ConvolutionDepthWise" else 1
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
    sides = ((1, 11, 3), (2, 12, 1), (3, 13, 1))  # kernel, dilation, stride: along w, along h, as it must be
    return all(
        layer.int_param(along_w, 1) == wanted == layer.int_param(along_h, layer.int_param(along_w, 1))
        for along_w, along_h, wanted in sides
    )


def _inner_product(layer: Layer, inputs: Sequence[Peak]) -> float | None:
    weight = np.abs(layer.weights["weight"].values().astype(np.float64))
    each, rest = divmod(weight.shape[1], max(inputs[0].size, 1))  # a (c, h, w) input is flattened
    if rest:
        return None
    sums = weight @ np.repeat(inputs[0], each)
    return float((sums + _bias(layer, "bias")).max(initial=0.0))


def _gemm(layer: Layer, inputs: Sequence[Peak]) -> float | None:
    """Alpha * A B + beta * C, with A (rows, k) as the input and constant B and C, as linear layers become."""
    constant = [layer.int_param(key, 0) for key in (4, 5, 6)]
    if constant[:2] != [0, 1] or layer.int_param(2, 0) or len(inputs) != 1:
        return None
    weight = np.abs(layer.weights["b"].values().astype(np.float64))
    weight = weight if layer.int_param(3, 0) else weight.T
    if weight.shape[1] != inputs[0].size:
        return None
    alpha, beta = (abs(layer.float_param(key, 1.0)) for key in (0, 1))
    sums = max(alpha, 1.0) * (weight @ inputs[0])  # alpha is applied after the sum
    added = beta * _bias(layer, "c").max(initial=0.0)
    return float(sums.max(initial=0.0) + added)


def _pooling(layer: Layer, inputs: Sequence[Peak]) -> float | None:
    """An average over a window is a sum of halves first; over the whole map ncnn adds in fp32."""
    if layer.int_param(0, 0) == 0 or layer.int_param(4, 0) or layer.int_param(7, 0):
        return 0.0
    across = layer.int_param(1, 0)
    return float(across * layer.int_param(11, across) * inputs[0].max(initial=0.0))


def _eltwise(layer: Layer, inputs: Sequence[Peak]) -> float | None:
    """A sum of several inputs; products and maxima of two are seen in the output."""
    kind, coefficients = layer.int_param(0, 0), layer.float_array(1)
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

# Nothing is summed; or the sum of two terms is the output itself (BinaryOp), which is measured; or the result
# lies between its terms (Interp, Sigmoid, TanH); or ncnn has no half-precision kernel on ARM
# (DeformableConv2D, Reduction).
_ADDS_NOTHING = frozenset(
    (
        "BinaryOp", "Clip", "Concat", "Crop", "DeformableConv2D", "Dropout", "ExpandDims", "Flatten",
        "HardSigmoid", "HardSwish", "Interp", "Noop", "PReLU", "Padding", "Permute",
        "PixelShuffle", "ReLU", "Reduction", "Reshape",
        "ShuffleChannel", "Sigmoid", "Slice", "Split", "Squeeze", "Swish", "TanH", "UnaryOp",
    )
)  # fmt: skip
