"""What is written is what ncnn computes: each int8 layer against its definition in plain numpy."""

import ncnn
import numpy as np
import pytest
from graph_builder import Builder

from pocketdet.errors import GraphError
from pocketdet.export.quantization.layers import (
    exclusion_reason,
    float_weights,
    input_scale,
    quantised_weights,
    to_int8,
    weight_scales,
    with_bias,
)
from pocketdet.export.quantization.measure import GraphRunner
from pocketdet.runtime.ncnn_graph import encode, validate

# ncnn's packed int8 depthwise kernel on x86 takes 1 / scale from a table (lanes/test_int8_lanes.py)
RECIPROCAL = 1.5 / 4096
EXACT = 2e-6


def convolved(x, weights, stride, pad, dilation, groups):
    """A convolution in float64, one tap at a time."""
    x = np.pad(np.asarray(x, np.float64), ((0, 0), (pad, pad), (pad, pad)))
    out, per_group, kernel, _ = weights.shape
    extent = dilation * (kernel - 1) + 1
    height, width = ((n - extent) // stride + 1 for n in x.shape[1:])
    y = np.zeros((out, height, width))
    for o in range(out):
        first = o // (out // groups) * per_group
        for i in range(kernel):
            for j in range(kernel):
                rows = slice(i * dilation, i * dilation + (height - 1) * stride + 1, stride)
                columns = slice(j * dilation, j * dilation + (width - 1) * stride + 1, stride)
                taps = x[first : first + per_group, rows, columns]
                y[o] += np.tensordot(weights[o, :, i, j].astype(np.float64), taps, 1)
    return y


def rounded_weights(layer, scales):
    """The values that the int8 weights represent."""
    quantised = quantised_weights(layer, scales)
    return np.asarray(
        (quantised.reshape(len(scales), -1) / scales[:, None]).reshape(quantised.shape), np.float32
    )


def rounded_input(x, scale):
    """What the int8 layer computes with; a Gemm finds the scale of each run."""
    factor = np.float32(127 / max(float(np.abs(x).max()), 1e-30) if scale is None else scale)
    return np.asarray(np.clip(np.rint(x * factor), -127, 127) / factor, np.float32)


def quantised_run(b, layer_index, x, scale):
    graph = b.graph(7)
    layer = graph.layers[layer_index]
    scales = weight_scales(layer)
    made = to_int8(layer, scales, scale)
    graph.layers[layer_index] = made
    validate(graph, b.inputs, lambda name: ncnn.layer_to_index(name) >= 0)
    found = GraphRunner(graph).run({"in0": x}, made.outputs)[made.outputs[0]]
    return layer, rounded_input(x, scale), rounded_weights(layer, scales), found


def assert_close(found, wanted, relative):
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= relative * np.abs(wanted).max()


@pytest.mark.parametrize("out", [3, 8, 16, 21])
@pytest.mark.parametrize("channels", [3, 4, 16, 24])
@pytest.mark.parametrize(
    ("kernel", "stride", "dilation"), [(1, 1, 1), (3, 1, 1), (3, 2, 1), (3, 1, 2), (5, 2, 1)]
)
def test_convolution(channels, out, kernel, stride, dilation):
    b = Builder()
    b.conv(b.input(channels, 11, 13), out, kernel, stride, _2=dilation, _9=1)
    x = np.random.default_rng(out).normal(size=(channels, 11, 13)).astype(np.float32)
    layer, rounded, weights, found = quantised_run(b, 1, x, input_scale(2.5))
    wanted = convolved(rounded, weights, stride, kernel // 2, dilation, 1)
    wanted = np.maximum(wanted + layer.weights["bias"].values()[:, None, None], 0)
    assert_close(found, wanted, EXACT)


@pytest.mark.parametrize("channels", [5, 8, 16])
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2)])
def test_depthwise_convolution(channels, times, kernel, stride):
    b = Builder()
    b.depthwise(b.input(channels, 9, 10), kernel, stride, times)
    x = np.random.default_rng(channels).normal(size=(channels, 9, 10)).astype(np.float32)
    layer, rounded, weights, found = quantised_run(b, 1, x, input_scale(3.0))
    assert len(weight_scales(layer)) == channels
    wanted = convolved(rounded, weights, stride, kernel // 2, 1, channels)
    assert_close(found, wanted + layer.weights["bias"].values()[:, None, None], RECIPROCAL)


@pytest.mark.parametrize("shape", [(40,), (6, 4, 4)])
@pytest.mark.parametrize("out", [5, 16])
def test_inner_product(shape, out):
    b = Builder()
    b.linear(b.input(*shape), out)
    x = np.random.default_rng(out).normal(size=shape).astype(np.float32)
    layer, rounded, weights, found = quantised_run(b, 1, x, input_scale(2.0))
    wanted = weights.astype(np.float64) @ rounded.reshape(-1) + layer.weights["bias"].values()
    assert_close(found, wanted, EXACT)


@pytest.mark.parametrize("rows", [1, 2, 7, 16, 200])
@pytest.mark.parametrize(("size", "out"), [(12, 5), (245, 64), (31, 36)])
@pytest.mark.parametrize("turned", [0, 1])
@pytest.mark.parametrize("with_c", [0, 1])
def test_gemm(rows, size, out, turned, with_c):
    b = Builder()
    c = {6: 1, 10: 4} if with_c else {}
    b.add("Gemm", b.input(rows, size), {3: turned, 5: 1, 8: out, 9: size, **c})
    x = np.random.default_rng(rows).normal(size=(rows, size)).astype(np.float32)
    layer, rounded, weights, found = quantised_run(b, 1, x, None)
    assert len(weight_scales(layer)) == out
    bias = layer.weights["c"].values() if with_c else 0
    assert_close(found, rounded.astype(np.float64) @ weights.T + bias, EXACT)


def test_scales_of_zeros_are_one_and_give_zeros():
    for kind in ("conv", "depthwise"):
        b = Builder()
        x = b.input(8, 6, 6)
        b.conv(x, 8, 3) if kind == "conv" else b.depthwise(x, 3)
        graph = b.graph(1)
        layer = graph.layers[1]
        values = float_weights(layer).copy()
        values[2] = 0
        layer.weights["weight"] = encode(values, "fp32")
        scales = weight_scales(layer)
        assert scales[2] == 1
        assert np.isfinite(scales).all()
        graph.layers[1] = to_int8(layer, scales, 40.0)
        found = GraphRunner(graph).run({"in0": np.ones((8, 6, 6), np.float32)}, ["b0"])["b0"]
        assert (found[2] == layer.weights["bias"].values()[2]).all()


@pytest.mark.parametrize("magnitude", [1e-38, 1e-20, 1e20, 3e38])
def test_scales_are_finite_for_any_weights(magnitude):
    b = Builder()
    b.conv(b.input(2, 4, 4), 3)
    layer = b.graph().layers[1]
    layer.weights["weight"] = encode(np.full((3, 2, 1, 1), magnitude, np.float32), "fp32")
    scales = weight_scales(layer)
    product = scales * np.float32(input_scale(magnitude))
    assert (scales > 0).all()
    assert np.isfinite(product).all()
    assert (product > 0).all()
    assert np.isfinite(rounded_weights(layer, scales)).all()


def test_int8_weights_and_nan_are_refused():
    b = Builder()
    b.conv(b.input(2, 4, 4), 3)
    layer = b.graph().layers[1]
    made = to_int8(layer, weight_scales(layer), 1.0)
    with pytest.raises(GraphError, match="int8 already"):
        weight_scales(made)
    layer.weights["weight"] = encode(np.full((3, 2, 1, 1), np.nan, np.float32), "fp32")
    with pytest.raises(GraphError, match="NaN or infinity"):
        weight_scales(layer)


def test_a_bias_is_replaced_or_added():
    b = Builder()
    x = b.conv(b.input(2, 4, 4), 3, _5=0)
    b.linear(x, 4)
    graph = b.graph()
    graph.layers[1] = with_bias(graph.layers[1], np.array([1, 2, 3], np.float32))
    graph.layers[2] = with_bias(graph.layers[2], np.zeros(4, np.float32))
    validate(graph, b.inputs, lambda name: True)
    found = GraphRunner(graph).run({"in0": np.zeros((2, 4, 4), np.float32)}, ["b0"])["b0"]
    assert np.array_equal(found[:, 0, 0], np.array([1, 2, 3], np.float32))


def test_what_ncnn_would_compute_otherwise_is_left_alone():
    b = Builder()
    padded = b.conv(b.input(2, 4, 4), 3, 3, _18=1.0)
    b.add("Gemm", b.input(3, 4), {4: 1, 7: 5, 9: 3})
    b.add("Gemm", b.input(3, 4), {0: 2.0, 5: 1, 8: 5, 9: 4})
    b.add("Gemm", b.input(3, 4), {2: 1, 5: 1, 8: 5, 9: 3})
    b.depthwise(padded)
    layers = [layer for layer in b.graph().layers if layer.weights]
    reasons = {x.name: exclusion_reason(x, b.shapes[x.inputs[0]], depthwise=False) for x in layers}
    assert [r.split(",")[0] for r in reasons.values()] == [
        "it pads with a value other than 0",
        "only a matrix times a constant B is computed in int8",
        "its factors alpha and beta are not 1",
        "only a matrix times a constant B is computed in int8",
        "depthwise convolutions cost accuracy in int8",
    ]


def test_sums_that_may_overflow_stay_in_fp32():
    b = Builder()
    b.linear(b.input(140000), 1)
    layer = b.graph().layers[1]
    assert "140000 products" in exclusion_reason(layer, (140000,), depthwise=False)
