"""A one-stage detector as somebody else would bring it: a small ONNX file and its description."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE, CLASSES = 64, 3
DESCRIPTION = """
input_size = [64, 64]
class_names = ["bolt", "nut", "washer"]

[preprocessing]
channel_order = "BGR"
mean = [0, 0, 0]
std = [255, 255, 255]

[[levels]]
output = "rows"
layout = "rows"
stride = 8
offset = 0
boxes = 0
objectness = 4
classes = 5

[[levels]]
output = "rows"
layout = "rows"
stride = 16
offset = 0
boxes = 0
objectness = 4
classes = 5

[[codings]]
encoding = "cxcywh"
centre_unit = "stride"
size_unit = "stride"

[scores]
activation = "none"
objectness_activation = "none"
objectness_power = 1

[selection]
score_threshold = 0.3
best_class_only = true
"""


def make_foreign(folder: Path, *, batch: int | str = 1, opset: int = 13) -> tuple[Path, Path]:
    """YOLOX's form: two grids in the rows of one tensor, boxes, objectness, classes; and an output unused."""
    rng = np.random.default_rng(5)
    constants: list[onnx.TensorProto] = []
    nodes: list[onnx.NodeProto] = []

    def constant(values: np.ndarray) -> str:
        name = f"c{len(constants)}"
        constants.append(numpy_helper.from_array(values, name))
        return name

    def add(kind: str, *inputs: str, **attributes: object) -> str:
        name = f"v{len(nodes)}"
        nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def convolution(x: str, channels: int, out: int, k: int, stride: int = 1, scale: float = 1.0) -> str:
        weight = rng.normal(0, scale * (2 / (channels * k * k)) ** 0.5, (out, channels, k, k))
        bias = rng.normal(0, 0.1, out)
        return add(
            "Conv",
            x,
            constant(weight.astype(np.float32)),
            constant(bias.astype(np.float32)),
            kernel_shape=[k, k],
            pads=[k // 2] * 4,
            strides=[stride, stride],
        )

    x = add("Relu", convolution("picture", 3, 12, 5, 4))
    maps = []
    for channels in (12, 16):
        x = add("Relu", convolution(x, channels, 16, 3, 2))
        boxes = convolution(x, 16, 4, 1, scale=0.5)
        scores = add("Sigmoid", convolution(x, 16, 1 + CLASSES, 1, scale=4.0))
        joined = add("Concat", boxes, scores, axis=1)
        maps.append(add("Reshape", joined, constant(np.array([1, 5 + CLASSES, -1], np.int64))))
    nodes.append(helper.make_node("Transpose", [add("Concat", *maps, axis=2)], ["rows"], perm=[0, 2, 1]))
    nodes.append(helper.make_node("GlobalAveragePool", [x], ["pooled"]))
    source = helper.make_tensor_value_info("picture", TensorProto.FLOAT, [batch, 3, SIDE, SIDE])
    targets = [
        helper.make_tensor_value_info("pooled", TensorProto.FLOAT, [batch, 16, 1, 1]),
        helper.make_tensor_value_info("rows", TensorProto.FLOAT, [batch, 80, 5 + CLASSES]),
    ]
    graph = helper.make_graph(nodes, "foreign", [source], targets, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    path, description = folder / "foreign.onnx", folder / "foreign.toml"
    onnx.save(model, path)
    description.write_text(DESCRIPTION, encoding="utf-8")
    return path, description
