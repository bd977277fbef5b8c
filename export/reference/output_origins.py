"""The feature map, channel and cell that each element of an ONNX output comes from.

The graph behind an output is followed backwards through reshapes, transposes, concatenations and elementwise
operators to the feature maps (1, channels, h, w) that it is made of. Anything else ends the path: such
elements are unknown. The checks of a description use it to compare the order of rows with the levels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from pocketdet.export.onnx_graph.graph import GraphIndex, attributes_of, infer_shapes

SIGMOID, SOFTMAX, EXP, TANH, GRID = 1, 2, 4, 8, 16
"""Bits of `Origins.operators`. GRID: a constant that differs from cell to cell was added."""

_ACTIVATIONS = {"Sigmoid": SIGMOID, "HardSigmoid": SIGMOID, "Softmax": SOFTMAX, "Exp": EXP, "Tanh": TANH}
_UNARY = {*_ACTIVATIONS, "Relu", "LeakyRelu", "Clip", "Identity", "Cast", "Sqrt", "Abs", "Neg", "Dropout"}
_BINARY = {"Add", "Sub", "Mul", "Div", "Pow", "Max", "Min"}
_MOVES = {"Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Concat", "Slice", "Split", "Gather"}
_MIXES = {"Conv", "MatMul", "ReduceSum", "ReduceMean"}  # over the bins of a distribution
_LAYERS = {"Conv", "ConvTranspose", "BatchNormalization", "MaxPool", "AveragePool", "Resize", "PRelu"}

Ints = NDArray[Any]  # of the smallest type that fits: outputs may have millions of elements
Constant = NDArray[Any]
Move = Callable[[Ints], Ints]


@dataclass(frozen=True)
class FeatureMap:
    """A tensor (1, channels, h, w) that outputs are made of.

    Attributes:
        name: its name in the ONNX file.
        channels: its channels.
        grid: its (h, w).
    """

    name: str
    channels: int
    grid: tuple[int, int]


@dataclass(frozen=True)
class Origins:
    """Where the elements of a tensor come from; all arrays have its shape.

    Attributes:
        source: index into the feature maps, -1 if unknown.
        channel: channel of that map, -1 if several were combined.
        cell: `y * w + x` in that map, -1 if unknown.
        operators: bits of the operators between the map and the element.
    """

    source: Ints
    channel: Ints
    cell: Ints
    operators: Ints

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the tensor."""
        return self.source.shape

    def moved(self, move: Move) -> "Origins":
        """Apply a function that only moves elements."""
        return Origins(move(self.source), move(self.channel), move(self.cell), move(self.operators))


