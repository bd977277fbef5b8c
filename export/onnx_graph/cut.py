"""Cut a graph at any of its tensors: what lies behind them is dropped.

Tensors behind a node that selects detections (NonMaxSuppression, TopK) cannot be outputs: decoding and
selection are pocketdet's. The error names the tensors to cut at, the last ones with every anchor.
"""

import difflib
from collections.abc import MutableSequence, Sequence
from pathlib import Path
from typing import Any

import onnx
from onnx import helper

from pocketdet.errors import UsageError
from pocketdet.export.onnx_graph.graph import GraphIndex, axes_of, graph_inputs, read_names

SELECTING = {"NonMaxSuppression", "TopK", "EfficientNMS_TRT", "BatchedNMS_TRT", "NMS", "MultiClassNMS"}
_SPLITTING = {"Split", "Slice", "Gather"}
_BEST = {"ReduceMax", "ArgMax"}  # of the classes of an anchor
_NEAREST = 5


def cut(model: onnx.ModelProto, outputs: Sequence[str], path: Path) -> tuple[str, ...]:
    """Make `outputs` the outputs of a graph, in that order, and drop all that they do not need.

    Args:
        model: the graph; it is changed.
        outputs: names of outputs or inner tensors.
        path: of the file, for errors.

    Returns:
        The outputs of the file that were dropped.

    Raises:
        UsageError: if the graph does not compute a tensor, or computes it from selected detections.
    """
    graph, index = model.graph, GraphIndex(model.graph)
    for name in outputs:
        if name not in index.producers:
            raise UsageError(_unknown(graph, name, path))
    nodes = index.before(outputs)
    selecting = next((node for node in nodes if node.op_type in SELECTING), None)
    if selecting is not None:
        behind = {name for node in index.behind(selecting.output) for name in node.output}
        name = next((o for o in outputs if o in behind or o in selecting.output), outputs[0])
        raise UsageError(_behind_selection(name, selecting, cut_points(index, [name]), path))
    dropped = tuple(value.name for value in graph.output if value.name not in outputs)
    known = {value.name: value for value in (*graph.value_info, *graph.output)}
    values = [_declared(known.get(name), name) for name in outputs]
    read = {name for node in nodes for name in read_names(node)} | set(outputs)
    _keep(graph.node, nodes)
    _keep(graph.input, [value for value in graph.input if value.name in read])
    _keep(graph.initializer, [tensor for tensor in graph.initializer if tensor.name in read])
    del graph.output[:]
    graph.output.extend(values)
    return dropped


def cut_points(index: GraphIndex, names: Sequence[str]) -> tuple[str, ...]:
    """The tensors with every anchor that `names` are selected from: where to cut instead.

    Args:
        index: of the graph.
        names: tensors behind a node that selects detections.

    Returns:
        Names in the order of the file; empty if nothing selects before `names`.
    """
    nodes = index.before(names)
    chosen = {output for node in nodes if node.op_type in SELECTING for output in node.output}
    late = {id(node) for node in index.behind(chosen)}
    late |= {id(node) for node in nodes if node.op_type in SELECTING}
    read = {name for node in nodes if id(node) in late for name in node.input if name}
    inputs = [value.name for value in graph_inputs(index.graph)]
    image = {output for node in index.behind(inputs, without=("Shape", "Size")) for output in node.output}
    border = [
        node.input[0] if node.op_type in _BEST else output
        for node in nodes
        if id(node) not in late
        for output in node.output
        if output in read and output in image
    ]
    later = {output for name in border for node in index.behind([name]) for output in node.output}
    first = tuple(dict.fromkeys(name for name in border if name not in later))
    parts = [index.producers[name] for name in first]
    sources = {node.input[0] for node in parts}
    if len(sources) == 1 and all(node.op_type in _SPLITTING for node in parts):
        return tuple(sources)
    return first


def _unknown(graph: onnx.GraphProto, name: str, path: Path) -> str:
    found = [output.name for output in graph.output]
    inner = [output for node in graph.node for output in node.output if output and output not in found]
    near = difflib.get_close_matches(name, inner, n=_NEAREST, cutoff=0.5)
    more = f"; inner tensors of a similar name are {', '.join(near)}" if near else ""
    return f"{path} has no output {name!r}: its outputs are {', '.join(found)}{more}"


def _behind_selection(name: str, node: onnx.NodeProto, points: Sequence[str], path: Path) -> str:
    instead = " and ".join(repr(point) for point in points) or "a tensor before it"
    return (
        f"{path}: {name!r} lies behind {node.op_type}, which selects detections in the graph: name "
        f"{instead} instead; the graph is then cut there, and pocketdet selects"
    )


def _declared(value: onnx.ValueInfoProto | None, name: str) -> onnx.ValueInfoProto:
    """A declaration of a tensor with its rank, if that is known, and without lengths."""
    if value is None:
        return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
    axes = axes_of(value)
    shape = None if axes is None else [None] * len(axes)
    return helper.make_tensor_value_info(name, value.type.tensor_type.elem_type, shape)


def _keep(field: MutableSequence[Any], wanted: Sequence[object]) -> None:
    """Drop the items of a repeated field that are not in `wanted`."""
    identities = {id(item) for item in wanted}
    items = list(field)
    for number in reversed(range(len(items))):
        if id(items[number]) not in identities:
            del field[number]
