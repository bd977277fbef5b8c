"""Int8 layers in ncnn, aligned and original: every kind of scales.

Sums of int8 products are whole numbers, so dense layers agree to the last bits. ncnn's packed kernel for int8
depthwise layers takes 1 / scale from a table of the processor (`_mm_rcp_ps`, off by at most 1.5 / 4096 of the
value, as Intel documents it), its plain one divides; that is how far those results may be apart.
"""

import ncnn
import numpy as np
import pytest
from graph_builder import Builder, fill

from pocketdet.export.compare_graphs import compare_graphs
from pocketdet.export.passes.channel_alignment import Alignment, align_channels
from pocketdet.export.passes.channel_alignment.cost import WIDEN_EVERYTHING
from pocketdet.runtime.ncnn_graph import Graph, validate

RECIPROCAL = 1.5 / 4096
EXACT = 1e-6


def aligned(b: Builder, lanes: int = 8) -> tuple[Graph, Alignment]:
    graph = fill(b.graph(), 3, "int8")
    found = align_channels(graph, b.inputs, lanes, rates=WIDEN_EVERYTHING)
    validate(found.graph, b.inputs, lambda name: ncnn.layer_to_index(name) >= 0)
    return graph, found


def check(graph: Graph, found: Alignment, b: Builder, relative: float) -> None:
    for difference in compare_graphs(graph, found.graph, b.inputs, trials=1):
        assert difference.relative <= relative, str(difference)


@pytest.mark.parametrize("lanes", [4, 8, 16])
@pytest.mark.parametrize("first", [0, 1, 2, 101, 102])
@pytest.mark.parametrize("second", [1, 2, 101, 102])
def test_chains_of_dense_layers_are_exact(first: int, second: int, lanes: int) -> None:
    """Above 100 a layer hands int8 values on; below it hands floats on, which the next one rounds."""
    b = Builder()
    x = b.conv(b.conv(b.input(3, 12, 12), 13, 3, _9=1, _8=first), 21, 3, _9=1, _8=second)
    b.linear(b.conv(x, 10, _8=2), 7, _8=1)
    graph, found = aligned(b, lanes)
    assert {w.channels for w in found.report.widened} >= {13, 21}
    check(graph, found, b, EXACT)


@pytest.mark.parametrize("lanes", [8, 16])
@pytest.mark.parametrize("term", [1, 2])
@pytest.mark.parametrize("kernel", [3, 5])
def test_depthwise_layers_are_apart_by_a_rough_reciprocal(kernel: int, term: int, lanes: int) -> None:
    b = Builder()
    b.conv(b.depthwise(b.conv(b.input(3, 12, 12), 13, _9=1), kernel, _8=term), 10)
    graph, found = aligned(b, lanes)
    assert {w.channels for w in found.report.widened} >= {13}
    made = found.graph.layer("convolutiondepthwise_1")
    assert len(made.weights["weight_scales"].data) == (1 if term == 2 else made.int_param(7, 0))
    assert made.weights["weight"].storage == "int8"
    check(graph, found, b, 4 * RECIPROCAL)  # the 1x1 behind adds up 13 of them, of either sign


@pytest.mark.parametrize("term", [101, 102])
@pytest.mark.parametrize("behind", [1, 2])
def test_requantised_depthwise_layers_are_apart_by_a_step(term: int, behind: int) -> None:
    """A sum on the edge between two int8 values may fall to either: a step of 1/127 in few places."""
    b = Builder()
    b.conv(b.depthwise(b.conv(b.input(3, 12, 12), 13, _9=1, _8=102), 3, _8=term), 10, _8=behind)
    graph, found = aligned(b)
    assert {w.channels for w in found.report.widened} >= {13}
    check(graph, found, b, 1 / 127)


def test_nothing_is_cut_off_int8_values() -> None:
    """ncnn's Crop would read packed int8 values as floats; the reader here needs them in place."""
    b = Builder()
    x = b.conv(b.conv(b.input(3, 12, 12), 13, 3, _9=1), 18, 3, _9=1, _8=102)
    x = b.add("ConvolutionDepthWise", x, {0: 9, 1: 1, 5: 1, 6: 54, 7: 3, 8: 1})
    b.conv(x, 7)
    graph, found = aligned(b)
    assert 13 in {w.channels for w in found.report.widened}
    reason = "its channels must stay in place for ConvolutionDepthWise 'convolutiondepthwise_2'"
    assert reason in {item.reason for item in found.report.refused if item.channels == 18}
    check(graph, found, b, EXACT)


def test_int8_values_behind_a_split_stay_in_place_too() -> None:
    b = Builder()
    x = b.conv(b.input(3, 12, 12), 18, 3, _9=1, _8=102)
    grouped = {0: 9, 1: 1, 5: 1, 6: 54, 7: 3, 8: 1}
    b.conv(b.add("ConvolutionDepthWise", x, grouped), 7)
    b.conv(x, 9, _8=2)
    graph, found = aligned(b)
    assert 18 not in {w.channels for w in found.report.widened}
    assert "Crop" not in {layer.type for layer in found.graph.layers[:4]}
    check(graph, found, b, EXACT)


def test_padding_of_int8_layers_by_hand() -> None:
    b = Builder()
    b.conv(b.conv(b.input(3, 4, 4), 13, _8=1), 8, _8=1)
    graph, found = aligned(b)
    first, second = (found.graph.layers[i].weights for i in (1, 2))
    assert first["weight"].data.dtype == second["weight"].data.dtype == np.int8
    assert not first["weight"].data[13:].any()
    assert not second["weight"].data[:, 13:].any()
    assert first["weight_scales"].data[13:].tolist() == [1, 1, 1]
    assert not first["bias"].data[13:].any()
    for made, plain in zip((first, second), (layer.weights for layer in graph.layers[1:]), strict=True):
        assert np.array_equal(made["input_scale"].data, plain["input_scale"].data)
        assert np.array_equal(made["weight"].data[:13, :13], plain["weight"].data)
