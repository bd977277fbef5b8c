"""Convolution, ConvolutionDepthWise, Deconvolution, DeconvolutionDepthWise, DeformableConv2D.

A window of extent e = dilation * (kernel - 1) + 1 over n padded pixels gives (n - e) / stride + 1 outputs;
a transposed one (n - 1) * stride + e + output padding, less the pads.
"""

from collections.abc import Sequence
from typing import NamedTuple

from pocketdet.runtime.ncnn_graph.model import Layer
from pocketdet.runtime.ncnn_graph.shapes.op import Op, Shape, checked, expect_dims, expect_range, op
from pocketdet.runtime.ncnn_graph.weight_slots import weight_slots

SAME_UPPER, SAME_LOWER = -233, -234
INT8_TERMS = (0, 1, 2, 101, 102)
_MAX_WINDOW = 2**20
_CONVOLUTION = {0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 19}
_DECONVOLUTION = {0, 1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 13, 14, 15, 16, 18, 19, 20, 21, 28}


class Window(NamedTuple):
    """Kernel extent and stride along (h, w), and the pads (top, bottom, left, right) as written."""

    extent: tuple[int, int]
    stride: tuple[int, int]
    pads: tuple[int, int, int, int]


def check_activation(layer: Layer) -> None:
    """Raise GraphError for a fused activation (parameters 9 and 10) that ncnn would read out of bounds."""
    kind = expect_range(layer, "the fused activation", layer.int_param(9, 0), 0, 6)
    needed = {2: 1, 3: 2, 6: 2}.get(kind, 0)
    if len(layer.float_array(10)) < needed:
        raise layer.error(f"the fused activation {kind} needs {needed} values in parameter 10")


def _convolution(layer: Layer, inputs: Sequence[Shape]) -> list[Shape]:
    weight = _static_weight(layer, 19)
    if layer.int_param(8, 0) not in INT8_TERMS:
        raise layer.error(f"the int8 scale term must be one of {INT8_TERMS}, found {layer.int_param(8, 0)}")
    group = layer.int_param(7, 1) if layer.type == "ConvolutionDepthWise" else 1
    shape = inputs[0]
    if len(shape) == 1 and layer.type == "Convolution" and weight[2:] == (1, 1) and shape[0] == weight[1]:
        return [(weight[0],)]
    _expect_channels(layer, shape, weight[1] * group)
    window = _window(layer, weight)
    height, width = (
        _outputs(layer, size, window.extent[i], window.stride[i], window.pads[2 * i : 2 * i + 2])
        for i, size in enumerate(shape[1:])
    )
    if window.pads[0] >= 0:
        top, bottom, left, right = window.pads
        checked(layer, (shape[0], shape[1] + top + bottom, shape[2] + left + right))
    return [(weight[0], height, width)]


def _deconvolution(layer: Layer, inputs: Sequence[Shape]) -> list[Shape]:
    weight = _static_weight(layer, 28)
    group = layer.int_param(7, 1) if layer.type == "DeconvolutionDepthWise" else 1
    shape = inputs[0]
    _expect_channels(layer, shape, weight[1] * group)
    window = _window(layer, weight)
    right_extra = expect_range(layer, "the output padding", layer.int_param(18, 0), 0, _MAX_WINDOW)
    extra = (
        expect_range(layer, "the output padding", layer.int_param(19, right_extra), 0, _MAX_WINDOW),
        right_extra,
    )
    full = [(size - 1) * window.stride[i] + window.extent[i] + extra[i] for i, size in enumerate(shape[1:])]
    checked(layer, (weight[0], *full))
    width = layer.int_param(20, 0)
    wanted = (layer.int_param(21, width), width)
    if any(pad > 0 for pad in window.pads):
        top, bottom, left, right = window.pads
        return [(weight[0], full[0] - top - bottom, full[1] - left - right)]
    if min(wanted) <= 0:
        return [(weight[0], *full)]
    if window.pads[0] not in (SAME_UPPER, SAME_LOWER) or any(
        w > f for w, f in zip(wanted, full, strict=True)
    ):
        raise layer.error(f"cannot cut {tuple(full)} down to {wanted} (h, w) with pads {window.pads}")
    return [(weight[0], *wanted)]


