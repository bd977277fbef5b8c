"""Unusual graphs: outputs stay the same, and invalid graphs raise `GraphError`."""

import copy
import tracemalloc

import ncnn
import numpy as np
import pytest
from graph_builder import Builder

from pocketdet.errors import GraphError
from pocketdet.export.compare_graphs import compare_graphs
from pocketdet.export.passes.channel_alignment import Alignment, align_channels
from pocketdet.export.passes.channel_alignment.channel_map import MAX_IDS, ValueIds
from pocketdet.export.passes.channel_alignment.cost import WIDEN_EVERYTHING
from pocketdet.export.passes.channel_alignment.rewrite import rewrite
from pocketdet.export.passes.channel_alignment.search import Search
from pocketdet.export.passes.channel_alignment.trace import trace
from pocketdet.runtime.ncnn_graph import Graph, Layer, encode, infer_shapes, to_param_text, validate


def align(graph: Graph, inputs: dict[str, tuple[int, ...]]) -> Alignment:
    return align_channels(graph, inputs, 8, rates=WIDEN_EVERYTHING)


def check(b: Builder, graph: Graph | None = None) -> Alignment:
    """Align a sound graph; the result is sound and answers the same."""
    graph = graph or b.graph()
    aligned = align(graph, b.inputs)
    validate(aligned.graph, b.inputs, lambda name: ncnn.layer_to_index(name) >= 0)
    for found in compare_graphs(graph, aligned.graph, b.inputs, trials=1):
        assert found.relative < 1e-5, str(found)
    return aligned


@pytest.mark.parametrize(
    ("shape", "channels", "params"),
    [((3, 6, 5), 6, {0: 30, 1: 0}), ((3, 6, 5), 6, {0: -1, 1: 0}), ((3, 1, 36), 6, {0: 6, 1: 0, 2: -1})],
)
def test_a_reshape_that_copies_a_size_which_happens_to_be_the_channels(
    shape: tuple[int, ...], channels: int, params: dict[int, int]
) -> None:
    """0 copies the height of what comes in; here it equals the number of channels, which must not follow."""
    b = Builder()
    x = b.conv(b.input(*shape), channels)
    if len(params) == 3:
        x = b.add("Reshape", x, {0: 36, 1: 6})
    b.conv(b.depthwise(b.conv(b.input(3, 4, 4), 13), 5), 8)  # so that something is widened
    b.add("ReLU", b.add("Reshape", x, params))
    assert check(b).report.changed


@pytest.mark.parametrize("width", range(21, 60))
def test_crops_with_a_gap_never_overlap_under_a_depthwise(width: int) -> None:
    """In the wide blob both crops may take the same lanes, which a depthwise layer then weighs twice."""
    b = Builder()
    x = b.conv(b.input(3, 4, 4), 20)
    upper, lower = (b.add("Crop", x, {9: (i,), 10: (j,), 11: (0,)}) for i, j in ((6, 20), (0, 5)))
    parts = b.add("Slice", b.depthwise(b.concat(upper, lower)), {0: (14, -233), 1: 0}, outputs=2)
    b.conv(b.concat(*reversed(parts)), 9)
    graph = b.graph()
    found = trace(graph, infer_shapes(graph, b.inputs))
    search = Search(found, 8, WIDEN_EVERYTHING, wide_outputs=False)
    widths = [
        width if group.size == 20 and not group.exclusion_reason else group.size for group in found.groups
    ]
    for difference in compare_graphs(graph, rewrite(search.make_candidate(widths).plan), b.inputs, trials=1):
        assert difference.relative < 1e-5, str(difference)


def test_a_reader_before_its_producer_gets_the_original_order() -> None:
    """ncnn runs such files; the reader is a barrier here, so its input must not be widened."""
    b = Builder()
    b.conv(b.add("Softmax", b.conv(b.input(3, 4, 4), 13), {0: 0}), 9)
    graph = b.graph()
    graph.layers[1:3] = graph.layers[2:0:-1]
    aligned = align(graph, b.inputs)
    softmax = next(layer for layer in aligned.graph.layers if layer.type == "Softmax")
    maker = aligned.graph.producers()[softmax.inputs[0]]
    assert maker.type == "Crop" or maker.int_param(0, 0) == 13


def test_parameters_without_a_shape_rule_make_a_layer_a_barrier() -> None:
    """Interp by an expression: its shape is not guessed, and its input stays as it was."""
    b = Builder()
    b.conv(b.depthwise(b.add("Interp", b.conv(b.input(3, 4, 4), 13), {0: 2, 3: 8, 4: 8}), 5), 9)
    graph = b.graph()
    assert align(graph, b.inputs).report.changed
    graph.layers[2].params = {0: 2, 9: '"*(0w,2),*(0h,2)"'}
    assert graph.layers[2].outputs[0] not in infer_shapes(graph, b.inputs, partial=True)
    made = align(graph, b.inputs).graph
    resized = made.layer(graph.layers[2].name)
    assert infer_shapes(made, b.inputs, partial=True)[resized.inputs[0]] == (13, 4, 4)


