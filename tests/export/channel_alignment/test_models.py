"""Whole models: ShuffleNetV2 in three widths, residual and squeeze-excitation networks, int8, and published
networks that the pass was not developed on.
"""

from pathlib import Path

import ncnn
import pytest
from graph_builder import Builder, fill
from needs import SHARED_DATA

from pocketdet.export.align_graph import MAX_DIFFERENCE_INT8
from pocketdet.export.compare_graphs import compare_graphs
from pocketdet.export.passes.channel_alignment import ALIGNMENT_TARGETS, Alignment, align_channels
from pocketdet.export.passes.channel_alignment.cost import WIDEN_EVERYTHING
from pocketdet.runtime.ncnn_graph import Graph, infer_shapes, read_graph, validate

SHARED = Path(__file__).resolve().parents[4] / "shared/data"
STRUCTURES = SHARED / "devices/benchmark_params"
RELATIVE = 1e-3

needs_peers = pytest.mark.skipif(not SHARED.is_dir(), reason=SHARED_DATA)


def check(graph: Graph, aligned: Alignment, inputs: dict[str, tuple[int, ...]], relative: float) -> None:
    validate(aligned.graph, inputs, lambda name: ncnn.layer_to_index(name) >= 0)
    for difference in compare_graphs(graph, aligned.graph, inputs, trials=1):
        assert difference.relative < relative, str(difference)


