"""Random one-stage heads as small ONNX files, each with its correct description as a JSON document."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

HEIGHT, WIDTH = 64, 96  # not square, so that a transposed map shows
Document = dict[str, Any]


@dataclass(frozen=True)
class Head:
    """The form of a head.

    Attributes:
        strides: of the levels, in the order of the rows.
        layout: of all outputs.
        joined: whether boxes, objectness and classes of a level are one tensor.
        anchors: per cell.
        objectness: whether there is one.
        background: its position, with a softmax; "none" for sigmoids.
        active: whether the graph contains the activations of the scores.
        boxes: "raw", or decoded by the graph to corners in "pixel" or "input" units.
        classes: without background.
        extra: channels of a keypoint branch that no field reads.
        outermost: whether the rows of the first anchor of all cells come before those of the next.
        shared: whether one convolution gives all values of a level, which the graph takes apart.
    """

    strides: tuple[int, ...]
    layout: str
    joined: bool
    anchors: int
    objectness: bool
    background: str
    active: bool
    boxes: str
    classes: int
    extra: int
    outermost: bool
    shared: bool = False

    @property
    def parts(self) -> dict[str, int]:
        """Elements per anchor by kind of values, in the order of the channels."""
        parts = {"boxes": 4, "objectness": 1, "classes": self.classes + (self.background != "none")}
        if not self.objectness:
            del parts["objectness"]
        return parts | ({"keypoints": self.extra} if self.extra and self.joined else {})

    def grid(self, stride: int) -> tuple[int, int]:
        """The cells (h, w) of a level."""
        return HEIGHT // stride, WIDTH // stride


@st.composite
def heads(draw: st.DrawFn) -> Head:
    """Every kind of head that the fields allow."""
    levels = draw(st.integers(1, 3))
    strides = tuple(draw(st.permutations((8, 16, 32)))[:levels])
    layout = draw(st.sampled_from(["map", "rows", "columns"]))
    decoded = layout != "map" and draw(st.booleans())
    objectness = draw(st.booleans())
    anchors = draw(st.integers(1, 3))
    return Head(
        strides,
        layout,
        joined=draw(st.booleans()),
        anchors=anchors,
        objectness=objectness,
        background="none" if objectness else draw(st.sampled_from(["none", "first", "last"])),
        active=draw(st.booleans()),
        boxes=draw(st.sampled_from(["pixel", "input"])) if decoded else "raw",
        classes=draw(st.integers(2, 4)),
        extra=draw(st.sampled_from([0, 0, 6])),
        outermost=layout != "map" and anchors > 1 and draw(st.booleans()),
        shared=draw(st.booleans()),
    )


class _Graph:
    """An ONNX graph under construction."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, values: Any, kind: Any = np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def conv(self, source: str, out: int, bias: Any) -> str:
        weight = self.rng.normal(0, 0.7, (out, 3, 1, 1))
        return self.add("Conv", source, self.constant(weight), self.constant(np.resize(bias, out)))

    def reshape(self, source: str, *shape: int) -> str:
        return self.add("Reshape", source, self.constant(shape, np.int64))


