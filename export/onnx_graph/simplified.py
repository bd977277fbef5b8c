"""Simplify a graph of fixed input size: constants folded, batch norm folded, unused nodes dropped."""

import tempfile
from pathlib import Path

import onnx

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
    """Give outputs without a shape the one that is inferred: the checker requires a rank."""
    try:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except Exception:  # untyped C++ errors; onnxsim says in its own words what is wrong
        return
    known = {value.name: value for value in (*inferred.graph.value_info, *inferred.graph.output)}
    for output in model.graph.output:
        if output.name in known:
            output.CopyFrom(known[output.name])
