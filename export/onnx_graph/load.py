"""Load an ONNX file. A file is untrusted; every problem is one sentence.

Files that are quantised already are refused: pocketdet quantises the float model, and measures the loss.
"""

from pathlib import Path

import onnx

from pocketdet.errors import UsageError
from pocketdet.export.to_onnx import root_cause


def load_file(path: Path, *, external_data: bool) -> onnx.ModelProto:
    """Load an ONNX file.

    Args:
        path: the file.
        external_data: whether weights may be in other files that the model names.

    Raises:
        UsageError: if it cannot be read as an ONNX file.
    """
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} cannot be read as an ONNX file: not a regular file")
    try:
        return onnx.load(path, load_external_data=external_data)
    except Exception as error:  # protobuf and the file system raise a family of errors
        raise UsageError(f"{path} cannot be read as an ONNX file: {root_cause(error)}") from error


_QUANTISED = {
    "QuantizeLinear",
    "DequantizeLinear",
    "DynamicQuantizeLinear",
    "ConvInteger",
    "MatMulInteger",
    "QLinearConv",
    "QLinearMatMul",
    "QLinearAdd",
    "QGemm",
    "DynamicQuantizeMatMul",
    "DynamicQuantizeLSTM",
    "MatMulNBits",
}


def refuse_quantized(model: onnx.ModelProto, path: Path) -> None:
    """Raise `UsageError` for a file with quantised operators."""
    found = next((node for node in model.graph.node if node.op_type in _QUANTISED), None)
    if found is None:
        return
    dynamic = found.op_type.startswith("Dynamic") or found.op_type in ("ConvInteger", "MatMulInteger")
    kind = "dynamically quantised" if dynamic else "quantised"
    raise UsageError(
        f"{path} is {kind} ({found.op_type} makes {found.output[0]!r}): export the float model, "
        "with --precision int8 --calib IMAGES if it is to be int8"
    )
