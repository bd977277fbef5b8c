"""How the values of a head's tensor are computed: which channels, by which activation, from a convolution.

An output is followed back through operators that only move values, so that a family is recognised by what its
channels are, whatever the exporter calls them and however it reshapes them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from pocketdet.export.families.grids import HeadTensor
from pocketdet.export.onnx_graph.graph import GraphIndex, attributes_of
from pocketdet.export.onnx_graph.summary import OnnxSummary

# "raw": a convolution's values, perhaps times a constant; "exp": their exponential; "computed": any other
Kind = Literal["raw", "exp", "sigmoid", "softmax", "computed"]

_MOVES = frozenset(("Cast", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze"))
_MOVES |= frozenset(("Transpose", "Unsqueeze"))
_SOURCES = frozenset(("Conv", "ConvTranspose", "Gemm", "MatMul"))


@dataclass(frozen=True)
class HeadPart:
    """Channels of a tensor that are computed in one way.

    Attributes:
        channels: their number.
        kind: how their values are computed.
    """

    channels: int
    kind: Kind


def head_parts(model: OnnxSummary, name: str, channels: int) -> tuple[HeadPart, ...]:
    """The parts of a tensor, in the order of its channels.

    Args:
        model: the file.
        name: a tensor that holds the values of one or several grids, with all channels of each anchor.
        channels: the number of its channels.

    Returns:
        One part for each tensor that a Concat joins along the channels; tensors that a Concat joins along the
        anchors have equal parts, else the whole is one "computed" part.
    """
    node = _past_moves(model.index, name)
    if node is None or node.op_type != "Concat":
        return (_part(model, name, channels),)
    lengths = _joined_lengths(model, node)
    if lengths is not None and sum(lengths) == channels:
        inputs = zip(node.input, lengths, strict=True)
        return tuple(part for source, length in inputs for part in head_parts(model, source, length))
    found = {head_parts(model, source, channels) for source in node.input}
    return found.pop() if len(found) == 1 else (HeadPart(channels, "computed"),)


def part_kinds(model: OnnxSummary, tensors: Iterable[HeadTensor]) -> dict[str, tuple[Kind, ...]]:
    """How the parts of each tensor are computed, by its name."""
    return {t.name: tuple(part.kind for part in head_parts(model, t.name, t.channels)) for t in tensors}


def level_tensors(model: OnnxSummary, name: str) -> tuple[str, ...]:
    """The tensors that a Concat joins to `name`, or `name` itself."""
    node = _past_moves(model.index, name)
    return tuple(node.input) if node is not None and node.op_type == "Concat" else (name,)


def file_factors(model: OnnxSummary, name: str) -> tuple[float, ...]:
    """The constants that the file multiplies the last channels of a tensor by; 1 where there is none.

    Simplification may have folded a product into the convolution before it, so the graph is looked at as the
    file has it.

    Args:
        model: the file.
        name: an output.

    Returns:
        One for each tensor that a Concat joins along the anchors; else one.
    """
    index = GraphIndex(model.file.graph)
    joined = _past_moves(index, name)
    levels = joined.input if joined is not None and joined.op_type == "Concat" else [name]
    found = []
    for level in levels:
        parts = _past_moves(index, level)
        last = parts.input[-1] if parts is not None and parts.op_type == "Concat" else level
        found.append(_file_factor(index, last))
    return tuple(found)


def _file_factor(index: GraphIndex, name: str) -> float:
    """The product of the scalars that a tensor is multiplied by."""
    factor, node = 1.0, _past_moves(index, name)
    while node is not None and node.op_type in ("Mul", "Div"):
        constants = [index.constant(source) for source in node.input]
        scalars = [value for value in constants if value is not None and value.size == 1]
        if len(scalars) != 1 or (node.op_type == "Div" and constants[1] is None):
            break
        value = float(scalars[0].reshape(-1)[0])
        factor *= value if node.op_type == "Mul" else 1 / value
        node = _past_moves(index, node.input[0 if constants[0] is None else 1])
    return factor


def _past_moves(index: GraphIndex, name: str) -> onnx.NodeProto | None:
    """The first operator before `name` that does more than to move values."""
    node = index.producer(name)
    while node is not None and node.op_type in _MOVES:
        node = index.producer(node.input[0])
    return node


def _joined_lengths(model: OnnxSummary, node: onnx.NodeProto) -> Sequence[int] | None:
    """The lengths of a Concat's inputs along its axis; None if one is unknown."""
    axis = attributes_of(node)["axis"]
    lengths = [model.shapes.get(source, ())[axis:][:1] for source in node.input]
    found = [length[0] for length in lengths if length and isinstance(length[0], int)]
    return found if len(found) == len(lengths) else None


def _part(model: OnnxSummary, name: str, channels: int) -> HeadPart:
    """The part of a tensor that is no Concat."""
    kind: Kind = "raw"
    node = _past_moves(model.index, name)
    if node is not None and node.op_type in ("Sigmoid", "Softmax"):
        return HeadPart(channels, "sigmoid" if node.op_type == "Sigmoid" else "softmax")
    while node is not None and node.op_type not in _SOURCES:
        source = node.input[0] if node.op_type == "Exp" and kind == "raw" else _linear_operand(model, node)
        if source is None:
            return HeadPart(channels, "computed")
        kind = "exp" if node.op_type == "Exp" else kind
        node = _past_moves(model.index, source)
    return HeadPart(channels, "computed" if node is None else kind)


def _linear_operand(model: OnnxSummary, node: onnx.NodeProto) -> str | None:
    """The computed operand of a bias or of a product with a scalar; None for any other operator."""
    if node.op_type == "BatchNormalization":
        return str(node.input[0])
    if node.op_type not in ("Add", "Sub", "Mul", "Div"):
        return None
    constants = [model.constant(source) for source in node.input]
    if sum(value is None for value in constants) != 1:
        return None
    position = 0 if constants[0] is None else 1
    constant, operand = constants[1 - position], str(node.input[position])
    if node.op_type in ("Add", "Sub"):
        return operand if _is_bias(model, operand, constant) else None
    scalar = constant is not None and constant.size == 1
    return operand if scalar and not (node.op_type == "Div" and position == 1) else None


def _is_bias(model: OnnxSummary, name: str, constant: NDArray[np.generic] | None) -> bool:
    """Whether a constant has one value for each channel of a tensor, as a bias has, and a grid has not."""
    shape = model.shapes.get(name, ())
    channels = shape[1] if len(shape) == 4 else shape[-1] if shape else 0
    return constant is not None and constant.size == channels and max(constant.shape, default=1) == channels
