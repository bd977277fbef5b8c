"""The input of a detector's ONNX file: an image, channels first or last, of a fixed or a free size."""

from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from pocketdet.errors import UsageError
from pocketdet.export.onnx_graph.graph import GraphIndex, attributes_of, axes_of, graph_inputs, rename_reads

# operators whose result at a place depends on a neighbourhood of fixed size only
_CONVOLUTIONS = frozenset(("AveragePool", "BatchNormalization", "Conv", "ConvTranspose", "MaxPool"))
_BY_ELEMENT = frozenset(("Add", "Clip", "Constant", "Div", "HardSigmoid", "HardSwish", "Identity"))
_BY_ELEMENT |= frozenset(("Exp", "LeakyRelu", "Mul", "PRelu", "Relu", "Sigmoid", "Sub", "Tanh"))
_CHANNEL_AXIS = 1


def runs_at_any_size(model: onnx.ModelProto) -> bool:
    """Whether a graph is fully convolutional: no operator and no constant depends on the size of the input.

    Such files may declare a size, and a batch, at which nobody runs them.
    """
    index = GraphIndex(model.graph)
    return all(_is_local(index, node) for node in model.graph.node)


def _is_local(index: GraphIndex, node: onnx.NodeProto) -> bool:
    if node.op_type in _CONVOLUTIONS:
        return True
    if node.op_type == "Concat":
        return bool(attributes_of(node).get("axis") == _CHANNEL_AXIS)
    if node.op_type not in _BY_ELEMENT:
        return False
    constants = [value for name in node.input if (value := index.constant(name)) is not None]
    return all(value.ndim < 3 or max(value.shape[-2:]) == 1 for value in constants if value.size > 1)


CHANNELS = 3
Size = tuple[int, int]  # height, width in pixels


@dataclass(frozen=True)
class ImageInput:
    """The input that holds the image.

    Attributes:
        name: of the input.
        channels_last: whether it is (1, h, w, 3) instead of (1, 3, h, w).
        size: (height, width); None for a free side.
    """

    name: str
    channels_last: bool
    size: tuple[int | None, int | None]

    def shape(self, size: Size) -> tuple[int, int, int, int]:
        """The shape of the input for an image of `size`."""
        return (1, *size, CHANNELS) if self.channels_last else (1, CHANNELS, *size)

    @property
    def fixed_size(self) -> Size | None:
        """(height, width), or None if a side is free."""
        height, width = self.size
        return None if height is None or width is None else (height, width)


def find_image_input(model: onnx.ModelProto, path: Path) -> ImageInput:
    """Find the input that holds the image.

    Raises:
        UsageError: if the file has several inputs, or its input is no image.
    """
    inputs = graph_inputs(model.graph)
    if len(inputs) != 1:
        names = ", ".join(value.name for value in inputs)
        raise UsageError(f"{path} has {len(inputs)} inputs ({names}): expected one, an image (1, 3, h, w)")
    value, kind = inputs[0], inputs[0].type.tensor_type
    axes = axes_of(value) or ()
    if kind.elem_type != TensorProto.FLOAT or len(axes) != 4:
        raise UsageError(
            f"{path}: its input {value.name!r} must be float32 of four axes (1, 3, h, w), found "
            f"{TensorProto.DataType.Name(kind.elem_type)} of {len(axes)}"
        )
    last = axes[3] == CHANNELS and axes[1] != CHANNELS
    height, width = (
        axis if isinstance(axis, int) and axis > 0 else None for axis in axes[1 + (not last) :][:2]
    )
    return ImageInput(value.name, last, (height, width))


def fix_size(model: onnx.ModelProto, source: ImageInput, size: Size, path: Path) -> None:
    """Set the shape of the input and remove the shapes that were inferred from another one.

    A fully convolutional graph may declare any size and batch.

    Raises:
        UsageError: if the file was made for another size.
    """
    value = next(value for value in model.graph.input if value.name == source.name)
    axes = axes_of(value) or ()
    wanted = source.shape(size)
    differs = any(
        isinstance(axis, int) and axis not in (0, length) for axis, length in zip(axes, wanted, strict=True)
    )
    if differs and not runs_at_any_size(model):
        raise UsageError(
            f"{path}: its input is {axes} and the description says {wanted}: describe the size "
            "that the file was made for, or export it anew"
        )
    for axis, length in zip(value.type.tensor_type.shape.dim, wanted, strict=True):
        axis.dim_value = length
    del model.graph.value_info[:]
    for output in model.graph.output:
        for axis in output.type.tensor_type.shape.dim:
            axis.Clear()


def rename_input(model: onnx.ModelProto, source: ImageInput, size: Size, name: str) -> None:
    """Give the input of a graph of fixed size a name and the form (1, 3, h, w).

    Raises:
        UsageError: if another value of the graph has that name.
    """
    graph = model.graph
    taken = {output for node in graph.node for output in node.output} | {t.name for t in graph.initializer}
    if name in taken:
        raise UsageError(f"the ONNX file has a value called {name!r} inside, which its input is to be called")
    value = next(value for value in graph.input if value.name == source.name)
    value.CopyFrom(helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, CHANNELS, *size)))
    if source.channels_last:
        last = f"{name}/channels last"
        turn = helper.make_node("Transpose", [name], [last], perm=(0, 2, 3, 1))
        rename_reads(graph, source.name, last)
        graph.node.insert(0, turn)
    else:
        rename_reads(graph, source.name, name)
