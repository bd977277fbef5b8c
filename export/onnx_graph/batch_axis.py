"""Carry the batch axis through the end of a graph that drops it.

Files made for one image take it away by Reshape or Squeeze, and compute on (n, channels). ncnn has no batch
axis either, but pnnx takes the first axis that it sees for one. The nodes between the place where the axis is
dropped and the output are rebuilt with the axis; nodes that are not known get it back behind them.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from pocketdet.export.onnx_graph.graph import GraphIndex, attributes_of

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
