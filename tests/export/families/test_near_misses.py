"""Heads that differ from a family in one thing are of no family, and the sentence names the difference."""

from collections.abc import Callable
from pathlib import Path

import pytest
from mobile_heads import HeadNet

from pocketdet.errors import UsageError
from pocketdet.export.families import recognise
from pocketdet.export.onnx_graph.summary import summarise

SIZE, CLASSES = (96, 128), 7


def separate(net: HeadNet, bins: int = 8, strides: tuple[int, ...] = (8, 16, 32)) -> None:
    for stride in strides:
        net.output(net.rows(net.values(stride, CLASSES, "Sigmoid"), CLASSES))
        net.output(net.rows(net.values(stride, 4 * bins), 4 * bins))


def joined(
    net: HeadNet, second: int = 32, factor: float = 1.0, strides: tuple[int, ...] = (8, 16, 32)
) -> None:
    levels = []
    for stride in strides:
        parts = [net.values(stride, CLASSES, "Sigmoid"), net.scaled(net.values(stride, second), factor)]
        one = net.graph.add("Concat", *parts, axis=1)
        levels.append(net.graph.add("Reshape", one, net.graph.ints(1, CLASSES + second, -1)))
    columns = net.graph.add("Concat", *levels, axis=2)
    net.output(net.graph.add("Transpose", columns, perm=[0, 2, 1]))


def one_map(net: HeadNet, *parts: tuple[int, str], stride: int = 16) -> None:
    values = [net.values(stride, channels, activation) for channels, activation in parts]
    net.output(net.graph.add("Concat", *values, axis=1))


def faces(net: HeadNet, scores: int, anchors: int, score: str = "Sigmoid", box: int = 4) -> None:
    for stride in (8, 16, 32):
        for _ in range(scores):
            net.output(net.rows(net.values(stride, anchors, score), 1))
        net.output(net.rows(net.values(stride, box * anchors), box))


def centre_maps(net: HeadNet, stride: int = 4, score: str = "Sigmoid", sizes: int = 2) -> None:
    net.output(net.values(stride, 1, score))
    net.output(net.values(stride, sizes))
    net.output(net.values(stride, 2))


def ssd(net: HeadNet, classes: int, score: str, anchors: tuple[int, ...] = (3, 2, 2, 3)) -> None:
    pairs: list[list[str]] = [[], []]
    for stride, count in zip((8, 16, 32, 64), anchors, strict=True):
        pairs[0].append(net.rows(net.values(stride, count * (classes + 1), score), classes + 1))
        pairs[1].append(net.rows(net.values(stride, count * 4), 4))
    for values in pairs:
        net.output(net.graph.add("Concat", *values, axis=1))


def blaze(net: HeadNet, box: int, counts: tuple[int, int] = (2, 6)) -> None:
    for stride, count in zip((8, 16), counts, strict=True):
        net.output(net.rows(net.values(stride, count), 1))
        net.output(net.rows(net.values(stride, box * count), box))


@pytest.mark.parametrize(
    ("family", "make", "words"),
    [
        ("nanodet", lambda net: separate(net, bins=17), r"box tensors of 32 channels \(4 x 8 bins\)"),
        ("nanodet", lambda net: separate(net, strides=(4, 8, 16)), r"for each of the strides \(8, 16, 32\)"),
        ("nanodet", lambda net: joined(net, second=64), "has 4 x 8 box values: these rows have 64"),
        ("nanodet", lambda net: joined(net, strides=(8, 16)), "a row for each cell of the strides"),
        ("rtmdet", lambda net: joined(net, 4, 2.0), r"the graph multiplies them by \(2.0, 2.0, 2.0\)"),
        ("rtmdet", lambda net: joined(net, 5, 8.0), "rows of sigmoid scores and 4 distances"),
        ("fastestdet", lambda net: one_map(net, (1, "Sigmoid"), (4, ""), (9, "Sigmoid")), "9 sigmoid"),
        (
            "fastestdet",
            lambda net: one_map(net, (1, "Sigmoid"), (4, ""), (9, "Softmax"), stride=8),
            "the map of FastestDet has the stride 16",
        ),
        (
            "yolo-fastestv2",
            lambda net: one_map(net, (8, "Sigmoid"), (2, "Sigmoid"), (9, "Softmax")),
            "has 8 sigmoid, 2 sigmoid, 9 softmax",
        ),
        ("yunet", lambda net: faces(net, 1, 1), "there are 3 tensors of one sigmoid score"),
        ("yunet", lambda net: faces(net, 2, 1, score=""), "there are 0 tensors of one sigmoid score"),
        ("scrfd", lambda net: faces(net, 1, 3), "for each of 2 anchors of a cell"),
        ("ultraface", lambda net: ssd(net, 1, "", (3, 2, 2, 3)), "softmax scores with a background"),
        ("ultraface", lambda net: ssd(net, 2, "", (3, 2, 2, 3)), "softmax scores with a background"),
        ("ssdlite-torchvision", lambda net: ssd(net, 4, "", (6, 6, 6, 6)), "has 402 anchors for 96x128"),
        ("blazeface", lambda net: blaze(net, 18), "boxes of 16 raw values"),
        ("blazeface", lambda net: blaze(net, 16, (2, 4)), "anchors of 96x128"),
        ("centerface", lambda net: centre_maps(net, score=""), "1 sigmoid score, 2 sizes, 2 offsets"),
        ("centerface", lambda net: centre_maps(net, stride=8), "maps of the stride 4"),
        ("centerface", lambda net: centre_maps(net, sizes=4), "1 sigmoid score, 2 sizes, 2 offsets"),
    ],
)
def test_one_difference_is_refused_and_named(
    tmp_path: Path, family: str, make: Callable[[HeadNet], None], words: str
) -> None:
    net = HeadNet(SIZE, 5)
    make(net)
    summary = summarise(net.write(tmp_path))
    with pytest.raises(UsageError, match="is of no known family"):
        recognise(summary)
    with pytest.raises(UsageError, match=words) as caught:
        recognise(summary, preset=family)
    assert "\n" not in str(caught.value)
