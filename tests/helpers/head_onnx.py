"""Small ONNX graphs with the heads of published detectors: random weights, a few channels, 64 x 64 pixels."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

SIDE = 64
STRIDES = (8, 16, 32)
WIDTH = 8


class HeadGraph:
    """A graph that is written node by node; the input is "images" (1, 3, side, side)."""

    def __init__(self, side: int = SIDE, seed: int = 3) -> None:
        self.side = side
        self._random = np.random.default_rng(seed)
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def constant(self, values: NDArray[Any] | Sequence[int] | int | float) -> str:
        """A constant; signed whole numbers are int64, floating-point numbers float32."""
        array = np.asarray(values)
        if array.dtype.kind in "if":
            array = array.astype(np.int64 if array.dtype.kind == "i" else np.float32)
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(array, name))
        return name

    def add(self, kind: str, *inputs: str, outputs: int = 1, **attributes: object) -> Any:
        """A node; the name of its output, or the names of its outputs."""
        names = [f"{kind.lower()}_{len(self._nodes)}_{i}" for i in range(outputs)]
        self._nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def convolution(self, x: str, channels: int, out: int, kernel: int = 1, stride: int = 1) -> str:
        weight = self._random.normal(0, (2 / (channels * kernel**2)) ** 0.5, (out, channels, kernel, kernel))
        bias = self._random.normal(0, 0.5, out)
        return str(
            self.add(
                "Conv",
                x,
                self.constant(weight),
                self.constant(bias),
                kernel_shape=[kernel, kernel],
                pads=[kernel // 2] * 4,
                strides=[stride, stride],
            )
        )

    def features(self) -> list[str]:
        """Maps (1, WIDTH, h, w) of strides 8, 16 and 32."""
        x, channels, maps = "images", 3, []
        for _ in range(5):
            x, channels = self.add("Relu", self.convolution(x, channels, WIDTH, 3, 2)), WIDTH
            maps.append(x)
        return maps[2:]

    def reshape(self, x: str, *shape: int) -> str:
        return str(self.add("Reshape", x, self.constant(shape)))

    def split(self, x: str, *lengths: int) -> list[str]:
        """Parts of the last of five axes; those of length 0 are left out."""
        kept = [length for length in lengths if length]
        if len(kept) == 1:
            return [x]
        return list(self.add("Split", x, self.constant(kept), outputs=len(kept), axis=4))

    def output(self, value: str, name: str, *shape: int) -> None:
        """Make a value an output of this name and shape."""
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))

    def write(self, path: Path, metadata: dict[str, str] | None = None) -> Path:
        """Write the file, with `metadata_props`."""
        source = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, self.side, self.side])
        graph = helper.make_graph(self._nodes, "head", [source], self._outputs, self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        helper.set_model_props(model, metadata or {})
        onnx.checker.check_model(model)
        onnx.save(model, path)
        return path

    def cells(self) -> list[int]:
        """The number of cells of each level."""
        return [(self.side // stride) ** 2 for stride in STRIDES]

    def centres(self, offset: float = 0.5) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The centres (1, 2, cells) of all cells in strides, and their strides (1, 1, cells)."""
        points, strides = [], []
        for stride in STRIDES:
            n = self.side // stride
            y, x = np.meshgrid(np.arange(n), np.arange(n), indexing="ij")
            points.append(np.stack([x.ravel(), y.ravel()]) + offset)
            strides.append(np.full(n * n, stride))
        return (
            np.concatenate(points, axis=1)[None].astype(np.float32),
            np.concatenate(strides)[None, None].astype(np.float32),
        )


