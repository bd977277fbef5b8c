"""Refuse files that are quantised already: pocketdet quantises the float model, and measures the loss."""

from pathlib import Path

import onnx

from pocketdet.errors import UsageError

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
