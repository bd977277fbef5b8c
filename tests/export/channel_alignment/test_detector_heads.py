"""Detector heads of other families: permutes, reshapes, softmaxes and many outputs."""

from collections.abc import Callable

import ncnn
import pytest
from graph_builder import Builder

from pocketdet.export.compare_graphs import compare_graphs
from pocketdet.export.passes.channel_alignment import ALIGNMENT_TARGETS, align_channels
from pocketdet.export.passes.channel_alignment.cost import WIDEN_EVERYTHING
from pocketdet.runtime.ncnn_graph import infer_shapes, validate

CLASSES = 5


def pyramid(b: Builder, widths: tuple[int, ...] = (58, 116, 232)) -> list[str]:
    """Three maps of ShuffleNetV2 1.0x, with one unit to each resolution."""
    x = b.conv(b.input(3, 64, 64), 24, 3, 2, _9=1)
    maps = []
    for width in widths:
        x = b.shuffle_block(b.shuffle_down(x, width))
        maps.append(x)
    return maps


def nanodet(b: Builder) -> None:
    """PAN of 1x1s and resizes at 96 channels, towers of depthwise pairs, scores and distances as rows."""
    fine, middle, coarse = (b.conv(x, 90) for x in pyramid(b))
    middle = b.add("BinaryOp", [middle, b.add("Interp", coarse, {0: 2, 1: 2.0, 2: 2.0})], {0: 0})
    fine = b.add("Eltwise", [fine, b.add("Interp", middle, {0: 2, 1: 2.0, 2: 2.0})], {0: 1})
    middle = b.add("BinaryOp", [middle, b.add("Interp", fine, {0: 2, 1: 0.5, 2: 0.5})], {0: 0})
    for x in (fine, middle, coarse):
        for _ in range(2):
            x = b.conv(b.depthwise(x, 3, _9=2, _10=(0.1,)), 90, _9=2, _10=(0.1,))
        scores, boxes = b.add("Slice", b.conv(x, CLASSES + 32), {0: (CLASSES, -233), 1: 0}, outputs=2)
        rows = b.shapes[x][1] * b.shapes[x][2]
        b.add("Permute", b.add("Reshape", b.add("Sigmoid", scores), {0: -1, 1: CLASSES}), {0: 1})
        b.add("Permute", b.add("Reshape", boxes, {0: rows, 1: -1}), {0: 1})


def ssd(b: Builder) -> None:
    """Permuted, flattened and joined over the maps; softmax over the classes of each box."""
    scores, boxes = [], []
    for x in pyramid(b):
        for made, wide in ((scores, 3 * CLASSES), (boxes, 3 * 4)):
            made.append(b.add("Flatten", b.add("Permute", b.conv(b.depthwise(x), wide), {0: 3})))
    joined = b.concat(*scores)
    rows = b.add("Reshape", joined, {0: CLASSES, 1: b.shapes[joined][0] // CLASSES})
    b.add("Flatten", b.add("Softmax", rows, {0: 1, 1: 1}))
    b.concat(*boxes)


def yolo(b: Builder) -> None:
    """Anchors as groups of channels: objectness, boxes and classes joined along the channels."""
    for x in pyramid(b)[1:]:
        x = b.conv(b.depthwise(x, 5, _9=1), 75, _9=1)
        boxes, sure = b.conv(b.depthwise(x, 5), 12), b.add("Sigmoid", b.conv(b.depthwise(x, 5), 3))
        classes = b.add("Softmax", b.conv(x, CLASSES), {0: 0})
        b.add("Permute", b.concat(boxes, sure, classes), {0: 3})


def classifier(b: Builder) -> None:
    """A fully connected layer that reads every pixel, and a residual with a projection before it."""
    x = pyramid(b, (29, 30))[1]
    y = b.conv(b.depthwise(b.conv(x, 50, 1, _9=5), 3, 2, _9=5), 70)
    x = b.add("ReLU", b.add("BinaryOp", [b.conv(x, 70, 1, 2), y], {0: 0}))
    x = b.linear(b.add("Dropout", b.add("Flatten", x)), 33, _9=1)
    b.add("Softmax", b.linear(x, 10), {0: 0})


def deformable(b: Builder) -> None:
    """Offsets come from a convolution and must arrive in place."""
    x = b.conv(b.input(3, 12, 12), 26, 3, 2, _9=1)
    offsets = b.conv(b.depthwise(x, 5), 18, 3)
    params = {0: 21, 1: 3, 4: 1, 5: 1, 6: 21 * 26 * 9}
    b.conv(b.depthwise(b.add("DeformableConv2D", [x, offsets], params), 5), 9)


HEADS: dict[str, Callable[[Builder], None]] = {
    f.__name__: f for f in (nanodet, ssd, yolo, classifier, deformable)
}


@pytest.mark.parametrize("lanes", [4, 8, 16])
@pytest.mark.parametrize("head", HEADS)
def test_heads(head: str, lanes: int) -> None:
    b = Builder()
    HEADS[head](b)
    graph = b.graph(1)
    aligned = align_channels(graph, b.inputs, lanes, rates=WIDEN_EVERYTHING)
    assert aligned.report.changed or lanes == 4  # which gain little even there
    validate(aligned.graph, b.inputs, lambda name: ncnn.layer_to_index(name) >= 0)
    old, new = infer_shapes(graph, b.inputs), infer_shapes(aligned.graph, b.inputs)
    assert set(aligned.graph.output_names()) == set(graph.output_names())
    assert all(new[blob] == old[blob] for blob in graph.output_names())
    for found in compare_graphs(graph, aligned.graph, b.inputs, trials=1):
        assert found.relative < 1e-5, str(found)


@pytest.mark.parametrize("target", ["avx2", "avx512", "neon-fp16"])
def test_nanodet_gains_by_the_cost_model(target: str) -> None:
    """Halves of 58 and 116 channels, and 90 in the towers: estimated to gain at least a twentieth."""
    b = Builder()
    nanodet(b)
    machine = ALIGNMENT_TARGETS[target]
    report = align_channels(b.graph(1), b.inputs, machine.lanes, rates=machine.rates).report
    assert report.estimated_ratio > 1.05
    assert {58, 90} <= {w.channels for w in report.widened}
