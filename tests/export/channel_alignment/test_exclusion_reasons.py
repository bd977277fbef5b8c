"""Tensors that must not be widened: the report names the layer and the reason, and outputs stay the same."""

from collections.abc import Callable

import pytest
from graph_builder import Builder

from pocketdet.export.compare_graphs import compare_graphs
from pocketdet.export.passes.channel_alignment import ALIGNMENT_TARGETS, align_channels
from pocketdet.export.passes.channel_alignment.cost import WIDEN_EVERYTHING
from pocketdet.export.passes.channel_alignment.padding import ANY, ZERO, Range, nary_range, propagate_unary
from pocketdet.export.passes.channel_alignment.search import NOT_FASTER
from pocketdet.runtime.ncnn_graph import Layer

Chain = tuple[tuple[str, dict[int, object]], ...]
EXP, LOG, SQUARE, RECIPROCAL = (
    ("UnaryOp", {0: 7}),
    ("UnaryOp", {0: 8}),
    ("UnaryOp", {0: 4}),
    ("UnaryOp", {0: 15}),
)


def reasons(b: Builder, lanes: int = 8, preserve: tuple[str, ...] = ()) -> dict[tuple[str, ...], str]:
    """Producers of the excluded tensors -> the reason. Also checks that the outputs stay the same."""
    graph = b.graph()
    made = align_channels(graph, b.inputs, lanes, rates=WIDEN_EVERYTHING, preserve=preserve)
    for found in compare_graphs(graph, made.graph, b.inputs, also=preserve, trials=1):
        assert found.relative < 1e-5, str(found)
    return {item.makers: item.reason for item in made.report.refused}


@pytest.mark.parametrize(
    ("chain", "blamed"),
    [
        ((LOG,), 1),
        ((RECIPROCAL,), 1),
        ((("UnaryOp", {0: 6}),), 1),  # 1 / sqrt
        ((("BinaryOp", {0: 3, 1: 1, 2: 0.0}),), 1),
        ((("BinaryOp", {0: 8, 1: 1, 2: 3.0}),), 1),
        ((("BinaryOp", {0: 6, 1: 1, 2: -1.0}),), 1),  # a power below zero
        ((("BinaryOp", {0: 0, 1: 1, 2: 20.0}), EXP), 2),  # exp(20) is more than half precision holds
        ((EXP, ("BinaryOp", {0: 0, 1: 1, 2: 9.0}), ("Bias", {0: 13}), EXP), 4),  # Bias does not make it zero
        ((("Log", {}),), 1),
        ((("Power", {0: -1.0}),), 1),
    ],
)
def test_padding_that_may_become_infinite(chain: Chain, blamed: int) -> None:
    b = Builder()
    x = b.conv(b.input(3, 6, 6), 13, _9=3, _10=(0.5, 1.0))
    x = b.add("BinaryOp", x, {0: 1, 1: 1, 2: 0.5})  # padding is zero again, the channels within 0 and 0.5
    x = b.add("BinaryOp", x, {0: 4, 1: 1, 2: 0.0})
    for kind, params in chain:
        x = b.add(kind, x, params)
    b.conv(b.add("Clip", x, {0: -1.0, 1: 1.0}), 8)
    layer = b.layers[3 + blamed]
    expected = f"zeros may become infinite or NaN in {layer.type} {layer.name!r}"
    graph = b.graph()
    refused = align_channels(graph, b.inputs, 8, rates=WIDEN_EVERYTHING).report.refused
    assert {item.makers: item.reason for item in refused}[("convolution_0",)] == expected


@pytest.mark.parametrize(
    ("layer", "source", "expected"),
    [
        (Layer("Bias", "b"), (0.5, 2.0), (0.5, 2.0)),
        (Layer("Scale", "s"), (0.5, 2.0), ZERO),
        (Layer("BatchNorm", "n"), ANY, ZERO),
        (Layer("UnaryOp", "u", params={0: 4}), (-3.0, 2.0), (0.0, 9.0)),
        (Layer("UnaryOp", "u", params={0: 4}), ANY, None),  # in half precision 300 squared is infinite
        (Layer("Reduction", "r", params={0: 2}), ANY, None),
        (Layer("Reduction", "r", params={0: 2}), (-2.0, 1.0), (-16.0, 16.0)),
        (Layer("Reduction", "r", params={0: 3}), ANY, ANY),
        (Layer("PReLU", "p", params={0: 1}), (-1.0, 1.0), None),  # its slope is not known
        (Layer("PReLU", "p", params={0: 5}), (-1.0, 2.0), (-1.0, 2.0)),
        (Layer("Gemm", "g", params={9: 3}), ZERO, None),
    ],
)
def test_propagate_unary(layer: Layer, source: Range, expected: Range | None) -> None:
    assert propagate_unary(layer, source, pixels=4) == expected


