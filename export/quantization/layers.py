"""The layers that ncnn can compute in int8, and their int8 form.

Convolution and InnerProduct (parameter 8 = 2) have a weight scale per output channel and one for the input;
ConvolutionDepthWise (parameter 8 = 1) has one per group. ncnn quantises the fp32 input, sums products of int8
in int32 and multiplies by 1 / (input scale * weight scale); bias and activation are fp32.

A Gemm of rows x with a constant B has one scale for all of B in ncnn, and one per row for a constant A. So x
B + c is written as (B^T x^T + c^T)^T, B^T being the constant A (parameters 3 = 1, 4 = 1, 14 = 1, 18 = 2; C is
broadcast along columns, 10 = 1): a scale per output, as for the others. The scale of x is found as it runs.
The last layer of SNet49's head makes class logits and box deltas; with one scale for both it cost 0.35 AP on
fod_a, with one each 0.20, in the same time.

A weight scale of 0 would stand for "all zero" in most kernels, but convdw3x3s1_int8_dequant_sse divides by
it: the scale of zeros is 1 here. Values above 100 for parameter 8 make the output int8 as well (an
`output_scale` follows); on x86 that was not faster for SNet49 in any layout, so it is not used.
"""

from dataclasses import replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from pocketdet.export.quantization.settings import Array
from pocketdet.runtime.ncnn_graph import Layer, Shape, Weight, encode
from pocketdet.runtime.ncnn_graph.layer_views import Convolution, Gemm, InnerProduct

INT8_TYPES = ("Convolution", "ConvolutionDepthWise", "Gemm", "InnerProduct")
_INT8_SCALE_TERM = {"Convolution": 2, "ConvolutionDepthWise": 1, "InnerProduct": 2}
_MOST_PRODUCTS = (2**31 - 1) // (127 * 127)
_LEAST_SCALE, _LARGEST_SCALE = 1e-15, 1e15  # their product stays a normal float32


def weight_role(layer: Layer) -> str:
    """The role of the weight matrix in `layer.weights`."""
    return "b" if layer.type == "Gemm" else "weight"


def exclusion_reason(layer: Layer, shape: Shape, *, depthwise: bool) -> str:
    """The reason why a layer of INT8_TYPES with an input of `shape` stays in fp32; empty if there is none."""
    if layer.type == "ConvolutionDepthWise" and not depthwise:
        return "depthwise convolutions cost accuracy in int8"
    if layer.type == "Gemm":
        gemm = Gemm.of(layer)
        flags = (gemm.transA, gemm.constantA, gemm.output_N1M, gemm.output_transpose)
        one_matrix = gemm.constantB == 1 and len(layer.inputs) == 1 and len(shape) == 2
        if not one_matrix or any(flags) or (gemm.constantC and gemm.constant_broadcast_type_C != 4):
            return "only a matrix times a constant B is computed in int8"
        if (gemm.alpha, gemm.beta) != (1.0, 1.0):
            return "its factors alpha and beta are not 1"
    elif layer.type != "InnerProduct":
        convolution = Convolution.of(layer)
        if convolution.dynamic_weight:
            return "its weights are an input"
        if len(shape) != 3:
            return f"its input has {len(shape)} dimensions, not 3"
        if convolution.pad_value != 0.0:
            return "it pads with a value other than 0, which ncnn does not scale"
    if _products(layer) > _MOST_PRODUCTS:
        return f"it adds up {_products(layer)} products, more than 32 bits hold"
    return ""


def _products(layer: Layer) -> int:
    """The number of products per output element."""
    return prod(float_weights(layer).shape[1:])


def float_weights(layer: Layer) -> Array:
    """The weights as float32, outputs first: (out, in / group, kernel_h, kernel_w) or (out, in).

    Raises GraphError if they are int8 already or hold NaN or infinity.
    """
    values = layer.weights[weight_role(layer)].values()
    if values.dtype == np.int8:
        raise layer.error("its weights are int8 already; quantise the fp32 graph")
    if not np.isfinite(values).all():
        raise layer.error("its weights hold NaN or infinity, so they have no scale")
    turned = layer.type == "Gemm" and not Gemm.of(layer).transB
    return np.ascontiguousarray(values.T if turned else values, np.float32)


