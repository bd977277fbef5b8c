"""Reordered weights of each kind of layer: worked examples, and what ncnn computes with them."""

from collections.abc import Callable

import ncnn
import numpy as np
import pytest
from graph_builder import Builder, fill

from pocketdet.export.compare_graphs import compare_graphs
from pocketdet.export.passes.channel_alignment.cost import WIDEN_EVERYTHING
from pocketdet.export.passes.channel_alignment.rewrite import (
    reorder,
    reorder_constant,
    reorder_dense,
    reorder_gemm,
    reorder_per_channel,
    rewrite,
)
from pocketdet.export.passes.channel_alignment.roles import Role
from pocketdet.export.passes.channel_alignment.search import Search
from pocketdet.export.passes.channel_alignment.trace import trace
from pocketdet.runtime.ncnn_graph import Graph, Layer, Weight, encode, infer_shapes, validate, weight_slots

INPUTS, OUTPUTS = np.array([1, -1, 0]), np.array([-1, 2, 0, 1])  # of two channels, of three


def numbered(layer: Layer, storage: str = "fp32") -> Layer:
    """The layer with weights 1, 2, 3 and so on, in every blob."""
    for slot in weight_slots(layer):
        values = np.arange(1, slot.count + 1, dtype=np.float32).reshape(slot.shape)
        layer.weights[slot.role] = encode(values, storage if slot.tagged else "raw")
    return layer


def values(layer: Layer) -> dict[str, list[object]]:
    return {role: weight.values().tolist() for role, weight in layer.weights.items()}


@pytest.mark.parametrize("kind", ["Convolution", "Deconvolution", "DeformableConv2D"])
def test_dense_layers_move_rows_columns_and_bias(kind: str) -> None:
    layer = numbered(Layer(kind, "c", params={0: 3, 1: 2, 11: 1, 5: 1, 6: 12}))
    reorder_dense(layer, Role("dense"), INPUTS, OUTPUTS)
    none = [[0, 0]]
    first, second, third = [[[1, 2]], [[3, 4]]], [[[5, 6]], [[7, 8]]], [[[9, 10]], [[11, 12]]]
    rows = [[none] * 3, *([row[1], none, row[0]] for row in (third, first, second))]
    assert values(layer) == {"weight": rows, "bias": [0, 3, 1, 2]}
    assert (layer.params[0], layer.params[6]) == (4, 4 * 3 * 2)


def test_inner_product_reads_every_pixel_of_a_channel() -> None:
    layer = numbered(Layer("InnerProduct", "f", params={0: 3, 2: 12}))
    reorder_dense(layer, Role("dense", values_per_channel=2), INPUTS, OUTPUTS)
    rows = [[9 + i for i in (2, 3)], [1 + i for i in (2, 3)], [5 + i for i in (2, 3)]]
    assert values(layer)["weight"] == [[0] * 6, *([*row, 0, 0, row[0] - 2, row[1] - 2] for row in rows)]
    assert (layer.params[0], layer.params[2]) == (4, 24)


@pytest.mark.parametrize(("transposed", "axis"), [(0, 0), (1, 1)])
def test_gemm_moves_its_left_matrix_and_its_rows_of_c(transposed: int, axis: int) -> None:
    layer = numbered(Layer("Gemm", "g", params={2: transposed, 4: 1, 6: 1, 7: 3, 9: 2, 10: 1}))
    plain = layer.weights["a"].values() if not axis else layer.weights["a"].values().T
    reorder_gemm(layer, INPUTS, OUTPUTS)
    moved = layer.weights["a"].values() if not axis else layer.weights["a"].values().T
    assert moved.tolist() == [[0] * 3, *([row[1], 0, row[0]] for row in plain[[2, 0, 1]].tolist())]
    assert values(layer)["c"] == [0, 3, 1, 2]
    assert (layer.params[7], layer.params[9]) == (4, 3)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (Layer("PReLU", "p", params={0: 3}), {"slope": [0, 3, 1, 2]}),
        (Layer("Bias", "b", params={0: 3}), {"bias": [0, 3, 1, 2]}),
        (Layer("Scale", "s", params={0: 3, 1: 1}), {"scale": [0, 3, 1, 2], "bias": [0, 3, 1, 2]}),
        (
            Layer("BatchNorm", "n", params={0: 3}),
            {"slope": [0, 3, 1, 2], "mean": [0, 3, 1, 2], "variance": [1, 3, 1, 2], "bias": [0, 3, 1, 2]},
        ),
    ],
)
def test_layers_with_one_number_per_channel(layer: Layer, expected: dict[str, list[int]]) -> None:
    """Padding of divisors is one, of everything else zero."""
    reorder_per_channel(numbered(layer), OUTPUTS, OUTPUTS)
    assert values(layer) == expected
    assert layer.params[0] == 4


@pytest.mark.parametrize("kind", ["ConvolutionDepthWise", "DeconvolutionDepthWise"])
def test_depthwise_layers_move_whole_windows(kind: str) -> None:
    layer = numbered(Layer(kind, "d", params={0: 4, 1: 2, 11: 1, 5: 1, 6: 8, 7: 2}))
    reorder_per_channel(layer, INPUTS, np.array([2, 3, -1, -1, 0, 1]))
    windows = [[5, 6], [7, 8], [0, 0], [0, 0], [1, 2], [3, 4]]
    assert values(layer) == {"weight": [[[w]] for w in windows], "bias": [3, 4, 0, 0, 1, 2]}
    assert [layer.params[key] for key in (0, 6, 7)] == [6, 12, 3]


