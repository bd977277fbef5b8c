"""Where each element of a tensor comes from: back through the operators that only move values.

The elements of every tensor that is computed otherwise get a number; the moving operators are run on the
numbers. What arrives says for every element which tensor it is from, and its position there.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from pocketdet.export.onnx_graph.graph import read_names
from pocketdet.export.onnx_graph.session import run, session
from pocketdet.export.onnx_graph.summary import OnnxSummary
from pocketdet.spec.one_stage import OutputField

Ids = NDArray[np.int64]
MOVING = frozenset(
    ("Transpose", "Reshape", "Concat", "Split", "Slice", "Squeeze", "Unsqueeze", "Flatten", "Identity")
)


@dataclass(frozen=True)
class Origin:
    """The tensors that a tensor's elements come from.

    Attributes:
        ids: of the tensor's shape; the number of each element.
        sources: names of the tensors that are not results of moving; constants have the name of theirs.
        starts: the number of the first element of each source; elements are numbered in C order.
        shapes: of the sources, with the batch axis.
    """

    ids: Ids
    sources: tuple[str, ...]
    starts: tuple[int, ...]
    shapes: tuple[tuple[int, ...], ...]

    def source_of(self, ids: Ids) -> tuple[str, ...]:
        """The names of the sources that `ids` lie in, in the order of the sources."""
        return tuple(self.sources[index] for index in np.unique(self._which(ids)))

    def segments(self, ids: Ids) -> tuple[tuple[int, int], ...]:
        """Split elements (rows, count) to ranges [first, end) of the second axis with equal sources."""
        which = self._which(ids).T
        changes = [0, *(np.nonzero((which[1:] != which[:-1]).any(axis=1))[0] + 1), len(which)]
        return tuple((int(a), int(b)) for a, b in itertools.pairwise(changes))

    def _which(self, ids: Ids) -> Ids:
        """The index of the source of each element."""
        return np.searchsorted(np.array(self.starts), ids, side="right") - 1

    def field(self, ids: Ids, grid: tuple[int, int]) -> OutputField | None:
        """Find the field that reads these elements.

        Args:
            ids: (cells, elements) of one level, cells row by row.
            grid: (height, width) in cells.

        Returns:
            The field, or None if they lie in several tensors, or not in the order of a field.
        """
        which = np.unique(self._which(ids))
        if len(which) != 1:
            return None
        name, shape = self.sources[which[0]], self.shapes[which[0]]
        local = ids - self.starts[which[0]]
        cells, elements = ids.shape
        if len(shape) == 4 and shape[2:] == grid:
            expected = np.arange(cells)[:, None] + np.arange(elements) * cells
            first, rest = divmod(int(local[0, 0]), cells)
            return OutputField(name, "map", first) if not rest and _same(local, expected) else None
        if len(shape) != 3:
            return None
        rows = np.arange(cells)[:, None] * shape[2] + np.arange(elements)
        columns = np.arange(cells)[:, None] + np.arange(elements) * shape[2]
        start, first = divmod(int(local[0, 0]), shape[2])
        if _same(local, rows):
            return OutputField(name, "rows", first, first_row=start)
        if _same(local, columns):
            return OutputField(name, "columns", start, first_row=first)
        return None


def trace(model: OnnxSummary, name: str) -> Origin:
    """Follow every element of a tensor back to where it was computed.

    Args:
        model: the file; shapes must be known.
        name: of the tensor.
    """
    nodes, sources = _moving_nodes(model, name)
    shapes = tuple(tuple(int(n) for n in model.shape_of(source)) for source in sources)
    sizes = [int(np.prod(shape)) for shape in shapes]
    starts = tuple(int(n) for n in np.cumsum([0, *sizes])[:-1])
    numbers = {
        source: np.arange(start, start + size, dtype=np.int64).reshape(shape)
        for source, start, size, shape in zip(sources, starts, sizes, shapes, strict=True)
    }
    ids = numbers[name] if name in numbers else _run_on(model, nodes, numbers, name)
    return Origin(ids, tuple(sources), starts, shapes)


def _moving_nodes(model: OnnxSummary, name: str) -> tuple[list[onnx.NodeProto], list[str]]:
    """The moving operators before a tensor, in order, and the tensors that they start from."""
    pending, seen = [name], {name}
    moving: set[int] = set()
    sources: list[str] = []
    while pending:
        current = pending.pop()
        node = model.producer_of(current)
        if node is None or node.op_type not in MOVING:
            sources.append(current)
            continue
        moving.add(id(node))
        for value in node.input if node.op_type == "Concat" else node.input[:1]:
            if value not in seen:
                seen.add(value)
                pending.append(value)
    return [node for node in model.model.graph.node if id(node) in moving], sorted(sources)


def _run_on(model: OnnxSummary, nodes: Sequence[onnx.NodeProto], numbers: dict[str, Ids], name: str) -> Ids:
    """The result `name` of the moving operators for these inputs."""
    computed = {output for node in nodes for output in node.output}
    wanted = {value for node in nodes for value in read_names(node)} - computed - set(numbers)
    graph = model.model.graph
    constants = [tensor for tensor in graph.initializer if tensor.name in wanted]
    made = [node for node in graph.node if node.op_type == "Constant" and node.output[0] in wanted]
    inputs = [helper.make_tensor_value_info(n, TensorProto.INT64, v.shape) for n, v in numbers.items()]
    output = helper.make_tensor_value_info(name, TensorProto.INT64, None)
    moved = helper.make_model(
        helper.make_graph([*made, *nodes], "moves", inputs, [output], constants),
        opset_imports=model.model.opset_import,
        ir_version=model.model.ir_version,
    )
    return run(session(moved), [name], numbers)[name]


def _same(local: Ids, expected: Ids) -> bool:
    return bool(np.array_equal(local - local[0, 0], expected))
