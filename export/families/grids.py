"""Outputs of a head as tensors of anchors, and the grids that their lengths stand for."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from pocketdet.export.onnx_graph.graph import attributes_of
from pocketdet.export.onnx_graph.summary import OnnxSummary
from pocketdet.spec.one_stage import default_grid

Size = tuple[int, int]  # height, width
TensorLayout = Literal["map", "rows"]


@dataclass(frozen=True)
class HeadTensor:
    """An output that holds `channels` values for each of `count` anchors.

    Attributes:
        name: of the output.
        layout: "map" (channels, h, w), or "rows" (anchors, channels).
        count: cells of a map, or rows.
        channels: values of a cell or row.
        grid: (height, width) of a map; None for rows.
    """

    name: str
    layout: TensorLayout
    count: int
    channels: int
    grid: Size | None = None

    def __str__(self) -> str:
        shape = (self.channels, *self.grid) if self.grid else (self.count, self.channels)
        return f"{self.name!r} {shape}"


def head_tensors(model: OnnxSummary) -> tuple[HeadTensor, ...]:
    """The outputs of a file that are maps or rows; others are left out.

    A map with its channels last is taken before the Transpose that puts them there.

    Args:
        model: the file, with shapes for `model.input_size`.
    """
    found = []
    for output in model.outputs:
        name = _channels_first(model, output.name)
        shape = model.shapes.get(name, ())
        axes = [axis for axis in shape if isinstance(axis, int) and axis > 0]
        if len(axes) < max(len(shape), 2) or (len(axes) > 2 and axes[0] != 1):
            continue
        axes = axes[1:] if len(axes) > 2 else axes
        if len(axes) == 3:
            found.append(HeadTensor(name, "map", axes[1] * axes[2], axes[0], (axes[1], axes[2])))
        elif len(axes) == 2:
            found.append(HeadTensor(name, "rows", axes[0], axes[1]))
    return tuple(found)


def _channels_first(model: OnnxSummary, name: str) -> str:
    """The map before a Transpose that puts its channels last, or `name` itself."""
    node = model.producer_of(name)
    if node is None or node.op_type != "Transpose":
        return name
    return node.input[0] if attributes_of(node).get("perm") == [0, 2, 3, 1] else name


def cells_at(size: Size, stride: int) -> int:
    """The number of cells of a grid."""
    return math.prod(default_grid(size, stride))


def stride_of(tensor: HeadTensor, size: Size, strides: Iterable[int], anchors: int = 1) -> int | None:
    """The stride of the grid that a tensor covers.

    Args:
        tensor: a map, or rows of one grid.
        size: (height, width) of the input.
        strides: those to choose from.
        anchors: rows of each cell.

    Returns:
        The only one that fits; None if none does.
    """
    for stride in strides:
        grid = default_grid(size, stride)
        if tensor.grid == grid or (tensor.grid is None and tensor.count == math.prod(grid) * anchors):
            return stride
    return None


def by_stride(
    tensors: Iterable[HeadTensor], size: Size, strides: Sequence[int], anchors: int = 1
) -> dict[int, HeadTensor] | None:
    """Tensors by the stride of their grid, finest first; None if one fits no stride, or two fit the same."""
    found: dict[int, HeadTensor] = {}
    for tensor in tensors:
        stride = stride_of(tensor, size, strides, anchors)
        if stride is None or stride in found:
            return None
        found[stride] = tensor
    return dict(sorted(found.items()))


def strides_of_rows(
    rows: int, size: Size, choices: Iterable[Sequence[int]], anchors: int = 1
) -> tuple[int, ...] | None:
    """The first of several sets of strides whose grids have `rows` anchors together; None if none has."""
    for strides in choices:
        if anchors * sum(cells_at(size, stride) for stride in strides) == rows:
            return tuple(strides)
    return None


def text_of(tensors: Iterable[HeadTensor]) -> str:
    """Outputs with their shapes, for a sentence."""
    return ", ".join(str(tensor) for tensor in tensors) or "none with a known shape"
