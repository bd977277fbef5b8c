"""Face detectors and SSDs are recognised by their heads, and decode as the rule of each family.

The decoders below are written from the published rules, in numpy.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from mobile_heads import (
    Array,
    HeadNet,
    Size,
    as_rows,
    cell_points,
    computed,
    from_centres,
    from_distances,
    grid_of,
)

from pocketdet.errors import UsageError
from pocketdet.export.families import FamilyOptions, Recognised, recognise
from pocketdet.export.families.probe import decodes_to
from pocketdet.export.onnx_graph.summary import summarise

SEEDS = pytest.mark.parametrize("seed", [1, 2])


def size_of(seed: int, step: int = 32) -> Size:
    """A size that is not square."""
    height, width = np.random.default_rng(seed).integers(3, 7, 2) * step
    return int(height), int(width + step)


def found_in(path: Path, family: str, preset: str | None = None, size: Size | None = None) -> Recognised:
    found = recognise(summarise(path), FamilyOptions(input_size=size), preset)
    assert found.family.name == family, found.match.reasons
    return found


def check(found: Recognised, path: Path, shape: Sequence[int], boxes: Array, scores: Array) -> None:
    """The description decodes the file's tensors to these boxes (n, 4) and scores (n, classes)."""
    spec = found.match.description.spec()
    assert decodes_to(spec, computed(path, spec.outputs, shape), boxes, scores)


def anchor_boxes(grids: Sequence[tuple[Size, tuple[float, float], Sequence[tuple[float, float]]]]) -> Array:
    """Centres and sizes (n, 4) of anchors: (grid, stride along x and y, sizes) of each level."""
    found = []
    for grid, stride, sizes in grids:
        centres = cell_points(grid, stride, 0.5, len(sizes))
        found.append(np.concatenate([centres, np.tile(sizes, (math.prod(grid), 1))], axis=1))
    return np.concatenate(found).astype(np.float32)


def ssd_boxes(anchors: Array, values: Array) -> Array:
    """Corners of SSD values with the variances 0.1 and 0.2."""
    centres = anchors[:, :2] + values[:, :2] * 0.1 * anchors[:, 2:]
    return from_centres(centres, anchors[:, 2:] * np.exp(values[:, 2:] * 0.2))


def ssd_net(
    size: Size, seed: int, grids: Sequence[tuple[int, int]], classes: int, *, softmax: bool
) -> tuple[HeadNet, str, str]:
    """Scores and raw boxes of all grids, of (stride, anchors), each in one tensor of rows."""
    net = HeadNet(size, seed)
    scores, boxes = [], []
    for stride, anchors in grids:
        scores.append(net.rows(net.values(stride, anchors * (classes + 1)), classes + 1))
        boxes.append(net.rows(net.values(stride, anchors * 4), 4))
    score = net.graph.add("Concat", *scores, axis=1)
    score = net.graph.add("Softmax", score, axis=2) if softmax else score
    return net, score, net.graph.add("Concat", *boxes, axis=1)


def decoded(net: HeadNet, boxes: str, anchors: Array, size: Size, *, pixels: bool) -> str:
    """The corners that a graph computes from SSD values."""
    graph = net.graph
    unit = np.array([1, 1], np.float32) if pixels else np.array(size[::-1], np.float32)
    centre, extent = (graph.constant((part / unit)[None]) for part in (anchors[:, :2], anchors[:, 2:]))
    first = graph.add("Slice", boxes, graph.ints(0), graph.ints(2), graph.ints(2))
    last = graph.add("Slice", boxes, graph.ints(2), graph.ints(4), graph.ints(2))
    middle = graph.add("Add", graph.add("Mul", net.scaled(first, 0.1), extent), centre)
    half = net.scaled(graph.add("Mul", graph.add("Exp", net.scaled(last, 0.2)), extent), 0.5)
    return graph.add("Concat", graph.add("Sub", middle, half), graph.add("Add", middle, half), axis=2)


def ultraface_grids(size: Size) -> list[tuple[Size, tuple[float, float], list[tuple[float, float]]]]:
    sides = {8: (10, 16, 24), 16: (32, 48), 32: (64, 96), 64: (128, 192, 256)}
    grids = {stride: grid_of(size, stride) for stride in sides}
    return [
        (
            grids[stride],
            (size[1] / grids[stride][1], size[0] / grids[stride][0]),
            [(min(side, size[1]), min(side, size[0])) for side in sides[stride]],
        )
        for stride in sides
    ]