@pytest.mark.parametrize(
    ("layer", "sources", "expected"),
    [
        (Layer("Concat", "c"), [ZERO, (1.0, 2.0)], (0.0, 2.0)),
        (Layer("Scale", "s"), [ZERO, (-1.0, 2.0)], (0.0, 0.0)),
        (Layer("Scale", "s"), [ANY, ANY], None),
        (Layer("Eltwise", "e", params={0: 1, 1: (2.0, -3.0)}), [(0.0, 1.0), (0.0, 1.0)], (-3.0, 2.0)),
        (Layer("Eltwise", "e", params={0: 0}), [(-2.0, 1.0)] * 3, (-8.0, 4.0)),
        (Layer("Eltwise", "e", params={0: 2}), [(-2.0, 1.0), (-1.0, 0.0)], (-1.0, 1.0)),
        (Layer("BinaryOp", "b", params={0: 2}), [(0.0, 200.0)] * 2, None),  # more than half precision holds
        (Layer("BinaryOp", "b", params={0: 3}), [ZERO, (0.0, 1.0)], None),
        (Layer("BinaryOp", "b", params={0: 3}), [ZERO, (0.5, 0.5)], ZERO),
    ],
)
def test_nary_range(layer: Layer, sources: list[Range], expected: Range | None) -> None:
    assert nary_range(layer, sources) == expected


@pytest.mark.parametrize("divisor", ["a sigmoid", "a plain tensor"])
def test_division_by_another_tensor(divisor: str) -> None:
    """Padding behind a sigmoid is 0.5, which is a valid divisor; zero is not."""
    b = Builder()
    x = b.conv(b.input(3, 6, 6), 13)
    y = b.conv(b.input(3, 6, 6), 13, _9=4 if divisor == "a sigmoid" else 0)
    y = y if divisor == "a sigmoid" else b.add("BinaryOp", b.add("AbsVal", y), {0: 4, 1: 1, 2: 0.5})
    b.conv(b.depthwise(b.add("BinaryOp", [x, y], {0: 3}), 5), 8)
    refused = reasons(b)
    assert not [makers for makers in refused if "convolution_0" in makers]
    c = Builder()
    x, y = (c.conv(c.input(3, 6, 6), 13) for _ in range(2))
    c.conv(c.depthwise(c.add("BinaryOp", [x, y], {0: 3}), 5), 8)
    graph = c.graph()
    report = align_channels(graph, c.inputs, 8, rates=WIDEN_EVERYTHING).report
    (reason,) = [item.reason for item in report.refused if "convolution_0" in item.makers]
    assert reason == "zeros may become infinite or NaN in BinaryOp 'binaryop_2'"


MIXERS: dict[str, Callable[[Builder, str], object]] = {
    "Softmax": lambda b, x: b.add("Softmax", x, {0: 0}),
    "Permute": lambda b, x: b.add("Permute", x, {0: 3}),
    "PixelShuffle": lambda b, x: b.add("PixelShuffle", x, {0: 2}),
    "GroupNorm": lambda b, x: b.add("GroupNorm", x, {0: 4, 1: 36}),
    "Reduction": lambda b, x: b.add("Reduction", x, {0: 3, 1: 0, 3: (0,), 4: 1, 5: 1}),
}


@pytest.mark.parametrize("mixer", MIXERS)
def test_layers_that_mix_channels_need_the_original_order(mixer: str) -> None:
    """A shuffle scatters the real channels, so that they cannot simply come first."""
    b = Builder()
    x = b.shuffle(b.concat(b.conv(b.input(3, 6, 6), 18), b.conv(b.input(3, 6, 6), 18)))
    MIXERS[mixer](b, b.depthwise(x, 5))
    kind, name = b.layers[-1].type, b.layers[-1].name
    refused = reasons(b)
    assert refused[("convolution_0",)] == f"its channels must stay in place for {kind} {name!r}"


def test_outputs_and_extracted_blobs_are_named() -> None:
    b = Builder()
    x = b.conv(b.input(3, 6, 6), 18)
    kept = b.depthwise(x, 5)
    b.concat(b.conv(kept, 22), b.conv(kept, 6))  # only the last one may end in padding
    refused = reasons(b, preserve=(kept,))
    assert refused[("convolution_0",)] == f"its channels must stay in place for the kept blob {kept!r}"
    assert refused[("convolution_2",)] == "its channels must stay in place for the output 'b4'"


def test_reasons_are_reported_if_nothing_is_gained() -> None:
    """One tensor is excluded by its padding, one by the cost model; the same object is returned."""
    b = Builder()
    x = b.conv(b.input(3, 6, 6), 13)
    b.conv(b.depthwise(b.add("UnaryOp", x, {0: 8}), 5), 9)
    graph = b.graph()
    made = align_channels(graph, b.inputs, 8, rates=ALIGNMENT_TARGETS["avx2"].rates)
    assert made.graph is graph
    reasons_of = {item.makers: item.reason for item in made.report.refused}
    assert reasons_of[("convolution_0",)] == "zeros may become infinite or NaN in UnaryOp 'unaryop_1'"
    assert reasons_of[("convolution_3",)] == NOT_FASTER
    assert "convolution_0: stays at 13 channels: zeros may become" in str(made.report)
