"""A graph in onnxruntime, on one thread."""

import onnx
import onnxruntime

from pocketdet.errors import UsageError
from pocketdet.export.to_onnx import root_cause


def session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """A session for a graph. Raises `UsageError` if onnxruntime refuses it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime raises a family of untyped pybind exceptions
        raise UsageError(f"onnxruntime refuses the ONNX file: {root_cause(error)}") from error