@SEEDS
@pytest.mark.parametrize("form", ["raw", "decoded"])
def test_ultraface(tmp_path: Path, seed: int, form: str) -> None:
    size = (120, 160) if seed == 1 else size_of(seed, 24)
    net, score, box = ssd_net(size, seed, [(8, 3), (16, 2), (32, 2), (64, 3)], 1, softmax=True)
    anchors = anchor_boxes(ultraface_grids(size))
    box = decoded(net, box, anchors, size, pixels=False) if form == "decoded" else box
    names = [net.output(score), net.output(box)]
    path = net.write(tmp_path, shuffled=True)
    found = found_in(path, "ultraface")
    values = computed(path, names, (1, 3, *size))
    scale = np.array([*size[::-1], *size[::-1]], np.float32)
    boxes = values[names[1]] * scale if form == "decoded" else ssd_boxes(anchors, values[names[1]])
    check(found, path, (1, 3, *size), boxes, values[names[0]][:, 1:])


@SEEDS
@pytest.mark.parametrize("pixels", [False, True])
def test_an_ssd_that_decodes_its_boxes(tmp_path: Path, seed: int, pixels: bool) -> None:
    size, classes = size_of(seed), seed + 3
    net, score, box = ssd_net(size, seed, [(16, 2), (32, 3)], classes, softmax=True)
    grids = [
        (grid_of(size, 16), (16.0, 16.0), [(20, 30)] * 2),
        (grid_of(size, 32), (32.0, 32.0), [(50, 40)] * 3),
    ]
    box = decoded(net, box, anchor_boxes(grids), size, pixels=pixels)
    names = [net.output(score), net.output(box)]
    path = net.write(tmp_path)
    found = found_in(path, "ssd-decoded")
    values = computed(path, names, (1, 3, *size))
    scale = np.array([1] * 4 if pixels else [*size[::-1], *size[::-1]], np.float32)
    check(found, path, (1, 3, *size), values[names[1]] * scale, values[names[0]][:, 1:])


def ratio_sizes(small: float, large: float, ratios: Sequence[int]) -> list[tuple[float, float]]:
    sizes = [(small, small), (math.sqrt(small * large),) * 2]
    for ratio in ratios:
        sizes += [(small * ratio**0.5, small / ratio**0.5), (small / ratio**0.5, small * ratio**0.5)]
    return sizes


SPECS = ((60, 105), (105, 150), (150, 195), (195, 240), (240, 285))
PYTORCH_SSD = [
    ((cells, cells), (stride, stride), [(min(w, 300), min(h, 300)) for w, h in ratio_sizes(*spec, (2, 3))])
    for cells, stride, spec in zip(
        (19, 10, 5, 3, 2, 1), (16, 32, 64, 100, 150, 300), (*SPECS, (285, 330)), strict=True
    )
]
CAFFE = [
    (
        (cells, cells),
        (300 / cells, 300 / cells),
        ratio_sizes(*spec, (2, 3))
        if cells < 19
        else [(60, 60), (60 * 2**0.5, 60 / 2**0.5), (60 / 2**0.5, 60 * 2**0.5)],
    )
    for cells, spec in zip((19, 10, 5, 3, 2, 1), (*SPECS, (285, 300)), strict=True)
]


def ssdlite_grids(size: Size) -> list[tuple[Size, tuple[float, float], list[tuple[float, float]]]]:
    scales = [0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0]
    found = []
    for k in range(6):
        grid = grid_of(size, 16 << k)
        shares = [(min(w, 1), min(h, 1)) for w, h in ratio_sizes(scales[k], scales[k + 1], (2, 3))]
        sizes = [(w * size[1], h * size[0]) for w, h in shares]
        found.append((grid, (size[1] / grid[1], size[0] / grid[0]), sizes))
    return found