def distance_boxes(graph: HeadGraph, maps: Sequence[str], bins: int, *, corners: bool) -> str:
    """Maps (1, 4 * bins, h, w) of distances -> decoded boxes (1, 4, cells) in pixels."""
    total = sum(graph.cells())
    joined = graph.add("Concat", *(graph.reshape(m, 1, 4 * bins, -1) for m in maps), axis=2)
    if bins > 1:
        parts = graph.add("Transpose", graph.reshape(joined, 1, 4, bins, total), perm=[0, 2, 1, 3])
        weights = graph.add("Softmax", parts, axis=1)
        project = graph.constant(np.arange(bins, dtype=np.float32).reshape(1, bins, 1, 1))
        joined = graph.add("Conv", weights, project, kernel_shape=[1, 1])
        joined = graph.reshape(joined, 1, 4, total)
    points, strides = (graph.constant(values) for values in graph.centres())
    near, far = graph.add("Split", joined, graph.constant([2, 2]), outputs=2, axis=1)
    first, last = graph.add("Sub", points, near), graph.add("Add", points, far)
    if not corners:
        centre = graph.add("Div", graph.add("Add", first, last), graph.constant(2.0))
        first, last = centre, graph.add("Sub", last, first)
    return str(graph.add("Mul", graph.add("Concat", first, last, axis=1), strides))


def ultralytics(
    path: Path,
    *,
    classes: int = 3,
    bins: int = 4,
    extra: int = 0,
    end_to_end: bool = False,
    metadata: dict[str, str] | None = None,
) -> Path:
    """Decoded boxes and scores (1, 4 + classes + extra, cells), or the best 20 as (1, 20, 6)."""
    graph = HeadGraph()
    features = graph.features()
    boxes = [graph.convolution(x, WIDTH, 4 * bins) for x in features]
    scores = [graph.convolution(x, WIDTH, classes) for x in features]
    total = sum(graph.cells())
    flat = graph.add("Concat", *(graph.reshape(s, 1, classes, -1) for s in scores), axis=2)
    joined = [distance_boxes(graph, boxes, bins, corners=end_to_end), graph.add("Sigmoid", flat)]
    if extra:
        masks = [graph.convolution(x, WIDTH, extra) for x in features]
        joined.append(graph.add("Concat", *(graph.reshape(m, 1, extra, -1) for m in masks), axis=2))
        graph.output(features[0], "protos", 1, WIDTH, 8, 8)
    out = graph.add("Concat", *joined, axis=1)
    if not end_to_end:
        graph.output(out, "output0", 1, 4 + classes + extra, total)
        return graph.write(path, metadata)
    rows = graph.add("Transpose", out, perm=[0, 2, 1])
    corner, score = graph.add("Split", rows, graph.constant([4, classes]), outputs=2, axis=2)
    best = graph.add("ReduceMax", score, axes=[2], keepdims=0)
    values, index = graph.add("TopK", best, graph.constant([20]), outputs=2, axis=1)
    index3 = graph.add("Unsqueeze", index, graph.constant([2]))
    tiled = graph.add("Expand", index3, graph.constant([1, 20, 4]))
    chosen = graph.add("GatherElements", corner, tiled, axis=1)
    values3 = graph.add("Unsqueeze", values, graph.constant([2]))
    graph.output(graph.add("Concat", chosen, values3, values3, axis=2), "output0", 1, 20, 6)
    return graph.write(path, metadata)


def ultralytics_raw(path: Path, *, joined: bool, metadata: dict[str, str] | None = None) -> Path:
    """Maps of 64 distance channels and 3 classes for each level, joined to one map or apart."""
    graph = HeadGraph()
    for number, (x, stride) in enumerate(zip(graph.features(), STRIDES, strict=True)):
        side = SIDE // stride
        boxes, scores = graph.convolution(x, WIDTH, 64), graph.convolution(x, WIDTH, 3)
        if joined:
            graph.output(graph.add("Concat", boxes, scores, axis=1), f"out{number}", 1, 67, side, side)
        else:
            graph.output(boxes, f"box{number}", 1, 64, side, side)
            graph.output(scores, f"cls{number}", 1, 3, side, side)
    return graph.write(path, metadata)


