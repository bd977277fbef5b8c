"""An index of an ONNX graph: producers, consumers, constants and what lies before or behind a tensor."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from pocketdet.errors import ExportError
from pocketdet.export.to_onnx import root_cause

# a tensor's axes: a length, the name of a free axis, or "?" for a free axis without a name
Axes = tuple[int | str, ...]


class GraphIndex:
    """The nodes of a graph by the tensors that they write and read. The graph must not change meanwhile."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.graph = graph
        self.producers = {name: node for node in graph.node for name in node.output if name}
        self._consumers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in graph.node:
            for name in read_names(node):
                self._consumers[name].append(node)
        self._tensors = {tensor.name: tensor for tensor in graph.initializer}

    def producer(self, name: str) -> onnx.NodeProto | None:
        """The node that writes a tensor; None for inputs and constants of the graph."""
        return self.producers.get(name)

    def consumers(self, name: str) -> Sequence[onnx.NodeProto]:
        """The nodes that read a tensor, in the order of the file."""
        return tuple(self._consumers.get(name, ()))

    def constant(self, name: str) -> NDArray[np.generic] | None:
        """The values of an initialiser or of a Constant node; None for a computed tensor."""
        if name in self._tensors:
            return np.asarray(numpy_helper.to_array(self._tensors[name]))
        node = self.producers.get(name)
        if node is None or node.op_type != "Constant":
            return None
        return _constant_values(node)

    def before(self, names: Iterable[str]) -> list[onnx.NodeProto]:
        """The nodes that `names` depend on, in the order of the file."""
        pending, seen = list(names), set[str]()
        found: set[int] = set()
        while pending:
            name = pending.pop()
            node = None if name in seen else self.producers.get(name)
            seen.add(name)
            if node is not None and id(node) not in found:
                found.add(id(node))
                pending.extend(read_names(node))
        return [node for node in self.graph.node if id(node) in found]

    def behind(self, names: Iterable[str], without: Collection[str] = ()) -> list[onnx.NodeProto]:
        """The nodes that depend on one of `names`, in the order of the file.

        Args:
            names: tensors.
            without: operators that are left out, with what depends on `names` only through them.
        """
        pending, seen = list(names), set[str]()
        found: set[int] = set()
        while pending:
            name = pending.pop()
            if name in seen:
                continue
            seen.add(name)
            for node in self._consumers.get(name, ()):
                if id(node) not in found and node.op_type not in without:
                    found.add(id(node))
                    pending.extend(output for output in node.output if output)
        return [node for node in self.graph.node if id(node) in found]


def read_names(node: onnx.NodeProto) -> list[str]:
    """The tensors that a node reads, those that its subgraphs take from outside included."""
    names = [name for name in node.input if name]
    for attribute in node.attribute:
        for graph in [attribute.g] if attribute.HasField("g") else attribute.graphs:
            inside = {name for inner in graph.node for name in inner.output}
            inside |= {value.name for value in graph.input} | {t.name for t in graph.initializer}
            for inner in graph.node:
                names += [name for name in read_names(inner) if name not in inside]
            names += [value.name for value in graph.output if value.name not in inside]
    return names


def attributes_of(node: onnx.NodeProto) -> dict[str, Any]:
    """The attributes of a node by name."""
    return {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}


def rename_reads(graph: onnx.GraphProto, old: str, new: str) -> None:
    """Let the nodes of a graph, and of the graphs inside them, read `new` instead of `old`."""
    for node in graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        for attribute in node.attribute:
            for inner in [attribute.g] if attribute.HasField("g") else attribute.graphs:
                rename_reads(inner, old, new)


def graph_inputs(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """The inputs that a caller must give: old files list their constants as inputs, too."""
    constants = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in constants]


def axes_of(value: onnx.ValueInfoProto) -> Axes | None:
    """The shape that a value declares; None if it declares no tensor of known rank."""
    if not value.type.HasField("tensor_type") or not value.type.tensor_type.HasField("shape"):
        return None
    dims = value.type.tensor_type.shape.dim
    return tuple(dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?" for dim in dims)


def element_type(value: onnx.ValueInfoProto) -> str:
    """The element type in numpy's words ("float32"), or "sequence" or "map" for what is no tensor."""
    if not value.type.HasField("tensor_type"):
        return str(value.type.WhichOneof("value") or "unknown").removesuffix("_type")
    name = onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type).lower()
    return "float32" if name == "float" else name


def infer_shapes(model: onnx.ModelProto) -> dict[str, Axes]:
    """The shape of every tensor of a graph that ONNX's shape inference knows.

    Raises:
        ExportError: if the graph contradicts itself.
    """
    try:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except Exception as error:  # untyped C++ errors
        raise ExportError(f"the shapes of the ONNX graph cannot be inferred: {root_cause(error)}") from error
    graph = inferred.graph
    values = (*graph.input, *graph.value_info, *graph.output)
    shapes = {value.name: axes for value in values if (axes := axes_of(value)) is not None}
    return shapes | {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}


def _constant_values(node: onnx.NodeProto) -> NDArray[np.generic] | None:
    for attribute in node.attribute:
        if attribute.name == "value":
            return np.asarray(numpy_helper.to_array(attribute.t))
        if attribute.name in ("value_int", "value_ints"):
            return np.asarray(onnx.helper.get_attribute_value(attribute), np.int64)
        if attribute.name in ("value_float", "value_floats"):
            return np.asarray(onnx.helper.get_attribute_value(attribute), np.float32)
    return None
