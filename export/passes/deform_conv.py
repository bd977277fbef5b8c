"""Replace DeformConv, which pnnx does not convert, by ncnn's DeformableConv2D.

pnnx keeps the operator under its ONNX name, its weight and bias as MemoryData (through Splits if shared), and
its attributes only in the .pnnx.param file. ncnn's layer has the same semantics (ONNX operator DeformConv,
opset 19; ncnn src/layer/deformableconv2d.cpp): image, offsets (2 * taps, h, w) with the row before the
column, mask; weights (out, in, kh, kw). It supports one group and one offset group.
"""

import re
from collections.abc import Mapping

import numpy as np

from pocketdet.errors import ExportError
from pocketdet.runtime.ncnn_graph import Graph, Layer, Weight, encode
from pocketdet.runtime.ncnn_graph.layer_views import Convolution

FOREIGN = "DeformConv"

Attributes = Mapping[str, tuple[int, ...]]

_ATTRIBUTE = re.compile(r"([a-z_]+)=\(?(-?\d+(?:,-?\d+)*)\)?$")
_DEFAULTS: Attributes = {
    "dilations": (1, 1),
    "strides": (1, 1),
    "pads": (0, 0, 0, 0),
    "group": (1,),
    "offset_group": (1,),
}


def read_attributes(pnnx_param: str) -> dict[str, Attributes]:
    """The attributes of each DeformConv in the text of a .pnnx.param file, by the operator's name."""
    found: dict[str, Attributes] = {}
    for line in pnnx_param.splitlines():
        words = line.split()
        if words[:1] == [FOREIGN]:
            pairs = (match for match in map(_ATTRIBUTE.match, words[2:]) if match)
            found[words[1]] = {m[1]: tuple(int(n) for n in m[2].split(",")) for m in pairs}
    return found


def use_deformable_layers(graph: Graph, attributes: Mapping[str, Attributes]) -> Graph:
    """Replace each DeformConv by a DeformableConv2D, and remove the constants that no layer reads.

    Args:
        graph: as pnnx wrote it; its DeformConv layers are changed in place.
        attributes: from `read_attributes`.

    Raises:
        ExportError: if weights are computed at run time, or there are several groups or offset groups.
    """
    makers, found = graph.producers(), [layer for layer in graph.layers if layer.type == FOREIGN]
    for layer in found:
        _replace(layer, makers, {**_DEFAULTS, **attributes.get(layer.name, {})})
    return graph.replace_layers(_without_unread(graph.layers)) if found else graph


def _replace(layer: Layer, makers: Mapping[str, Layer], wanted: Attributes) -> None:
    for key in ("group", "offset_group"):
        if wanted[key] != (1,):
            raise ExportError(
                f"operator {layer.name!r}: a deformable convolution with {key} {wanted[key][0]}; ncnn has "
                "them with one group and one offset group only"
            )
    image, weight_blob, offset, *others = layer.inputs
    weight = _constant(makers, weight_blob)
    if weight is None or weight.data.ndim != 4:
        raise ExportError(
            f"operator {layer.name!r}: the weights of a deformable convolution must be constant"
        )
    bias = _constant(makers, others[0]) if others else None
    bias = bias if bias is not None and bias.data.ndim == 1 else None  # without a bias the mask comes next
    mask = others if bias is None else others[1:]
    layer.type, layer.inputs = "DeformableConv2D", [image, offset, *mask]
    layer.weights = {"weight": encode(weight.values().astype(np.float32), "fp32")}
    if bias is not None:
        layer.weights["bias"] = encode(bias.values().astype(np.float32), "raw")
    out, _, kernel_h, kernel_w = weight.data.shape
    (dilation_h, dilation_w), (stride_h, stride_w) = wanted["dilations"], wanted["strides"]
    top, left, bottom, right = wanted["pads"]
    layer.params = {}
    convolution = Convolution.of(layer)
    convolution.num_output = out
    convolution.kernel_w, convolution.kernel_h = kernel_w, kernel_h
    convolution.dilation_w, convolution.dilation_h = dilation_w, dilation_h
    convolution.stride_w, convolution.stride_h = stride_w, stride_h
    convolution.pad_left, convolution.pad_top = left, top
    convolution.pad_right, convolution.pad_bottom = right, bottom
    convolution.bias_term, convolution.weight_data_size = int(bias is not None), weight.data.size


def _constant(makers: Mapping[str, Layer], blob: str) -> Weight | None:
    """The value of a blob that MemoryData writes, directly or through Splits; None for other blobs."""
    maker = makers.get(blob)
    while maker is not None and maker.type == "Split":
        maker = makers.get(maker.inputs[0])
    return maker.weights.get("data") if maker is not None and maker.type == "MemoryData" else None


def _without_unread(layers: list[Layer]) -> list[Layer]:
    """The layers without constants, and outputs of their Splits, that no layer reads."""
    read: set[str] = set()
    used: list[Layer] = []
    constant = {blob for layer in layers if layer.type == "MemoryData" for blob in layer.outputs}
    for layer in layers:
        if layer.type == "Split" and layer.inputs[0] in constant:
            constant.update(layer.outputs)
    for layer in reversed(layers):
        if layer.outputs and set(layer.outputs) <= constant:
            layer.outputs = [blob for blob in layer.outputs if blob in read]
            if not layer.outputs:
                continue
        read.update(layer.inputs)
        used.append(layer)
    return used[::-1]
