"""Load an ONNX file, with values in float32. A file is untrusted; every problem is one sentence.

Files that are quantised already are refused: pocketdet quantises the float model, and measures the loss.

float16 and bfloat16 values are float32 values, too: weights keep their values, and the graph then computes in
float32, as ncnn does. The file's own results differ by its rounding.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from pocketdet.errors import UsageError
from pocketdet.export.onnx_graph.graph import GraphIndex, attributes_of, graph_inputs
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


_HALVES = (TensorProto.FLOAT16, TensorProto.BFLOAT16)


def widen(model: onnx.ModelProto) -> int:
    """Change every half-precision tensor of a graph to float32.

    Args:
        model: the graph; it is changed.

    Returns:
        How many constants, declarations and casts changed.
    """
    count = _widen_graph(model.graph)
    for function in model.functions:
        count += sum(_widen_node(node) for node in function.node)
    return count


def accept_uint8_image(model: onnx.ModelProto) -> bool:
    """Let a uint8 input that is only cast to float32 take float32; says whether it did."""
    index = GraphIndex(model.graph)
    changed = False
    for value in graph_inputs(model.graph):
        readers = index.consumers(value.name)
        casts = [node.op_type == "Cast" and _target(node) == TensorProto.FLOAT for node in readers]
        if value.type.tensor_type.elem_type == TensorProto.UINT8 and casts and all(casts):
            value.type.tensor_type.elem_type = TensorProto.FLOAT
            changed = True
    return changed


def _widen_graph(graph: onnx.GraphProto) -> int:
    count = 0
    for tensor in graph.initializer:
        count += _widen_tensor(tensor)
    for value in (*graph.input, *graph.output, *graph.value_info):
        if value.type.tensor_type.elem_type in _HALVES:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
            count += 1
    return count + sum(_widen_node(node) for node in graph.node)


def _widen_node(node: onnx.NodeProto) -> int:
    count = 0
    for attribute in node.attribute:
        if attribute.HasField("t"):
            count += _widen_tensor(attribute.t)
        if attribute.HasField("g"):
            count += _widen_graph(attribute.g)
        if attribute.name in ("to", "dtype") and attribute.i in _HALVES:
            attribute.i = TensorProto.FLOAT
            count += 1
    return count


def _widen_tensor(tensor: onnx.TensorProto) -> int:
    if tensor.data_type not in _HALVES:
        return 0
    wide = np.asarray(numpy_helper.to_array(tensor)).astype(np.float32)
    tensor.CopyFrom(numpy_helper.from_array(wide, tensor.name))
    return 1


def _target(node: onnx.NodeProto) -> int:
    return int(attributes_of(node).get("to", 0))