def write_head(head: Head, folder: Path, seed: int = 0) -> tuple[Path, Document]:
    """Write `head.onnx`, and return it with its description."""
    graph = _Graph(seed)
    tensors: dict[str, list[str]] = {}
    for stride in head.strides:
        pooled = graph.add("AveragePool", "image", kernel_shape=[stride] * 2, strides=[stride] * 2)
        raw = _raw_parts(graph, head, pooled, stride)
        parts = {kind: _part(graph, head, kind, value, stride) for kind, value in raw.items()}
        if head.joined:
            tensors.setdefault("all", []).append(graph.add("Concat", *parts.values(), axis=2))
        else:
            for kind, name in parts.items():
                tensors.setdefault(kind, []).append(name)
    outputs: dict[str, list[int]] = {}
    for kind, levels in tensors.items():
        outputs |= _finished(graph, head, kind, levels)
    source = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, HEIGHT, WIDTH])
    targets = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n, shape in outputs.items()]
    proto = helper.make_graph(graph.nodes, "head", [source], targets, graph.constants)
    path = folder / "head.onnx"
    onnx.save(helper.make_model(proto, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path, _document(head)


def _raw_parts(graph: _Graph, head: Head, pooled: str, stride: int) -> dict[str, str]:
    """The values of a level by kind, (1, anchors, count, cells)."""
    height, width = head.grid(stride)
    biases = {kind: [0.0] * count for kind, count in head.parts.items()}
    biases["classes"] = [-1.0] * head.parts["classes"]
    if head.background != "none":
        biases["classes"][0 if head.background == "first" else -1] = 9.0
    if not head.shared:
        return {
            kind: graph.reshape(
                graph.conv(pooled, head.anchors * len(bias), bias), 1, head.anchors, len(bias), height * width
            )
            for kind, bias in biases.items()
        }
    every = [value for bias in biases.values() for value in bias]
    value = graph.conv(pooled, head.anchors * len(every), every)
    value = graph.reshape(value, 1, head.anchors, len(every), height * width)
    names = [f"{value}_{kind}" for kind in biases]
    sizes = graph.constant([len(bias) for bias in biases.values()], np.int64)
    graph.nodes.append(helper.make_node("Split", [value, sizes], names, axis=2))
    return dict(zip(biases, names, strict=True))


def _part(graph: _Graph, head: Head, kind: str, value: str, stride: int) -> str:
    """One kind of values of a level, with what the graph does to them."""
    height, width = head.grid(stride)
    if head.active and kind == "classes":
        softmax = head.background != "none"
        value = graph.add("Softmax", value, axis=2) if softmax else graph.add("Sigmoid", value)
    if head.active and kind == "objectness":
        value = graph.add("Sigmoid", value)
    if kind == "boxes" and head.boxes != "raw":
        y, x = np.divmod(np.arange(height * width), width) * np.array(stride) + stride / 2
        corners = np.stack([x - stride, y - stride, x + stride, y + stride])[None, None]
        value = graph.add("Add", value, graph.constant(corners))
        if head.boxes == "input":
            sides = np.array([WIDTH, HEIGHT, WIDTH, HEIGHT]).reshape(1, 1, 4, 1)
            value = graph.add("Div", value, graph.constant(sides))
    return value


def _finished(graph: _Graph, head: Head, kind: str, levels: list[str]) -> dict[str, list[int]]:
    """The outputs of one kind with their shapes: a map for each level, or one tensor of rows or columns."""
    count = sum(head.parts.values()) if kind == "all" else head.parts[kind]
    if head.layout == "map":
        shapes = {}
        for number, (stride, value) in enumerate(zip(head.strides, levels, strict=True)):
            shape = [1, head.anchors * count, *head.grid(stride)]
            wanted = graph.constant(shape, np.int64)
            graph.nodes.append(helper.make_node("Reshape", [value, wanted], [f"{kind}_{number}"]))
            shapes[f"{kind}_{number}"] = shape
        return shapes
    # (1, anchors, count, cells) to rows: anchors innermost, or outermost
    perm = [0, 1, 3, 2] if head.outermost else [0, 3, 1, 2]
    rows = [graph.reshape(graph.add("Transpose", v, perm=perm), 1, -1, count) for v in levels]
    joined = graph.add("Concat", *rows, axis=1)
    order = [0, 1, 2] if head.layout == "rows" else [0, 2, 1]
    graph.nodes.append(helper.make_node("Transpose", [joined], [kind], perm=order))
    total = sum(height * width for height, width in map(head.grid, head.strides)) * head.anchors
    return {kind: [1, total, count] if head.layout == "rows" else [1, count, total]}


def _document(head: Head) -> Document:
    total = sum(head.parts.values())
    starts = dict(zip(head.parts, np.cumsum([0, *head.parts.values()])[:-1].tolist(), strict=True))
    levels = []
    for number, stride in enumerate(head.strides):
        level: Document = {"stride": stride, "layout": head.layout}
        level["anchors"] = [[stride * (1.0 + a), stride * 1.5] for a in range(head.anchors)]
        height, width = head.grid(stride)
        for kind in ("boxes", "objectness", "classes"):
            if kind not in head.parts:
                continue
            name = "all" if head.joined else kind
            field: Document = {"first": starts[kind] if head.joined else 0, "output": name}
            if head.layout == "map":
                field["output"] = f"{name}_{number}"
                field["anchor_channels"] = total if head.joined else head.parts[kind]
            if head.outermost:
                field |= {"cell_step": 1, "anchor_step": height * width}
            level[kind] = field
        levels.append(level)
    raw = {"encoding": "distance", "activation": "relu"}
    softmax = head.background != "none"
    return {
        "input_size": [HEIGHT, WIDTH],
        "class_names": [f"class {i}" for i in range(head.classes)],
        "levels": levels,
        "codings": [raw if head.boxes == "raw" else {"encoding": "xyxy", "unit": head.boxes}],
        "scores": {
            "activation": "none" if head.active else "softmax" if softmax else "sigmoid",
            "background": head.background,
            "objectness_activation": "none" if head.active else "sigmoid",
            "objectness_power": float(head.objectness),
        },
        "preprocessing": {"mean": [123.7, 116.3, 103.5], "std": [58.4, 57.1, 57.4]},
    }