SSD300_SCALES = (0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05)
SSD300 = [
    (
        (cells, cells),
        (step, step),
        [(min(w, 1) * 300, min(h, 1) * 300) for w, h in ratio_sizes(*SSD300_SCALES[k : k + 2], ratios)],
    )
    for k, (cells, step, ratios) in enumerate(
        [
            (38, 8, (2,)),
            (19, 16, (2, 3)),
            (10, 32, (2, 3)),
            (5, 64, (2, 3)),
            (3, 100, (2,)),
            (1, 300, (2,)),
        ]
    )
]


@pytest.mark.parametrize(
    ("family", "size", "softmax", "anchors"),
    [
        ("ssd-mobilenet", (300, 300), True, [6] * 6),
        ("ssd-mobilenet-caffe", (300, 300), True, [3, 6, 6, 6, 6, 6]),
        ("ssdlite-torchvision", (320, 320), False, [6] * 6),
        ("ssdlite-torchvision", (256, 352), False, [6] * 6),
        ("ssd300-torchvision", (300, 300), False, [4, 6, 6, 6, 4, 4]),
    ],
)
def test_ssd_anchors_by_the_published_rule(
    tmp_path: Path, family: str, size: Size, softmax: bool, anchors: list[int]
) -> None:
    classes = 5
    strides = (8, 16, 32, 64, 128, 512) if family.startswith("ssd300") else tuple(16 << k for k in range(6))
    levels = list(zip(strides, anchors, strict=True))
    net, score, box = ssd_net(size, 4, levels, classes, softmax=softmax)
    names = [net.output(score), net.output(box)]
    path = net.write(tmp_path, shuffled=True)
    found = found_in(path, family)
    values = computed(path, names, (1, 3, *size))
    raw = values[names[0]]
    shifted = np.exp(raw - raw.max(axis=1, keepdims=True))
    scores = raw if softmax else shifted / shifted.sum(axis=1, keepdims=True)
    known = {"ssd-mobilenet": PYTORCH_SSD, "ssd-mobilenet-caffe": CAFFE, "ssd300-torchvision": SSD300}
    grids = known.get(family) or ssdlite_grids(size)
    check(found, path, (1, 3, *size), ssd_boxes(anchor_boxes(grids), values[names[1]]), scores[:, 1:])


def test_two_ssds_of_equal_form_are_left_to_the_caller(tmp_path: Path) -> None:
    net, score, box = ssd_net((300, 300), 4, [(16 << k, 6) for k in range(6)], 5, softmax=False)
    net.output(score)
    net.output(box)
    path = net.write(tmp_path)
    with pytest.raises(
        UsageError, match="same form as MobileNet-SSD of pytorch-ssd at 300x300: give --preset"
    ):
        recognise(summarise(path))
    for preset in ("ssd-mobilenet", "ssdlite-torchvision"):
        found = found_in(path, preset, preset)
        assert found.match.description.scores.activation == "softmax"


@SEEDS
@pytest.mark.parametrize("free", [False, True])
def test_yunet(tmp_path: Path, seed: int, free: bool) -> None:
    size = (320, 320) if free else size_of(seed)
    net = HeadNet(size, seed)
    names = []
    for stride in (8, 16, 32):
        for activation, channels in (("Sigmoid", 1), ("Sigmoid", 1), ("", 4), ("", 10)):
            names.append(net.output(net.rows(net.values(stride, channels, activation), channels)))
    path = net.write(tmp_path, shuffled=True, free=free)
    found = found_in(path, "yunet")
    assert found.match.description.input_size == size
    assert found.match.description.class_names == ("face",)
    assert any("keypoints" in line and line.endswith("are dropped") for line in found.match.reasons)
    values = computed(path, names, (1, 3, *size))
    boxes, scores = [], []
    for number, stride in enumerate((8, 16, 32)):
        first, second, box, _ = (values[name] for name in names[4 * number : 4 * number + 4])
        points = cell_points(grid_of(size, stride), stride, 0.0)
        boxes.append(from_centres(points + box[:, :2] * stride, np.exp(box[:, 2:]) * stride))
        scores.append(np.sqrt(first * second))
    check(found, path, (1, 3, *size), np.concatenate(boxes), np.concatenate(scores))