@pytest.mark.parametrize(("term", "scales"), [(1, [2, 1, 1]), (2, [1]), (101, [2, 1, 1]), (102, [1])])
def test_int8_depthwise_layers_keep_scales_of_the_tensor(term: int, scales: list[int]) -> None:
    layer = numbered(Layer("ConvolutionDepthWise", "d", params={0: 2, 1: 1, 6: 2, 7: 2, 8: term}))
    reorder_per_channel(layer, INPUTS, INPUTS)
    assert values(layer)["weight_scales"] == scales
    assert {values(layer)[role][0] for role in layer.weights if role.endswith("put_scale")} == {1}


def test_constants_move_along_their_first_axis() -> None:
    for params, key in (({0: 3}, 0), ({0: 2, 1: 3}, 1), ({0: 2, 1: 1, 2: 3}, 2)):
        layer = numbered(Layer("MemoryData", "m", params=params))
        plain = layer.weights["data"].values()
        reorder_constant(layer, OUTPUTS)
        moved = layer.weights["data"].values()
        assert np.array_equal(moved[1:], plain[[2, 0, 1]])
        assert not moved[0].any()
        assert layer.params[key] == 4


def test_table256_weights_become_fp32() -> None:
    """A table256 weight is 256 numbers and a byte per weight; the table may lack the zero of padding."""
    table = np.linspace(1, 2, 256, dtype=np.float32)
    weight = Weight(np.array([[7], [9]], np.uint8), "table256", table=table)
    moved = reorder(weight, 0, np.array([1, -1, 0]))
    assert moved.storage == "fp32"
    assert moved.values().tolist() == [[table[9]], [0], [table[7]]]


def _norm(b: Builder, x: str) -> str:
    return b.add("PReLU", b.add("BatchNorm", b.add("Scale", x, {0: 13, 1: 1}), {0: 13}), {0: 13})


def _gemm(b: Builder, x: str) -> str:
    rows = b.add("Reshape", x, {0: -1, 1: 13})
    made = b.add("Gemm", rows, {4: 1, 6: 1, 7: 13, 9: 13, 10: 1, 0: 0.5, 1: 2.0})
    return b.add("Reshape", b.add("Gemm", made, {2: 1, 4: 1, 7: 13, 9: 13, 10: -1}), {0: 5, 1: 6, 2: 13})


BODIES: dict[str, Callable[[Builder, str], str]] = {
    "deconvolution": lambda b, x: b.add("Deconvolution", x, {0: 13, 1: 2, 3: 2, 5: 1, 6: 13 * 13 * 4}),
    "deconvolution by channel": lambda b, x: b.add(
        "DeconvolutionDepthWise", x, {0: 13, 1: 2, 3: 2, 5: 1, 6: 52, 7: 13}
    ),
    "multiplied by depth": lambda b, x: b.conv(b.depthwise(x, 3, times=3), 13),
    "norms": _norm,
    "bias": lambda b, x: b.add("Bias", x, {0: 13}),
    "constant": lambda b, x: b.add("BinaryOp", [x, b.add("MemoryData", [], {0: 1, 1: 1, 2: 13})], {0: 2}),
    "pads of each channel": lambda b, x: b.add("Padding", x, {0: 1, 1: 1, 2: 0, 3: 1, 6: 13}),
    "gemm": _gemm,
}


@pytest.mark.parametrize("storage", ["fp32", "fp16", "bf16"])
@pytest.mark.parametrize("body", BODIES)
def test_ncnn_computes_the_same(body: str, storage: str) -> None:
    """Every tensor in the middle has 13 channels and gets 16, 24, or 16 and 24 by turns."""
    b = Builder()
    b.linear(BODIES[body](b, b.conv(b.input(3, 6, 5), 13, _9=1)), 7)
    graph = b.graph(3, storage)
    found = trace(graph, infer_shapes(graph, b.inputs))
    for wide in ((16, 16), (24, 24), (16, 24)):
        widths = [
            group.size if group.exclusion_reason or group.size % 13 else group.size // 13 * wide[i % 2]
            for i, group in enumerate(found.groups)
        ]
        choice = Search(found, 8, WIDEN_EVERYTHING, wide_outputs=False).make_candidate(widths)
        assert choice.widths == widths
        made: Graph = rewrite(choice.plan)
        validate(made, b.inputs, lambda name: ncnn.layer_to_index(name) >= 0)
        for difference in compare_graphs(graph, made, b.inputs, trials=1):
            assert difference.relative < 1e-5, str(difference)


@pytest.mark.parametrize(
    "params",
    [
        {5: 1, 8: 9, 9: 30, 10: -1},  # the constant on the right: channels along the second axis
        {3: 1, 4: 1, 7: 9, 9: 30, 10: -1},  # B transposed
        {4: 1, 6: 1, 7: 9, 9: 13, 10: 4, 8: 30},  # one row of C for all rows of A
        {4: 1, 7: 9, 9: 13, 10: -1, 14: 1},  # the result transposed
    ],
)
def test_other_gemms_need_the_original_order(params: dict[int, int]) -> None:
    b = Builder()
    b.add("Gemm", b.add("Reshape", b.conv(b.input(3, 6, 5), 13), {0: 30, 1: 13}), params)
    graph = fill(b.graph())
    found = trace(graph, infer_shapes(graph, b.inputs))
    assert found.roles[-1].kind == "barrier"
    assert "Gemm 'gemm_2'" in {
        consumer.describe(graph) for consumer in found.consumers if consumer.kind == "ordered"
    }
    assert found.groups[-1].exclusion_reason == "its channel order is given by gemm_2"