def shufflenet_v2(widths: tuple[int, int, int], last: int = 1024) -> Builder:
    """ShuffleNetV2 (ECCV 2018, Table 5) on 64x64 pixels: stages of 4, 8 and 4 units."""
    b = Builder()
    x = b.conv(b.input(3, 64, 64), 24, 3, 2, _9=1)
    x = b.add("Pooling", x, {0: 0, 1: 3, 2: 2, 3: 1, 5: 1})
    for width, units in zip(widths, (4, 8, 4), strict=True):
        x = b.shuffle_down(x, width // 2)
        for _ in range(units - 1):
            x = b.shuffle_block(x)
    b.linear(b.add("Pooling", b.conv(x, last, _9=1), {0: 1, 4: 1}), 10)
    return b


@pytest.mark.parametrize(
    ("widths", "halves"),
    [
        ((48, 96, 192), set()),  # 24, 48 and 96 are whole lanes of 8
        ((116, 232, 464), {58, 116}),
        ((176, 352, 704), set()),
    ],
)
def test_shufflenet_v2(widths: tuple[int, int, int], halves: set[int]) -> None:
    b = shufflenet_v2(widths)
    graph = b.graph(seed=1)
    aligned = align_channels(graph, b.inputs, 8, rates=ALIGNMENT_TARGETS["avx2"].rates)
    assert {w.channels for w in aligned.report.widened} == halves
    assert all(w.lanes % 4 == 0 for w in aligned.report.widened)
    assert (aligned.graph is graph) == (not halves)
    check(graph, aligned, b.inputs, RELATIVE)


def test_a_shuffle_in_three_groups() -> None:
    """Lanes must divide into the groups as well."""
    b = Builder()
    x = b.conv(b.input(3, 8, 8), 30, _9=1)
    b.conv(b.depthwise(b.shuffle(x, 3), 5), 18)
    graph = b.graph()
    aligned = align_channels(graph, b.inputs, 8, rates=WIDEN_EVERYTHING)
    check(graph, aligned, b.inputs, 1e-5)
    widths = [layer.int_param(0, 0) for layer in aligned.graph.layers if layer.type == "ConvolutionDepthWise"]
    assert widths[0] % 24 == 0 or widths[0] == 30


def test_residual_branches_share_one_order() -> None:
    b = Builder()
    x = b.conv(b.input(3, 16, 16), 18, 3, 2, _9=1)
    for _ in range(3):
        y = b.conv(b.depthwise(b.conv(x, 50, _9=1), 5, _9=1), 18)
        x = b.add("BinaryOp", [x, y], {0: 0})
    b.conv(x, 16)
    graph = b.graph()
    aligned = align_channels(graph, b.inputs, 8, rates=WIDEN_EVERYTHING)
    # nothing depthwise reads the 18 channels, so half a group of lanes is enough for them
    assert {(w.channels, w.lanes, len(w.makers)) for w in aligned.report.widened} == {
        (18, 20, 4),
        (50, 56, 1),
    }
    check(graph, aligned, b.inputs, 1e-5)


def test_squeeze_and_excitation() -> None:
    b = Builder()
    x = b.depthwise(b.conv(b.input(3, 16, 16), 30, 3, 2, _9=6, _10=(1 / 6, 0.5)), 5)
    scale = b.linear(
        b.linear(b.add("Pooling", x, {0: 1, 4: 1}), 10, _9=1), 30, _9=4
    )  # sigmoid: padding is 0.5
    b.conv(b.add("BinaryOp", [x, b.add("Reshape", scale, {0: 1, 1: 1, 2: 30})], {0: 2}), 16)
    graph = b.graph()
    aligned = align_channels(graph, b.inputs, 8, rates=WIDEN_EVERYTHING)
    assert (30, 32) in {(w.channels, w.lanes) for w in aligned.report.widened}
    check(graph, aligned, b.inputs, 1e-5)


@pytest.mark.parametrize("term", [1, 2, 101, 102])
def test_int8_layers_compute_the_same(term: int) -> None:
    """8-bit weights, a scale for every output channel, and a scale of the input."""
    b = Builder()
    x = b.conv(b.input(3, 12, 12), 30, 3, 2, _9=1)
    x = b.conv(x, 30, _9=1, _8=2)
    x = b.depthwise(x, 3, _9=1, _8=term % 100)
    b.conv(x, 16, _8=2)
    graph = fill(b.graph(), 3, "int8")
    aligned = align_channels(graph, b.inputs, 8, rates=WIDEN_EVERYTHING)
    assert {w.lanes for w in aligned.report.widened} == {32}
    assert "int8" in {w.storage for layer in aligned.graph.layers for w in layer.weights.values()}
    check(graph, aligned, b.inputs, MAX_DIFFERENCE_INT8)


@needs_peers
def test_fastestdet() -> None:
    peer = SHARED / "peers/FastestDet"
    graph, inputs = (
        read_graph(peer.with_suffix(".param"), peer.with_suffix(".bin")),
        {"input.1": (3, 352, 352)},
    )
    for rates in (WIDEN_EVERYTHING, ALIGNMENT_TARGETS["avx2"].rates):
        check(graph, align_channels(graph, inputs, 16, rates=rates), inputs, RELATIVE)


@needs_peers
@pytest.mark.parametrize(
    ("name", "changes"),
    [("shufflenet", True), ("shufflenet_v2", True), ("mobilenet_v3", False), ("proxylessnasnet", False)],
)
def test_published_structures(name: str, changes: bool) -> None:
    """Structures of ncnn's own benchmark with random weights."""
    graph = fill(read_graph(STRUCTURES / f"{name}.param"))
    inputs = {blob: infer_shapes(graph, {}, partial=True)[blob] for blob in graph.input_names()}
    aligned = align_channels(graph, inputs, 16, rates=WIDEN_EVERYTHING)
    assert aligned.report.changed == changes
    check(graph, aligned, inputs, RELATIVE)


def test_inputs_of_a_noop_stay() -> None:
    """NanoDet ends in a Noop whose inputs a program extracts."""
    b = Builder()
    x = b.conv(b.input(3, 16, 16), 30, 3, 2, _9=1)
    scores, boxes = b.conv(b.depthwise(x, 5), 11), b.conv(b.depthwise(x, 5), 33)
    b.add("Noop", [scores, boxes], {}, outputs=2)
    graph = b.graph()
    aligned = align_channels(graph, b.inputs, 8, rates=WIDEN_EVERYTHING)
    assert {w.channels for w in aligned.report.widened} == {30}
    found = compare_graphs(graph, aligned.graph, b.inputs, trials=1)
    assert [difference.output for difference in found] == [scores, boxes]
    assert all(difference.relative < 1e-5 for difference in found)


def test_the_same_object_is_returned_if_nothing_is_gained() -> None:
    b = Builder()
    b.conv(b.depthwise(b.conv(b.input(3, 16, 16), 32, 3, _9=1)), 16)
    graph = b.graph()
    for lanes in (4, 8, 16):
        aligned = align_channels(graph, b.inputs, lanes, rates=WIDEN_EVERYTHING)
        assert aligned.graph is graph
        assert not aligned.report.changed
        assert f"nothing to gain with {lanes} SIMD lanes" in str(aligned.report)


def test_report_counts() -> None:
    b = Builder()
    x = b.conv(b.input(3, 8, 8), 12, 1)
    b.conv(b.depthwise(x, 5), 16, 1)
    report = align_channels(b.graph(), b.inputs, 8, rates=WIDEN_EVERYTHING).report
    assert [(w.makers, w.channels, w.lanes) for w in report.widened] == [(("convolution_0",), 12, 16)]
    macs = [64 * (3 * c + 25 * c + c * 16) for c in (12, 16)]
    numbers = [c * 3 + c + c * 25 + c + 16 * c + 16 for c in (12, 16)]
    assert report.macs == tuple(macs)
    assert report.weight_bytes is not None
    # each of three layers has a tag of 4 bytes before its weights
    tags = 4 * sum(
        1 for layer in b.layers if layer.weights for w in layer.weights.values() if w.storage == "fp32"
    )
    assert report.weight_bytes == tuple(4 * n + tags for n in numbers)
