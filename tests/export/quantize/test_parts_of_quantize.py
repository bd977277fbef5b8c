"""Equalisation, bias correction and the search, each against its definition."""

import itertools

import numpy as np
import pytest
from graph_builder import Builder
from hypothesis import given
from hypothesis import strategies as st

from pocketdet.export.compare_graphs import compare_graphs
from pocketdet.export.quantize.choose import Sensitivity, fewest_kept, most_harm_first
from pocketdet.export.quantize.correct_bias import (
    TapMean,
    corrected_bias,
    mean_output,
    rounded_input,
    tap_sums,
)
from pocketdet.export.quantize.equalise import equalised, factors, find_edges
from pocketdet.export.quantize.items import take_items
from pocketdet.export.quantize.layers import bias_of, float_weights, to_int8, weight_scales, with_bias
from pocketdet.export.quantize.measure import ErrorSum
from pocketdet.export.quantize.network import Network
from pocketdet.export.quantize.observe import observe
from pocketdet.runtime.ncnn_graph import encode, infer_shapes

SHAPE = (3, 12, 12)


def uneven(graph, seed=0):
    """Give every maker rows of very different sizes, as training leaves depthwise layers."""
    rng = np.random.default_rng(seed)
    for layer in graph.layers:
        if layer.type.startswith("Convolution"):
            values = float_weights(layer)
            rows = np.exp(rng.normal(size=(len(values), *[1] * (values.ndim - 1))) * 1.5)
            layer.weights["weight"] = encode(np.asarray(values * rows, np.float32), "fp32")
    return graph


def items_of(b, count=20):
    rng = np.random.default_rng(9)
    made = [{n: rng.normal(size=s).astype(np.float32) for n, s in b.inputs.items()} for _ in range(count)]
    return take_items(made, b.inputs, 4)


def nets():
    b = Builder()
    x = b.depthwise(b.conv(b.input(*SHAPE), 9, 3, _9=1), 5, _9=1)
    b.conv(x, 7)
    yield b, 2
    b = Builder()
    x = b.add("Pooling", b.conv(b.input(*SHAPE), 9, 3, _9=2, _10=(0.1,)), {0: 0, 1: 3, 2: 2, 5: 1})
    b.conv(x, 7), b.conv(x, 8, 3)
    yield b, 1
    b = Builder()
    b.shuffle_block(b.shuffle_down(b.conv(b.input(*SHAPE), 8, 3, _9=1), 10))
    yield b, 6


@pytest.mark.parametrize("index", range(3))
def test_equalisation_keeps_the_answers_and_evens_the_ranges(index):
    b, count = list(nets())[index]
    graph = uneven(b.graph())
    shapes = infer_shapes(graph, b.inputs)
    int8 = [x.name for x in graph.layers if x.type.startswith("Convolution")]
    edges = find_edges(graph, shapes, int8)
    assert len(edges) == count
    blobs = dict.fromkeys(blob for edge in edges for blob in edge.blobs)
    items = items_of(b)
    before = observe(graph, items, blobs, lambda *_: None)
    made = graph
    for edge in edges:
        scale = factors(graph, edge, before, int8)
        assert scale is not None
        assert np.isfinite(scale).all()
        assert (scale > 0).all()
        made = equalised(made, edge, scale)
    for difference in compare_graphs(graph, made, b.inputs, trials=2):
        assert difference.relative <= 1e-5, str(difference)  # Winograd kernels amplify rounding
    after = observe(made, items, blobs, lambda *_: None)
    spreads = [[spread(seen[blob].channels) for blob in blobs] for seen in (before, after)]
    assert sum(spreads[1]) < 0.7 * sum(spreads[0])
    depthwise = [e for e in edges if all(n.startswith("convolutiondepthwise") for n in e.readers)]
    assert all(spread(after[blob].channels) < 1e-3 for edge in depthwise for blob in edge.blobs)


def spread(channels):
    used = channels[channels > 0]
    return float(np.std(np.log(used)))


def test_what_cannot_be_equalised_is_left_alone():
    b = Builder()
    first = b.conv(b.input(*SHAPE), 8, _9=1)
    left, right = b.halves(first)
    b.conv(b.concat(right, left), 4, _9=4)
    second = b.conv(b.conv(first, 6, _9=4), 6, _9=5)
    b.conv(b.add("Sigmoid", b.conv(second, 5)), 5)
    b.conv(b.conv(second, 5, _9=1), 5, 3, _18=1.0)
    graph = b.graph()
    names = [layer.name for layer in graph.layers]
    assert find_edges(graph, infer_shapes(graph, b.inputs), names) == []


def test_a_tensor_that_no_int8_layer_reads_is_left_alone():
    b = Builder()
    b.depthwise(b.conv(b.input(*SHAPE), 8, _9=1))
    graph = b.graph()
    shapes = infer_shapes(graph, b.inputs)
    assert find_edges(graph, shapes, ["convolution_0"]) == []
    assert len(find_edges(graph, shapes, ["convolutiondepthwise_1"])) == 1


def test_silent_channels_are_not_scaled():
    b = Builder()
    b.depthwise(b.conv(b.input(*SHAPE), 4, _9=1))
    graph = b.graph()
    maker = graph.layers[1]
    values = float_weights(maker).copy()
    values[1] = 0
    maker.weights["weight"] = encode(values, "fp32")
    maker.weights["bias"] = maker.weights["bias"].with_values(np.array([1, -1, 1, 1], np.float32))
    (edge,) = find_edges(graph, infer_shapes(graph, b.inputs), ["convolutiondepthwise_1"])
    seen = observe(graph, items_of(b), edge.blobs, lambda *_: None)
    scale = factors(graph, edge, seen, ["convolutiondepthwise_1"])
    assert scale is not None
    assert scale[1] == 1
    assert np.isfinite(scale).all()


