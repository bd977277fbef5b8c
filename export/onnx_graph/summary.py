"""What an ONNX file contains: inputs, outputs, metadata, operators, and shapes at a size of the input.

`pocketdet info` prints it, and the families of detectors are recognised by it. Names and shapes are those of
the file; `field_shape` is the shape that a description's fields see.
"""

import functools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from pocketdet.errors import UsageError
from pocketdet.export.onnx_graph.cut import cut_points
from pocketdet.export.onnx_graph.graph import (
    Axes,
    GraphIndex,
    axes_of,
    element_type,
    graph_inputs,
    infer_shapes,
)
from pocketdet.export.onnx_graph.image_input import ImageInput, Size, find_image_input, fix_size
from pocketdet.export.onnx_graph.load import accept_uint8_image, load_file, widen
from pocketdet.export.onnx_graph.outputs import output_form
from pocketdet.export.onnx_graph.simplified import simplified


@dataclass(frozen=True)
class TensorInfo:
    """An input or output as the file declares it.

    Attributes:
        name: of the tensor.
        dtype: "float32", "float16", "uint8", ...
        shape: lengths, or the names of free axes ("?" without one); None if the rank is not declared.
    """

    name: str
    dtype: str
    shape: Axes | None


@dataclass(frozen=True)
class Candidate:
    """An inner tensor that a description could name: a raw map of the head.

    Attributes:
        name: of the tensor in the file.
        shape: with the batch axis.
        stride: (y, x), pixels per cell.
        operator: that computes it.
    """

    name: str
    shape: Axes
    stride: tuple[float, float]
    operator: str


@dataclass(frozen=True, eq=False)
class OnnxSummary:
    """The contents of an ONNX file.

    Attributes:
        path: of the file.
        opset: version of ONNX's own operators.
        producer: the tool that wrote the file, with its version; may be empty.
        inputs, outputs: as declared; constants are no inputs.
        metadata: `metadata_props` of the file.
        operators: how many nodes of each type there are; other domains than ONNX's as "domain.Type".
        file: the graph; half precision is widened to float32.
        size: (height, width) that shapes are computed for; None for that of the file.
    """

    path: Path
    opset: int
    producer: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    metadata: Mapping[str, str]
    operators: Counter[str]
    file: onnx.ModelProto = field(repr=False)
    size: Size | None = None

    def at(self, size: Size) -> "OnnxSummary":
        """The same file with the shapes for an input of (height, width); for files with a free size."""
        return replace(self, size=size)

    @functools.cached_property
    def image(self) -> ImageInput:
        """The input that holds the image. Raises `UsageError` if there is none or more than one."""
        return find_image_input(self.file, self.path)

    @property
    def input_size(self) -> Size | None:
        """(height, width) that shapes are computed for; None if a side is free and no size was given."""
        return self.size or self.image.fixed_size

    @functools.cached_property
    def model(self) -> onnx.ModelProto:
        """The graph for `input_size`, simplified: constants folded, batch norm folded where that is exact.

        Raises:
            UsageError: if the input is no image, its size is free and none was given, or is another.
            ExportError: if the graph cannot be simplified.
        """
        if self.input_size is None:
            raise UsageError(
                f"{self.path}: the size of its input {self.image.name!r} is free: give a size in pixels"
            )
        model = onnx.ModelProto()
        model.CopyFrom(self.file)
        fix_size(model, self.image, self.input_size, self.path)
        return simplified(model, self.path)

    @functools.cached_property
    def index(self) -> GraphIndex:
        """The nodes of `model` by tensor."""
        return GraphIndex(self.model.graph)

    @functools.cached_property
    def shapes(self) -> Mapping[str, Axes]:
        """The shape of every tensor of `model`, with the batch axis if the file has one."""
        return infer_shapes(self.model)

    def shape_of(self, name: str) -> Axes:
        """The shape of a tensor at `input_size`, as the file computes it, with its batch axis.

        Raises:
            UsageError: if the graph has no such tensor, or its shape cannot be inferred.
        """
        if name not in self.shapes:
            raise UsageError(f"{self.path} has no tensor {name!r} of known shape")
        return self.shapes[name]

    def field_shape(self, name: str) -> tuple[int, ...]:
        """The shape that the fields of a description see: without batch axis, in `output_form`.

        Raises:
            UsageError: as `shape_of`, and if the tensor has no form that a description can name.
        """
        shape = self.shape_of(name)
        known = tuple(axis for axis in shape if isinstance(axis, int))
        if self.input_size is None or len(known) != len(shape):
            raise UsageError(f"{self.path}: tensor {name!r} is {shape}: its size depends on the image")
        return output_form(name, known, self.input_size).shape[1:]

    def nodes_before(self, name: str) -> list[onnx.NodeProto]:
        """The nodes of `model` that a tensor depends on, its own included, in the order of execution."""
        return self.index.before([name])

    def producer_of(self, name: str) -> onnx.NodeProto | None:
        """The node of `model` that writes a tensor."""
        return self.index.producer(name)

    def constant(self, name: str) -> NDArray[np.generic] | None:
        """The values of a constant of `model`; None for a computed tensor."""
        return self.index.constant(name)

    @functools.cached_property
    def candidates(self) -> tuple[Candidate, ...]:
        """The raw maps of the head: results of convolutions on a grid that no later one on a grid reads."""
        in_file = GraphIndex(self.file.graph).producers
        on_grid: dict[str, Candidate] = {}
        for node in self.model.graph.node:
            name = node.output[0]
            stride = self._stride(self.shapes.get(name))
            if node.op_type in ("Conv", "ConvTranspose") and stride is not None:
                on_grid[name] = Candidate(name, self.shapes[name], stride, node.op_type)
        later = {
            name: {n for after in self.index.behind([name]) for n in after.output if n in on_grid}
            for name in on_grid
        }
        return tuple(c for c in on_grid.values() if not later[c.name] and c.name in in_file)

    @functools.cached_property
    def cut_points(self) -> tuple[str, ...]:
        """Where to cut before NonMaxSuppression or TopK; empty if the file selects no detections."""
        return cut_points(GraphIndex(self.file.graph), [output.name for output in self.outputs])

    def _stride(self, shape: Axes | None) -> tuple[float, float] | None:
        """The stride (y, x) of a map (1, c, h, w); None for another tensor."""
        size = self.input_size
        if shape is None or len(shape) != 4 or size is None:
            return None
        height, width = shape[2:]
        if not isinstance(height, int) or not isinstance(width, int) or min(height, width) < 1:
            return None
        down = size[0] / height, size[1] / width
        return down if max(down) >= 1 and max(down) / min(down) < 1.5 else None


def summarise(path: Path, size: Size | None = None) -> OnnxSummary:
    """Read what an ONNX file contains.

    Args:
        path: the file.
        size: (height, width) of the input that shapes are computed for; by default that of the file.

    Raises:
        UsageError: if it cannot be read as an ONNX file.
    """
    model = load_file(path, external_data=True)
    graph = model.graph
    inputs, outputs = (tuple(_info(v) for v in vs) for vs in (graph_inputs(graph), graph.output))
    accept_uint8_image(model)
    widen(model)
    return OnnxSummary(
        path,
        next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0),
        f"{model.producer_name} {model.producer_version}".strip(),
        inputs,
        outputs,
        {entry.key: entry.value for entry in model.metadata_props},
        Counter(_operator(node) for node in graph.node),
        model,
        size,
    )


def _info(value: onnx.ValueInfoProto) -> TensorInfo:
    return TensorInfo(value.name, element_type(value), axes_of(value))


def _operator(node: onnx.NodeProto) -> str:
    return node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"
