"""Bring every output to a batch axis of 1 and two or three axes behind it.

Descriptions know maps (channels, h, w), rows (n, channels) and columns (channels, n). Files have more forms:

- without a batch axis, (n, channels) or (channels, h, w): a batch axis is put before it;
- anchors and their values as axes of their own: (1, anchors, values, h, w) and (1, anchors, h, w, values)
  become a map (1, anchors * values, h, w); (1, h, w, anchors, values) becomes rows
  (1, h * w * anchors, values).

The axes of the grid are the neighbours that the input's size divided by one stride gives.

Files made for one image take the batch axis away by Reshape or Squeeze, and compute on (n, channels). ncnn
has no batch axis either, but pnnx takes the first axis that it sees for one. `BatchAxis` rebuilds the nodes
between the place where the axis is dropped and the output; nodes that are not known get it back behind them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from pocketdet.errors import UsageError
from pocketdet.export.onnx_graph.graph import GraphIndex, attributes_of, rename_reads
from pocketdet.export.onnx_graph.image_input import Size

_UNARY = {
    "Abs", "Clip", "Elu", "Exp", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Log", "Neg", "Pow",
    "Relu", "Sigmoid", "Sqrt", "Tanh",
}  # fmt: skip
_BINARY = {"Add", "Div", "Max", "Min", "Mul", "Sub"}
_ALONG_AXIS = {"Concat", "Softmax", "LogSoftmax"}


class BatchAxis:
    """Rebuilds tensors without a batch axis as tensors with one, (1, ...).

    Args:
        graph: nodes and constants are added to it; the old ones stay, for a later simplification to drop.
        shapes: the shape of every tensor.
    """

    def __init__(self, graph: onnx.GraphProto, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self._graph, self._shapes = graph, shapes
        self._index = GraphIndex(graph)
        self._nodes: list[onnx.NodeProto] = []
        self._done: dict[str, str] = {}

    def restore(self, name: str) -> str:
        """The name of a tensor with the values of `name` and a batch axis of 1 before its axes."""
        if name not in self._done:
            self._done[name] = self._rebuild(name, self._index.producer(name))
        return self._done[name]

    def finish(self) -> None:
        """Add the nodes to the graph, behind all others."""
        self._graph.node.extend(self._nodes)
        self._nodes.clear()

    def _rebuild(self, name: str, node: onnx.NodeProto | None) -> str:
        kind = "" if node is None else node.op_type
        if node is None or len(node.output) != 1 or node.domain not in ("", "ai.onnx"):
            return self._reshaped(name, name)
        if kind in ("Reshape", "Squeeze", "Flatten", "Unsqueeze"):
            return self._reshaped(name, node.input[0])
        rank = len(self._shapes[name])
        attributes = attributes_of(node)
        if kind == "Transpose":
            old = attributes.get("perm", range(rank)[::-1])
            attributes["perm"] = [0, *(axis + 1 for axis in old)]
            return self._copy(name, node, [self.restore(node.input[0])], attributes)
        if kind in _UNARY:
            return self._copy(name, node, [self.restore(node.input[0]), *node.input[1:]], attributes)
        if kind in _BINARY and all(self._fits(source, rank) for source in node.input):
            inputs = [one if self._is_constant(one) else self.restore(one) for one in node.input]
            return self._copy(name, node, inputs, attributes)
        if kind in _ALONG_AXIS and "axis" in attributes:
            attributes["axis"] = attributes["axis"] % rank + 1
            inputs = [self.restore(source) for source in node.input]
            return self._copy(name, node, inputs, attributes)
        return self._reshaped(name, name)

    def _fits(self, name: str, rank: int) -> bool:
        """Whether an operand broadcasts in the same way when the result has one axis more."""
        return self._is_constant(name) or len(self._shapes.get(name, ())) == rank

    def _is_constant(self, name: str) -> bool:
        return self._index.constant(name) is not None

    def _copy(self, name: str, node: onnx.NodeProto, inputs: list[str], attributes: Mapping[str, Any]) -> str:
        target = f"{name}/with batch axis"
        self._nodes.append(helper.make_node(node.op_type, inputs, [target], **attributes))
        return target

    def _reshaped(self, name: str, source: str) -> str:
        target = f"{name}/with batch axis"
        shape = numpy_helper.from_array(np.array((1, *self._shapes[name]), np.int64), f"{target}/shape")
        self._graph.initializer.append(shape)
        self._nodes.append(helper.make_node("Reshape", [source, shape.name], [target]))
        return target


Shape = tuple[int, ...]


@dataclass(frozen=True)
class OutputForm:
    """How an output is brought to its normal form.

    Attributes:
        shape: the normal form, with a batch axis of 1.
        permutation: of the axes, the batch axis included, before the reshape; None for none.
    """

    shape: Shape
    permutation: tuple[int, ...] | None = None


def output_form(name: str, shape: Shape, size: Size) -> OutputForm:
    """Find the normal form of an output.

    Args:
        name: of the output, for the error.
        shape: as the file computes it for one image.
        size: (height, width) of the input in pixels.

    Raises:
        UsageError: if the output has another number of axes, or no grid is found in five axes.
    """
    batched = shape if shape[:1] == (1,) else (1, *shape)
    if len(batched) in (3, 4) or (shape[:1] == (1,) and len(shape) == 2):
        return OutputForm(batched)
    if len(batched) != 5:
        raise UsageError(
            f"output {name!r} is {shape}: expected two to five axes, a map, rows or columns; "
            "name a tensor before it"
        )
    places = [axis for axis in (1, 2, 3) if _is_grid(batched[axis : axis + 2], size)]
    if len(places) != 1:
        found = "no two neighbours" if not places else "more than one pair"
        raise UsageError(
            f"output {name!r} is {shape}: {found} of its axes can be the grid of an input of "
            f"{size[0]} x {size[1]} pixels; name the tensor before its last Reshape or Transpose instead"
        )
    _, a, b, c, d = batched
    if places == [1]:
        return OutputForm((1, a * b * c, d))
    if places == [2]:
        return OutputForm((1, a * d, b, c), (0, 1, 4, 2, 3))
    return OutputForm((1, a * b, c, d))


def normalise_outputs(
    model: onnx.ModelProto, shapes: Mapping[str, Shape], size: Size
) -> dict[str, tuple[Shape, Shape]]:
    """Bring the outputs of a graph to their normal form; they keep their names.

    Args:
        model: the graph; it is changed. Nodes that are no longer needed stay, without consumers.
        shapes: the shape of every tensor that is known.
        size: (height, width) of the input in pixels.

    Returns:
        The shape before and after of each output that changed.

    Raises:
        UsageError: as `output_form`.
    """
    graph = model.graph
    forms = {output.name: output_form(output.name, shapes[output.name], size) for output in graph.output}
    changed = {name: form for name, form in forms.items() if form.shape != shapes[name]}
    before = {name: f"{name}/as in the file" for name in changed}
    for name, inner in before.items():
        _rename(graph, name, inner)
    known = {**shapes, **{inner: shapes[name] for name, inner in before.items()}}
    batch = BatchAxis(graph, known)
    nodes: list[onnx.NodeProto] = []
    for name, form in changed.items():
        inner = before[name]
        batched = inner if known[inner][0] == 1 else batch.restore(inner)
        nodes += _form_nodes(graph, name, batched, form)
    batch.finish()
    graph.node.extend(nodes)
    for output in graph.output:
        if output.name in changed:
            shape = changed[output.name].shape
            output.CopyFrom(helper.make_tensor_value_info(output.name, onnx.TensorProto.FLOAT, shape))
    return {name: (shapes[name], form.shape) for name, form in changed.items()}


def _is_grid(sides: Shape, size: Size) -> bool:
    """Whether two axes are the grid of a stride of 2, 4, ..., 128 pixels, rounded up or down."""
    return any(
        all(p // stride <= cells <= -(-p // stride) for p, cells in zip(size, sides, strict=True))
        for stride in (2**power for power in range(1, 8))
    )


def _rename(graph: onnx.GraphProto, old: str, new: str) -> None:
    rename_reads(graph, old, new)
    for node in graph.node:
        node.output[:] = [new if name == old else name for name in node.output]


def _form_nodes(graph: onnx.GraphProto, name: str, source: str, form: OutputForm) -> list[onnx.NodeProto]:
    """The nodes that bring a tensor with a batch axis to `form`, under `name`."""
    nodes = []
    if form.permutation is not None:
        turned = f"{name}/channels first"
        nodes.append(helper.make_node("Transpose", [source], [turned], perm=form.permutation))
        source = turned
    shape = numpy_helper.from_array(np.array(form.shape, np.int64), f"{name}/shape")
    graph.initializer.append(shape)
    return [*nodes, helper.make_node("Reshape", [source, shape.name], [name])]