def yolox(path: Path, *, classes: int = 3, decoded: bool = False) -> Path:
    """Rows (1, cells, 5 + classes): raw or decoded boxes, objectness, classes."""
    graph = HeadGraph()
    levels = []
    for x in graph.features():
        boxes = graph.convolution(x, WIDTH, 4)
        objectness = graph.add("Sigmoid", graph.convolution(x, WIDTH, 1))
        scores = graph.add("Sigmoid", graph.convolution(x, WIDTH, classes))
        joined = graph.add("Concat", boxes, objectness, scores, axis=1)
        levels.append(graph.reshape(joined, 1, 5 + classes, -1))
    columns = graph.add("Concat", *levels, axis=2)
    if decoded:
        points, strides = (graph.constant(values) for values in graph.centres(0.0))
        centre, size, rest = graph.add(
            "Split", columns, graph.constant([2, 2, 1 + classes]), outputs=3, axis=1
        )
        centre = graph.add("Mul", graph.add("Add", centre, points), strides)
        size = graph.add("Mul", graph.add("Exp", size), strides)
        columns = graph.add("Concat", centre, size, rest, axis=1)
    rows = graph.add("Transpose", columns, perm=[0, 2, 1])
    graph.output(rows, "output", 1, sum(graph.cells()), 5 + classes)
    return graph.write(path)


def yolov6(path: Path, *, classes: int = 3, constant: float = 1.0) -> Path:
    """Rows (1, cells, 5 + classes): decoded boxes, a constant, classes."""
    graph = HeadGraph()
    features = graph.features()
    boxes = distance_boxes(graph, [graph.convolution(x, WIDTH, 4) for x in features], 1, corners=False)
    scores = [
        graph.reshape(graph.add("Sigmoid", graph.convolution(x, WIDTH, classes)), 1, classes, -1)
        for x in features
    ]
    total = sum(graph.cells())
    ones = graph.constant(np.full((1, total, 1), constant, np.float32))
    columns = [boxes, graph.add("Concat", *scores, axis=2)]
    first, last = (graph.add("Transpose", x, perm=[0, 2, 1]) for x in columns)
    graph.output(graph.add("Concat", first, ones, last, axis=2), "outputs", 1, total, 5 + classes)
    return graph.write(path)


ANCHORS = (
    ((10, 13), (16, 30), (33, 23)),
    ((30, 61), (62, 45), (59, 119)),
    ((116, 90), (156, 198), (373, 326)),
)


def yolov5(path: Path, *, classes: int = 3, raw: int = 0, gain: float = 2.0, masks: int = 0) -> Path:
    """Rows (1, 3 * cells, 5 + classes + masks), anchors outermost; or raw maps of `raw` axes, 4 or 5."""
    graph = HeadGraph()
    channels = 5 + classes + masks
    levels = []
    for number, (x, stride) in enumerate(zip(graph.features(), STRIDES, strict=True)):
        n = SIDE // stride
        values = graph.convolution(x, WIDTH, 3 * channels)
        if raw == 4:
            graph.output(values, f"out{number}", 1, 3 * channels, n, n)
            continue
        values = graph.add("Transpose", graph.reshape(values, 1, 3, channels, n, n), perm=[0, 1, 3, 4, 2])
        if raw == 5:
            graph.output(values, f"out{number}", 1, 3, n, n, channels)
            continue
        y, x_ = np.meshgrid(np.arange(n), np.arange(n), indexing="ij")
        grid = graph.constant((np.stack([x_, y], axis=2) - 0.5).astype(np.float32)[None, None])
        sizes = graph.constant(np.array(ANCHORS[number], np.float32).reshape(1, 3, 1, 1, 2))
        values, *coefficients = graph.split(values, 5 + classes, masks)
        xy, wh, rest = graph.split(graph.add("Sigmoid", values), 2, 2, 1 + classes)
        moved = graph.add("Add", graph.add("Mul", xy, graph.constant(gain)), grid)
        centre = graph.add("Mul", moved, graph.constant(float(stride)))
        doubled = graph.add("Mul", wh, graph.constant(2.0))
        size = graph.add("Mul", graph.add("Mul", doubled, doubled), sizes)
        level = graph.add("Concat", centre, size, rest, *coefficients, axis=4)
        levels.append(graph.reshape(level, 1, 3 * n * n, channels))
    if not raw:
        total = 3 * sum(graph.cells())
        graph.output(graph.add("Concat", *levels, axis=1), "output", 1, total, channels)
    return graph.write(path)
