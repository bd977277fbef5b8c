"""Simplify a graph of fixed input size: constants folded, batch norm folded, unused nodes dropped."""

import tempfile
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from pocketdet.export.onnx_graph.graph import axes_of, graph_inputs
from pocketdet.export.onnx_graph.session import run, session
from pocketdet.export.to_onnx import simplify


def simplified(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    """Return a simplified copy.

    Args:
        model: the graph; its outputs need no declared shape. It is not changed.
        path: of the file, for errors.

    Raises:
        ExportError: if it cannot be simplified.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    _declare_outputs(copy)
    with tempfile.TemporaryDirectory(prefix="pocketdet-onnx-") as folder:
        target = Path(folder) / path.name
        simplify(copy, target)
        return onnx.load(target)


def _declare_outputs(model: onnx.ModelProto) -> None:
    """Give every output the type and shape that it has: the checker requires a rank.

    Where the shape is computed in the graph, as old exporters do, onnxruntime computes it.
    """
    try:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except Exception:  # untyped C++ errors; onnxsim says in its own words what is wrong
        return
    known = {value.name: value for value in (*inferred.graph.value_info, *inferred.graph.output)}
    for output in model.graph.output:
        if output.name in known:
            output.CopyFrom(known[output.name])
    if any(axes_of(output) is None for output in model.graph.output):
        for output, value in zip(model.graph.output, _computed(model), strict=True):
            kind = helper.np_dtype_to_tensor_dtype(value.dtype)
            output.CopyFrom(helper.make_tensor_value_info(output.name, kind, value.shape))


def _computed(model: onnx.ModelProto) -> list[NDArray[np.generic]]:
    """The outputs for an input of zeros."""
    (source,) = graph_inputs(model.graph)
    zeros = np.zeros([axis for axis in axes_of(source) or () if isinstance(axis, int)], np.float32)
    names = [output.name for output in model.graph.output]
    return list(run(session(model), names, {source.name: zeros}).values())