GRID = [
    (kind, kernel, stride, pad)
    for kind, kernel, stride, pad in itertools.product(
        ("conv", "depthwise"), (1, 3, 5), (1, 2), ("same", "valid", -233, -234)
    )
    if kernel >= stride or pad in ("same", "valid")  # SAME padding would be negative
]


@pytest.mark.parametrize(("kind", "kernel", "stride", "pad"), GRID)
def test_mean_outputs_from_taps_are_those_that_ncnn_computes(kind, kernel, stride, pad):
    b = Builder()
    x = b.input(6, 9, 10)
    pads = {"same": kernel // 2, "valid": 0}.get(pad, pad)
    more = {f"_{key}": pads for key in (4, 14, 15, 16)}
    b.conv(x, 5, kernel, stride, **more) if kind == "conv" else b.depthwise(x, kernel, stride, 2, **more)
    graph = b.graph(5)
    check_means(b, graph, (6, 9, 10))


@pytest.mark.parametrize("kind", ["linear", "gemm", "turned gemm"])
def test_mean_outputs_of_matrices(kind):
    b = Builder()
    shape = (4, 3, 3) if kind == "linear" else (7, 20)
    x = b.input(*shape)
    if kind == "linear":
        b.linear(x, 5)
    else:
        b.add("Gemm", x, {3: int(kind != "gemm"), 5: 1, 6: 1, 8: 5, 9: 20, 10: 4})
    check_means(b, b.graph(5), shape)


def check_means(b, graph, shape):
    layer = graph.layers[1]
    values = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    found = Network(graph).run({"in0": values}, layer.outputs)[layer.outputs[0]]
    taps, positions = tap_sums(layer, values, b.shapes[layer.outputs[0]])
    by_channel = found if found.ndim == 1 else found.mean(axis=0 if layer.type == "Gemm" else (1, 2))
    mean = mean_output(layer, float_weights(layer), taps / positions) + bias_of(layer)
    assert np.abs(mean - by_channel).max() <= 1e-5 * np.abs(found).max()


@pytest.mark.parametrize("kind", ["conv", "depthwise", "gemm"])
def test_corrected_biases_undo_the_mean_shift(kind):
    b = Builder()
    x = b.input(*((7, 16) if kind == "gemm" else (16, 9, 9)))
    if kind == "gemm":
        b.add("Gemm", x, {5: 1, 6: 1, 8: 12, 9: 16, 10: 4})
    else:
        b.conv(x, 12, 3) if kind == "conv" else b.depthwise(x, 3)
    graph = b.graph(2)
    layer = graph.layers[1]
    values = np.abs(np.random.default_rng(1).normal(size=b.inputs["in0"])).astype(np.float32)
    scale = None if kind == "gemm" else 30.0  # coarse: much saturates at 127 / 30
    scales, exact, rounded = weight_scales(layer), TapMean(), TapMean()
    exact.add(layer, values, b.shapes["b0"])
    rounded.add(layer, rounded_input(layer, values, scale), b.shapes["b0"])
    bias = corrected_bias(layer, scales, exact.mean, rounded.mean)
    wanted = Network(graph).run({"in0": values}, ["b0"])["b0"]
    shifts = []
    for one in (layer, with_bias(layer, bias)):
        graph.layers[1] = to_int8(one, scales, scale)
        error = Network(graph).run({"in0": values}, ["b0"])["b0"] - wanted
        shifts.append(np.abs(error.mean(axis=0 if kind == "gemm" else (1, 2))).max())
    # what is left is the rough reciprocal of ncnn's packed int8 depthwise kernel on x86
    assert shifts[1] <= (1e-3 if kind == "depthwise" else 1e-5) * np.abs(wanted).max()
    assert shifts[0] > 4 * shifts[1]


@given(st.integers(0, 40), st.integers(0, 40))
def test_the_shortest_prefix_in_few_measurements(length, needed):
    order = [str(i) for i in range(length)]
    needed = min(needed, length)
    asked = []

    def holds(prefix):
        asked.append(len(prefix))
        return len(prefix) >= needed

    assert list(fewest_kept(order, holds)) == order[:needed]
    assert len(asked) <= 2 + max(length, 1).bit_length()
    assert len(set(asked)) == len(asked)


def test_harm_is_noise_power_for_each_mac():
    found = {
        "large and noisy": Sensitivity(20, 0.1, 100_000),
        "small and noisy": Sensitivity(20, 0.1, 1_000),
        "quiet": Sensitivity(50, 0.001, 1_000),
    }
    assert most_harm_first(found) == ["small and noisy", "large and noisy", "quiet"]


def test_errors_by_hand():
    total = ErrorSum()
    total.add(np.array([3.0, 4.0], np.float32), np.array([3.0, 4.5], np.float32))
    assert total.relative == pytest.approx(0.1)
    assert total.decibels == pytest.approx(20)
    silent = ErrorSum()
    silent.add(np.zeros(2, np.float32), np.zeros(2, np.float32))
    assert (silent.relative, silent.decibels) == (0, float("inf"))
    silent.add(np.zeros(1, np.float32), np.ones(1, np.float32))
    assert (silent.relative, silent.decibels) == (float("inf"), float("-inf"))


@pytest.mark.parametrize(("count", "held"), [(5, 1), (9, 1), (40, 8), (200, 16), (1000, 16)])
def test_a_fifth_at_most_is_held_out(count, held):
    zero = np.zeros((2, 2), np.float32)
    items = take_items([{"x": zero}] * count, {"x": (2, 2)}, 16)
    assert len(items.measure) == held
    assert sorted({*items.measure, *items.calibrate}) == list(range(count))
    assert not set(items.measure) & set(items.calibrate)
