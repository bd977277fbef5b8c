"""Bring every output to a batch axis of 1 and two or three axes behind it.

Descriptions know maps (channels, h, w), rows (n, channels) and columns (channels, n). Files have more forms:

- without a batch axis, (n, channels) or (channels, h, w): a batch axis is put before it;
- anchors and their values as axes of their own: (1, anchors, values, h, w) and (1, anchors, h, w, values)
  become a map (1, anchors * values, h, w); (1, h, w, anchors, values) becomes rows
  (1, h * w * anchors, values).

The axes of the grid are the neighbours that the input's size divided by one stride gives.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper

from pocketdet.errors import UsageError
from pocketdet.export.onnx_graph.batch_axis import BatchAxis
from pocketdet.export.onnx_graph.graph import rename_reads
from pocketdet.export.onnx_graph.image_input import Size

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