class OriginTracer:
    """Follows the outputs of one model; `maps` are the feature maps found so far."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.maps: list[FeatureMap] = []
        self._known: dict[str, Origins | None] = {}
        self._index = GraphIndex(model.graph)
        self._shapes = {
            name: tuple(axis if isinstance(axis, int) else 0 for axis in axes)
            for name, axes in infer_shapes(model).items()
        }

    def trace(self, output: str) -> Origins | None:
        """Where an output comes from, without its batch axis of 1; None if nothing of it is known."""
        found = self._origins(output)
        self._known.clear()  # arrays of the size of the outputs
        if found is None or found.source.ndim < 2 or len(found.source) != 1 or not (found.source >= 0).any():
            return None
        return found.moved(lambda values: values[0])

    def _origins(self, name: str) -> Origins | None:
        """The origins of a tensor, None if not even its shape is known."""
        if name not in self._known:
            node = self._index.producer(name)
            found = self._follow(node, name) if node is not None else None
            self._known[name] = found if found is not None else self._leaf(name)
        return self._known[name]

    def _follow(self, node: onnx.NodeProto, name: str) -> Origins | None:
        """The origins through a node, None if it is the end of the path."""
        kind = node.op_type
        try:
            if kind in _UNARY:
                return self._unary(node)
            if kind in _BINARY:
                return self._binary(node)
            if kind in _MOVES:
                return self._move(node, name)
            if kind in _MIXES:
                return self._mix(node, name)
        except (
            ValueError,
            IndexError,
            KeyError,
            TypeError,
        ):  # shapes or constants that are not what they should be
            return None
        return None

    def _leaf(self, name: str) -> Origins | None:
        """A feature map if a layer made the tensor; of other tensors only the shape is known."""
        shape, node = self._shapes.get(name, ()), self._index.producer(name)
        if not shape or 0 in shape:
            return None
        if node is None or node.op_type not in _LAYERS or len(shape) != 4 or shape[0] != 1:
            return _unknown(shape)
        _, channels, height, width = shape
        one = FeatureMap(name, channels, (height, width))
        if one not in self.maps:
            self.maps.append(one)
        channel = np.arange(channels, dtype=np.int32).reshape(1, -1, 1, 1)
        cell = np.arange(height * width, dtype=np.int32).reshape(1, 1, height, width)
        return Origins(
            np.full(shape, self.maps.index(one), np.int16),
            np.broadcast_to(channel, shape),
            np.broadcast_to(cell, shape),
            np.zeros(shape, np.uint8),
        )

    def _unary(self, node: onnx.NodeProto) -> Origins | None:
        found = self._origins(node.input[0])
        if found is None:
            return None
        return replace(found, operators=found.operators | _ACTIVATIONS.get(node.op_type, 0))

    def _binary(self, node: onnx.NodeProto) -> Origins | None:
        first, second = node.input
        for name, other in ((first, second), (second, first)):
            constant = self._index.constant(other)
            if constant is not None:
                found = self._origins(name)
                return found and _with_constant(found, constant, node.op_type)
        left, right = self._origins(first), self._origins(second)
        return None if left is None or right is None else _combined(left, right)

    def _move(self, node: onnx.NodeProto, name: str) -> Origins | None:
        if node.op_type == "Concat":
            parts = [self._constant_or_origins(source) for source in node.input]
            found = [part for part in parts if part is not None]
            if len(found) < len(parts):
                return None
            axis = attributes_of(node)["axis"]
            arrays = [[getattr(p, key) for p in found] for key in ("source", "channel", "cell", "operators")]
            return Origins(*(np.concatenate(values, axis) for values in arrays))
        source = self._origins(node.input[0])
        if source is None:
            return None
        constants = [self._constant(source) for source in node.input[1:] if source]
        shape = self._shapes.get(name, ())
        return source.moved(_movement(node, constants, shape, list(node.output).index(name)))

    def _constant_or_origins(self, name: str) -> Origins | None:
        constant = self._index.constant(name)
        return self._origins(name) if constant is None else _unknown(constant.shape)

    def _constant(self, name: str) -> Constant:
        """The values of a constant. Raises `KeyError` for another tensor."""
        constant = self._index.constant(name)
        if constant is None:
            raise KeyError(name)
        return constant

    def _mix(self, node: onnx.NodeProto, name: str) -> Origins | None:
        """A weighted sum over one axis of rearranged values, such as the bins of a distribution."""
        producer = self._index.producer(node.input[0])
        if producer is None or producer.op_type not in _MOVES | {"Softmax"}:
            return None
        source, shape = self._origins(node.input[0]), self._shapes.get(name, ())
        if source is None or not shape or _is_map(source):
            return None
        attributes = attributes_of(node)
        if node.op_type == "Conv":
            if any(k != 1 for k in attributes.get("kernel_shape", [1])) or source.source.ndim < 2:
                return None
            axis = 1
        elif node.op_type == "MatMul":
            axis = source.source.ndim - 1
        else:
            axes = self._constant(node.input[1]) if len(node.input) > 1 else attributes["axes"]
            axis = int(np.ravel(axes)[0]) % source.source.ndim
        kept = source.moved(lambda values: np.take(values, [0], axis))
        same = (source.cell == kept.cell).all(axis, keepdims=True) & (kept.source >= 0)
        mixed = Origins(
            np.where(same, kept.source, -1),
            np.full_like(kept.source, -1),
            np.where(same, kept.cell, -1),
            np.bitwise_or.reduce(source.operators, axis, keepdims=True),
        )
        return _fitted(mixed, shape)


def _unknown(shape: Sequence[int]) -> Origins:
    unknown = np.broadcast_to(np.int32(-1), shape)
    return Origins(unknown.astype(np.int16), unknown, unknown, np.zeros(shape, np.uint8))


def _is_map(found: Origins) -> bool:
    """Whether every channel has its cells in place, so that a layer after it makes another feature map."""
    if len(found.shape) != 4:
        return False
    height, width = found.shape[2:]
    in_place = np.arange(height * width).reshape(height, width)
    return bool((found.cell == in_place).all() and (found.source >= 0).all())


def _fitted(found: Origins, shape: Sequence[int]) -> Origins | None:
    """Origins of a reduced tensor in the shape that the graph gives it, with the axis kept, gone or wider."""
    if found.source.size == np.prod(shape):
        return found.moved(lambda values: values.reshape(shape))
    return found.moved(lambda values: np.ascontiguousarray(np.broadcast_to(values, shape)))


def _with_constant(found: Origins, constant: Constant, kind: str) -> Origins:
    """The origins after an operator with a constant, which may repeat elements."""
    shape = np.broadcast_shapes(found.shape, constant.shape)
    wide = found.moved(lambda values: np.broadcast_to(values, shape))
    if kind not in ("Add", "Sub") or not _differs_by_cell(wide, np.broadcast_to(constant, shape)):
        return wide
    return replace(wide, operators=wide.operators | GRID)


def _differs_by_cell(found: Origins, constant: Constant) -> bool:
    """Whether a constant has several values for one channel of a map."""
    known = (found.source >= 0) & (found.channel >= 0)
    if known.any():
        values = constant[known]
        channels = found.source[known].astype(np.int64) << 32 | found.channel[known]
        order = np.lexsort((values, channels))
        same = np.diff(channels[order]) == 0
        return bool((same & (np.diff(values[order]) != 0)).any())
    for axis in range(constant.ndim):  # combined channels: along an axis on which the cell changes
        one, two = (slice(None),) * axis + (slice(1, None),), (slice(None),) * axis + (slice(None, -1),)
        if ((found.cell[one] != found.cell[two]) & (constant[one] != constant[two])).any():
            return True
    return False


def _combined(left: Origins, right: Origins) -> Origins:
    """The origins of a function of two tensors, such as a class score times objectness."""
    shape = np.broadcast_shapes(left.shape, right.shape)
    if left.shape != shape and right.shape == shape:
        left, right = right, left
    left, right = (x.moved(lambda values: np.broadcast_to(values, shape)) for x in (left, right))
    known, other = left.source >= 0, right.source >= 0
    same = known & (left.cell == right.cell) | ~other
    one = same & ((left.channel == right.channel) & (left.source == right.source) | ~other)
    return Origins(
        np.where(same, left.source, -1),
        np.where(one, left.channel, -1),
        np.where(same, left.cell, -1),
        left.operators | right.operators,
    )


def _movement(node: onnx.NodeProto, constants: Sequence[Constant], shape: Sequence[int], index: int) -> Move:
    """The numpy function of a node that moves elements; `shape` and `index` are those of its output."""
    kind, attributes = node.op_type, attributes_of(node)
    if kind == "Transpose":
        return lambda values: values.transpose(attributes.get("perm"))
    if kind == "Gather":
        return lambda values: np.take(values, constants[0], attributes.get("axis", 0))
    if kind == "Slice":
        older = [np.array(attributes[n]) for n in ("starts", "ends", "axes") if n in attributes]
        return lambda values: np.asarray(values[_slices(values.ndim, *(constants or older))])
    if kind == "Split":
        axis = attributes.get("axis", 0)
        sizes = attributes.get("split") if not constants else constants[0]
        if sizes is None:
            count = attributes.get("num_outputs", len(node.output))
            return lambda values: np.array_split(values, count, axis)[index]
        return lambda values: np.split(values, np.cumsum(sizes)[:-1], axis)[index]
    if not shape or 0 in shape:
        raise ValueError("unknown shape")
    return lambda values: values.reshape(shape)  # Reshape, Flatten, Squeeze, Unsqueeze


def _slices(
    ndim: int, starts: Constant, ends: Constant, axes: Constant | None = None, steps: Constant | None = None
) -> tuple[slice, ...]:
    found = [slice(None)] * ndim
    axes = np.arange(len(starts)) if axes is None else axes
    steps = np.ones(len(starts), np.int64) if steps is None else steps
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        backwards = step < 0 and end < -(2**31)
        found[int(axis)] = slice(int(start), None if backwards else int(end), int(step))
    return tuple(found)