def weight_scales(layer: Layer) -> Array:
    """127 / largest weight, for each output channel or group; 1 where all weights are zero."""
    values = float_weights(layer)
    rows = Convolution.of(layer).group if layer.type == "ConvolutionDepthWise" else len(values)
    largest = np.abs(values).reshape(rows, -1).max(axis=1)
    scales = np.where(largest > 0, 127.0 / np.maximum(largest.astype(np.float64), 1e-45), 1.0)
    return np.clip(scales, _LEAST_SCALE, _LARGEST_SCALE).astype(np.float32)


def input_scale(threshold: float) -> float:
    """127 / threshold, the shortest decimal of a float32. `threshold` must be positive."""
    return float(str(np.float32(np.clip(127.0 / threshold, _LEAST_SCALE, _LARGEST_SCALE))))


def quantised_weights(layer: Layer, scales: Array) -> NDArray[np.int8]:
    """The matrix in int8, in its own shape: nearest, ties to even."""
    values = float_weights(layer)
    rounded = np.rint(values.reshape(len(scales), -1) * scales[:, None])
    return np.asarray(np.clip(rounded, -127, 127).reshape(values.shape), np.int8)


def to_int8(layer: Layer, scales: Array, input_scale: float | None) -> Layer:
    """The int8 form of a layer; `input_scale` is None for a Gemm."""
    matrix = encode(quantised_weights(layer, scales), "int8")
    if layer.type == "Gemm":
        return _gemm_to_int8(layer, matrix, scales)
    weights = {**layer.weights, "weight": matrix, "weight_scales": Weight(scales, "raw")}
    weights["input_scale"] = Weight(np.array([input_scale], np.float32), "raw")
    view = _view_of_copy(layer)
    view.int8_scale_term = _INT8_SCALE_TERM[layer.type]
    return replace(view.layer, weights=weights)


def _gemm_to_int8(layer: Layer, matrix: Weight, scales: Array) -> Layer:
    out, size = matrix.data.shape
    gemm = Gemm.of_copy(layer)
    gemm.transA, gemm.transB, gemm.constantA, gemm.constantB = 0, 1, 1, 0
    gemm.constantM, gemm.constantN, gemm.constantK = out, 0, size
    gemm.output_transpose, gemm.quantize_term = 1, 2
    weights = {"a": matrix}
    if "c" in layer.weights:
        gemm.constant_broadcast_type_C = 1
        weights["c"] = encode(bias_of(layer), "fp32")
    return replace(gemm.layer, weights={**weights, "a_scales": Weight(scales, "raw")})


def bias_of(layer: Layer) -> Array:
    """The bias per output channel; zeros if the layer has none."""
    weight = layer.weights.get("c" if layer.type == "Gemm" else "bias")
    if weight is not None:
        return np.asarray(weight.values(), np.float32).reshape(-1)
    return np.zeros(len(float_weights(layer)), np.float32)


def with_bias(layer: Layer, bias: Array) -> Layer:
    """A copy of a layer with another bias."""
    role, name = weight_role(layer), "c" if layer.type == "Gemm" else "bias"
    rest = {key: weight for key, weight in layer.weights.items() if key not in (role, name)}
    if layer.type == "Gemm":
        gemm = Gemm.of_copy(layer)
        gemm.constantC, gemm.constant_broadcast_type_C = 1, 4
        changed = gemm.layer
        stored = encode(bias.reshape(1, -1), "fp32")
    else:
        view = _view_of_copy(layer)
        view.bias_term = 1
        changed = view.layer
        stored = Weight(bias.astype(np.float32), "raw")
    return replace(changed, weights={role: layer.weights[role], name: stored, **rest})


def _view_of_copy(layer: Layer) -> Convolution | InnerProduct:
    return (InnerProduct if layer.type == "InnerProduct" else Convolution).of_copy(layer)
