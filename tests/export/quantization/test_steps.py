"""Equalisation and the search, each against its definition."""

import numpy as np
import pytest
from graph_builder import Builder
from hypothesis import given
from hypothesis import strategies as st

from pocketdet.export.compare_graphs import compare_graphs
from pocketdet.export.quantization.activation_ranges import observe
from pocketdet.export.quantization.equalise import equalised, factors, find_edges
from pocketdet.export.quantization.layers import float_weights
from pocketdet.export.quantization.measure import ErrorSum
from pocketdet.export.quantization.quantize import Sensitivity, fewest_excluded, most_harm_first
from pocketdet.export.quantization.settings import take_items
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


@pytest.mark.parametrize("workers", [2, 5])
def test_ranges_do_not_depend_on_the_number_of_workers(workers):
    b, _ = next(nets())
    graph = uneven(b.graph())
    blobs = graph.blob_names()
    items = items_of(b, 30)
    one, several = ({}, {})
    alone = observe(graph, items, blobs, lambda stage, done, total: one.update({done: total}))
    shared = observe(graph, items, blobs, lambda stage, done, total: several.update({done: total}), workers)
    assert one == several == {8: 26, 16: 26, 24: 26, 26: 26}
    for blob in blobs:
        assert np.array_equal(alone[blob].histogram.counts, shared[blob].histogram.counts), blob
        assert alone[blob].histogram.limit == shared[blob].histogram.limit
        assert alone[blob].histogram.largest == shared[blob].histogram.largest
        assert np.array_equal(alone[blob].channels, shared[blob].channels)


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


@given(st.integers(0, 40), st.integers(0, 40))
def test_the_shortest_prefix_in_few_measurements(length, needed):
    order = [str(i) for i in range(length)]
    needed = min(needed, length)
    asked = []

    def holds(prefix):
        asked.append(len(prefix))
        return len(prefix) >= needed

    assert list(fewest_excluded(order, holds)) == order[:needed]
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