def _deformable(layer: Layer, inputs: Sequence[Shape]) -> list[Shape]:
    weight = weight_slots(layer)[0].shape
    check_activation(layer)
    shape = inputs[0]
    _expect_channels(layer, shape, weight[1])
    window = _window(layer, weight)
    if min(window.pads) < 0:
        raise layer.error(f"pads must not be negative, found {window.pads}")
    output = (
        weight[0],
        *(
            _outputs(layer, size, window.extent[i], window.stride[i], window.pads[2 * i : 2 * i + 2])
            for i, size in enumerate(shape[1:])
        ),
    )
    taps = weight[2] * weight[3]
    expected = [(2 * taps, *output[1:]), (taps, *output[1:])][: len(inputs) - 1]
    if list(inputs[1:]) != expected:
        raise layer.error(f"offset and mask must be {expected}, found {list(inputs[1:])}")
    return [output]


def _static_weight(layer: Layer, dynamic_key: int) -> Shape:
    if layer.int_param(dynamic_key, 0):
        raise layer.error("weights that are computed at run time are not supported")
    check_activation(layer)
    return weight_slots(layer)[0].shape


def _expect_channels(layer: Layer, shape: Shape, channels: int) -> None:
    expect_dims(layer, shape, 3)
    if shape[0] != channels:
        raise layer.error(
            f"its weights take {channels} channels and its input {layer.inputs[0]!r} is {shape}"
        )


def _window(layer: Layer, weight: Shape) -> Window:
    dilation_w, stride_w, left = (layer.int_param(key, default) for key, default in ((2, 1), (3, 1), (4, 0)))
    dilation = (layer.int_param(12, dilation_w), dilation_w)
    stride = (layer.int_param(13, stride_w), stride_w)
    top = layer.int_param(14, left)
    pads = (top, layer.int_param(16, top), left, layer.int_param(15, left))
    for name, pair in (("dilation", dilation), ("stride", stride), ("kernel", weight[2:4])):
        for value in pair:
            expect_range(layer, f"the {name}", value, 1, _MAX_WINDOW)
    if pads not in ((SAME_UPPER,) * 4, (SAME_LOWER,) * 4) and not all(
        0 <= pad <= _MAX_WINDOW for pad in pads
    ):
        raise layer.error(f"pads (top, bottom, left, right) must not be negative, found {pads}")
    extent = (dilation[0] * (weight[2] - 1) + 1, dilation[1] * (weight[3] - 1) + 1)
    return Window(extent, stride, pads)


def _outputs(layer: Layer, size: int, extent: int, stride: int, pads: Sequence[int]) -> int:
    if pads[0] in (SAME_UPPER, SAME_LOWER):
        padding = extent + (size - 1) // stride * stride - size
        if padding < 0:
            raise layer.error(
                f"SAME padding of {size} with extent {extent} and stride {stride} would be negative"
            )
        padded = size + padding
    else:
        padded = size + sum(pads)
    if padded < extent:
        raise layer.error(f"a window of extent {extent} does not fit {padded} padded pixels")
    return (padded - extent) // stride + 1


CONVOLUTION_OPS: dict[str, Op] = {
    "Convolution": op(_convolution, _CONVOLUTION),
    "ConvolutionDepthWise": op(_convolution, _CONVOLUTION | {7}),
    "Deconvolution": op(_deconvolution, _DECONVOLUTION),
    "DeconvolutionDepthWise": op(_deconvolution, _DECONVOLUTION | {7}),
    "DeformableConv2D": op(_deformable, _CONVOLUTION - {8, 18, 19}, inputs=(2, 3)),
}