def test_blobs_read_twice_without_a_split() -> None:
    """ncnn does not run such a graph; the weights come out as with the Split."""
    b = Builder()
    x = b.depthwise(b.conv(b.input(3, 6, 6), 13), 5)
    b.conv(b.add("Eltwise", [x, x], {0: 1}), 9)
    b.conv(x, 5)
    split = b.graph()
    twice = Graph([copy.deepcopy(layer) for layer in split.layers if layer.type != "Split"])
    parts = {
        part: layer.inputs[0] for layer in split.layers if layer.type == "Split" for part in layer.outputs
    }
    for layer in twice.layers:
        layer.inputs = [parts.get(blob, blob) for blob in layer.inputs]
    aligned = align(twice, b.inputs)
    assert [(w.channels, w.lanes) for w in aligned.report.widened] == [(13, 16)]
    for layer in check(b, split).graph.layers:
        for role, weight in layer.weights.items():
            assert np.array_equal(weight.data, aligned.graph.layer(layer.name).weights[role].data)


INPUT = Layer("Input", "a", [], ["a"])
ODD_GRAPHS = (
    Graph([]),
    Graph([INPUT]),
    Graph([Layer("Unheard", "a", ["z"], ["y"])]),
    Graph([Layer("Unheard", "a", [], [])]),
    Graph([INPUT, Layer("Unheard", "u", ["a"], ["b"]), Layer("ReLU", "r", ["b"], ["c"])]),
    Graph([INPUT, Layer("Convolution", "c", ["a"], ["b"], {0: 4, 1: 1, 6: 12, 19: 1})]),
)


@pytest.mark.parametrize("graph", ODD_GRAPHS)
@pytest.mark.parametrize(
    "shapes", [{}, {"a": (3, 4, 4)}, {"z": (7, 2), "b": (5,)}, {"z": ()}, {"z": (0,)}, {"a": ()}]
)
def test_minimal_graphs(graph: Graph, shapes: dict[str, tuple[int, ...]]) -> None:
    """No layers, no outputs, unknown types, unknown shapes, weights that come at run time."""
    try:
        aligned = align(graph, shapes)
    except GraphError as error:
        assert any(reason in str(error) for reason in ("computed at run time", "empty", "is an input"))
        return
    assert aligned.graph is graph
    assert not aligned.report.changed


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda layers: layers[1].weights.pop("bias"), "needs the weights"),
        (lambda layers: layers[2].weights.clear(), "needs the weights"),
        (
            lambda layers: layers[1].weights.update(weight=encode(np.zeros((2, 2), np.float32), "fp32")),
            "must have the shape",
        ),
        (lambda layers: layers[1].params.update({6: 7}), "do not fit"),
        (lambda layers: layers[2].params.update({7: 6}), "ConvolutionDepthWise"),
        (lambda layers: layers[1].params.update({9: 3}), "the fused activation 3 needs 2 values"),
        (lambda layers: layers[1].params.update({0: 13.0}), "must be an integer"),
    ],
)
def test_damaged_layers_are_named(damage: object, message: str) -> None:
    b = Builder()
    b.conv(b.depthwise(b.conv(b.input(3, 4, 4), 13), 5), 9)
    graph = b.graph()
    damage(graph.layers)
    with pytest.raises(GraphError, match=message):
        align(graph, b.inputs)


def test_a_graph_without_weights_is_aligned_like_the_complete_one() -> None:
    b = Builder()
    x = b.add("PReLU", b.depthwise(b.conv(b.input(3, 4, 4), 13), 5), {0: 13})
    x = b.add("BinaryOp", [x, b.add("MemoryData", [], {0: 1, 1: 1, 2: 13})], {0: 0})
    b.linear(b.conv(b.add("BatchNorm", x, {0: 13}), 9), 5)
    whole = b.graph()
    bare = copy.deepcopy(whole)
    for layer in bare.layers:
        layer.weights = {}
    bare.structure_only = True
    found = align(bare, b.inputs)
    assert found.report.changed
    assert found.report.weight_bytes is None
    assert to_param_text(found.graph) == to_param_text(align(whole, b.inputs).graph)


def test_a_huge_flatten_is_not_followed() -> None:
    """None of its 6.75 million values is followed: less than a byte is allocated for each."""
    b = Builder()
    b.add("Flatten", b.add("Flatten", b.depthwise(b.conv(b.input(3, 1500, 1500), 3))))
    graph = b.graph()
    tracemalloc.start()
    try:
        align(graph, b.inputs)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * 1500 * 1500


def test_too_many_values_raise() -> None:
    ids = ValueIds()
    assert ids.block(MAX_IDS - 1, "first") == 0
    assert ids.block(1, "second") == MAX_IDS - 1
    assert ids.block(1, "first") == 0
    with pytest.raises(GraphError, match="values: too many"):
        ids.block(1, "third")