@SEEDS
@pytest.mark.parametrize("keypoints", [False, True])
@pytest.mark.parametrize(("strides", "anchors"), [((8, 16, 32), 2), ((8, 16, 32, 64, 128), 1)])
def test_scrfd(tmp_path: Path, seed: int, keypoints: bool, strides: tuple[int, ...], anchors: int) -> None:
    size = size_of(seed)
    net = HeadNet(size, seed)
    names = []
    for stride in strides:
        names.append(net.output(net.rows(net.values(stride, anchors, "Sigmoid"), 1)))
        names.append(net.output(net.rows(net.scaled(net.values(stride, 4 * anchors), 0.8), 4)))
        if keypoints:
            net.output(net.rows(net.values(stride, 10 * anchors), 10))
    path = net.write(tmp_path, shuffled=True)
    found = found_in(path, "scrfd")
    values = computed(path, names, (1, 3, *size))
    boxes, scores = [], []
    for number, stride in enumerate(strides):
        points = cell_points(grid_of(size, stride), stride, 0.0, anchors)
        boxes.append(from_distances(points, values[names[2 * number + 1]] * stride))
        scores.append(values[names[2 * number]])
    check(found, path, (1, 3, *size), np.concatenate(boxes), np.concatenate(scores))


@pytest.mark.parametrize("joined", [False, True])
@pytest.mark.parametrize("side", [128, 256, 192])
@pytest.mark.parametrize("channels_last", [False, True])
def test_blazeface(tmp_path: Path, joined: bool, side: int, channels_last: bool) -> None:
    grids = {128: [(8, 2), (16, 6)], 256: [(16, 2), (32, 6)], 192: [(4, 1)]}[side]
    net = HeadNet((side, side), side, channels_last=channels_last)
    scores = [net.rows(net.values(stride, count), 1) for stride, count in grids]
    boxes = [net.rows(net.values(stride, 16 * count), 16) for stride, count in grids]
    if joined and len(grids) > 1:
        scores, boxes = [net.graph.add("Concat", *scores, axis=1)], [net.graph.add("Concat", *boxes, axis=1)]
    names = [net.output(value) for value in (*scores, *boxes)]
    path = net.write(tmp_path)
    found = found_in(path, "blazeface")
    shape = (1, side, side, 3) if channels_last else (1, 3, side, side)
    values = computed(path, names, shape)
    score = np.concatenate([values[name] for name in names[: len(scores)]])
    box = np.concatenate([values[name] for name in names[len(scores) :]])
    cells = [cell_points((side // stride,) * 2, stride, 0.5, count) for stride, count in grids]
    corners = from_centres(np.concatenate(cells) + box[:, :2], box[:, 2:4])
    # boxes of a negative size are dropped; the rest must be equal
    check(found, path, shape, corners, 1 / (1 + np.exp(-score)))


def declare_input(path: Path, shape: Sequence[int]) -> None:
    """Give the input of a file another shape."""
    model = onnx.load(path)
    for axis, length in zip(model.graph.input[0].type.tensor_type.shape.dim, shape, strict=True):
        axis.dim_value = length
    onnx.save(model, path)


@SEEDS
@pytest.mark.parametrize("declared", [None, (10, 3, 32, 32)])
def test_centerface(tmp_path: Path, seed: int, declared: tuple[int, ...] | None) -> None:
    size = size_of(seed)
    net = HeadNet(size, seed)
    names = [
        net.output(net.values(4, 1, "Sigmoid")),
        net.output(net.values(4, 2)),
        net.output(net.values(4, 2)),
        net.output(net.values(4, 10)),
    ]
    path = net.write(tmp_path)
    if declared:  # as the published file, which its demo runs at any size
        declare_input(path, declared)
        with pytest.raises(UsageError, match="an input of 32x32 as declared, too small to find a face"):
            recognise(summarise(path))
    found = found_in(path, "centerface", size=size)
    assert f"the keypoints {names[3]} are dropped" in found.match.reasons
    values = computed(path, names, (1, 3, *size))
    sizes, offsets = (as_rows(values[name], 2) for name in names[1:3])
    centres = cell_points(grid_of(size, 4), 4, 0.5) + offsets[:, ::-1] * 4
    boxes = from_centres(centres, np.exp(sizes[:, ::-1]) * 4)
    check(found, path, (1, 3, *size), boxes, as_rows(values[names[0]], 1))
