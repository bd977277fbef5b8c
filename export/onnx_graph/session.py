"""A graph in onnxruntime, on one thread."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper

from pocketdet.errors import EngineError, UsageError
from pocketdet.export.to_onnx import root_cause


def session(model: onnx.ModelProto, file: str = "the ONNX file") -> onnxruntime.InferenceSession:
    """A session for a graph; `file` is its name in errors. Raises `UsageError` if onnxruntime refuses it."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # its errors are raised here, and not printed, too
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime raises a family of untyped pybind exceptions
        raise UsageError(f"onnxruntime refuses {file}: {root_cause(error)}") from error


def run(
    runner: onnxruntime.InferenceSession,
    names: Sequence[str],
    inputs: Mapping[str, NDArray[Any]],
    file: str = "the ONNX file",
) -> dict[str, NDArray[Any]]:
    """Compute outputs.

    Raises:
        EngineError: if onnxruntime cannot run the graph.
    """
    try:
        values = runner.run(names, dict(inputs))
    except Exception as error:  # onnxruntime raises a family of untyped pybind exceptions
        raise EngineError(f"onnxruntime cannot run {file}: {root_cause(error)}") from error
    return {name: np.asarray(value) for name, value in zip(names, values, strict=True)}


def with_outputs(model: onnx.ModelProto, names: Sequence[str]) -> onnx.ModelProto:
    """A copy of a graph whose outputs are these tensors."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.output[:]
    copy.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    return copy
