"""Activations, unary and binary arithmetic, normalisation: layers that keep the shape of their first input.

BinaryOp broadcasts as ncnn does: a tensor of fewer dimensions first gets trailing ones, except that a vector
as long as the other's width, and not as its channels, lies along the width.
"""

from collections.abc import Sequence
from math import prod

from pocketdet.runtime.ncnn_graph.model import Layer
from pocketdet.runtime.ncnn_graph.shapes.op import (
    Op,
    Shape,
    axis_of,
    expect_dims,
    expect_range,
    op,
    unchanged,
)

_MANY = 4096


def broadcast(layer: Layer, a: Shape, b: Shape) -> Shape:
    """Shape of BinaryOp on two tensors. Raises GraphError when an axis is neither equal nor 1."""
    first, second = _expanded(a, b), _expanded(b, a)
    if any(x != y and 1 not in (x, y) for x, y in zip(first, second, strict=True)):
        raise layer.error(f"cannot broadcast {a} with {b}")
    return tuple(max(pair) for pair in zip(first, second, strict=True))


def _expanded(shape: Shape, other: Shape) -> Shape:
    missing = max(len(other) - len(shape), 0)
    if len(shape) == 1 and missing and shape[0] != other[0]:
        return (1,) * missing + shape
    return shape + (1,) * missing


def _binary(layer: Layer, inputs: Sequence[Shape]) -> list[Shape]:
    expect_range(layer, "the operation", layer.int_param(0, 0), 0, 18)
    with_scalar = layer.int_param(1, 0) != 0
    if len(inputs) != (1 if with_scalar else 2):
        raise layer.error(f"takes {1 if with_scalar else 2} inputs, found {len(inputs)}")
    layer.float_param(2, 0.0)
    return [inputs[0] if with_scalar else broadcast(layer, inputs[0], inputs[1])]


def _unary(layer: Layer, inputs: Sequence[Shape]) -> list[Shape]:
    expect_range(layer, "the operation", layer.int_param(0, 0), 0, 27)
    return [inputs[0]]


def _eltwise(layer: Layer, inputs: Sequence[Shape]) -> list[Shape]:
    expect_range(layer, "the operation", layer.int_param(0, 0), 0, 2)
    if len(set(inputs)) != 1:
        raise layer.error(f"takes inputs of one shape, found {list(inputs)}")
    if len(layer.float_array(1)) not in (0, len(inputs)):
        raise layer.error(f"has {len(layer.float_array(1))} coefficients for {len(inputs)} inputs")
    return [inputs[0]]


def _per_channel(layer: Layer, inputs: Sequence[Shape]) -> list[Shape]:
    """BatchNorm, Bias, Scale and PReLU: parameter 0 counts the values along the first axis."""
    count, shape = layer.int_param(0, 0), inputs[0]
    if layer.type == "Bias":
        expect_dims(layer, shape, 3)
    if layer.type == "Scale" and (count == -233 or len(inputs) == 2):
        if (count, len(inputs), layer.int_param(1, 0)) != (-233, 2, 0) or inputs[1] != (shape[0],):
            raise layer.error(f"a scale by a second input takes a vector of {shape[0]} without bias")
        return [shape]
    if count != shape[0] and not (layer.type == "PReLU" and count == 1):
        raise layer.error(f"has values for {count} channels and its input is {shape}")
    return [shape]


def _group_norm(layer: Layer, inputs: Sequence[Shape]) -> list[Shape]:
    group, channels = layer.int_param(0, 1), layer.int_param(1, 0)
    if group < 1 or channels != inputs[0][0] or channels % group:
        raise layer.error(f"{channels} channels in {group} groups do not fit the input {inputs[0]}")
    return [inputs[0]]


def _instance_norm(layer: Layer, inputs: Sequence[Shape]) -> list[Shape]:
    expect_dims(layer, inputs[0], 3)
    if layer.int_param(2, 1) and layer.int_param(0, 0) != inputs[0][0]:
        raise layer.error(f"has values for {layer.int_param(0, 0)} channels and its input is {inputs[0]}")
    return [inputs[0]]


def _layer_norm(layer: Layer, inputs: Sequence[Shape]) -> list[Shape]:
    """LayerNorm and RMSNorm normalise over the last axes, never over the first of several."""
    shape, size = inputs[0], layer.int_param(0, 0)
    spans = [prod(shape[i:]) for i in range(1, len(shape))] if len(shape) > 1 else [shape[0]]
    if size not in spans:
        raise layer.error(f"normalises over {size} values, which does not fit the input {shape}")
    return [shape]


def _normalize(layer: Layer, inputs: Sequence[Shape]) -> list[Shape]:
    expect_dims(layer, inputs[0], 3)
    shared = layer.int_param(1, 0) != 0
    if layer.int_param(3, 0) != (1 if shared else inputs[0][0]):
        raise layer.error(f"has {layer.int_param(3, 0)} scales and its input is {inputs[0]}")
    return [inputs[0]]


def _lrn(layer: Layer, inputs: Sequence[Shape]) -> list[Shape]:
    expect_dims(layer, inputs[0], 3)
    expect_range(layer, "the region", layer.int_param(0, 0), 0, 1)
    expect_range(layer, "the local size", layer.int_param(1, 5), 1, 1023)
    return [inputs[0]]


def _softmax(layer: Layer, inputs: Sequence[Shape]) -> list[Shape]:
    axis = layer.int_param(0, 0)
    axis_of(layer, axis, len(inputs[0]))
    if axis != 0 and not layer.int_param(1, 0):
        raise layer.error("was written by an old converter (parameter 1 is 0), which ncnn refuses")
    return [inputs[0]]


def _cast(layer: Layer, inputs: Sequence[Shape]) -> list[Shape]:
    if layer.int_param(0, 0) != layer.int_param(1, 0):
        raise layer.error("casts to another element type are not supported")
    return [inputs[0]]


ELEMENTWISE_OPS: dict[str, Op] = {
    **{
        name: op(unchanged)
        for name in ("AbsVal", "BNLL", "DeepCopy", "Erf", "Mish", "Sigmoid", "Softplus", "Swish", "TanH")
    },
    **{name: op(unchanged, {0}) for name in ("CELU", "Dropout", "ELU", "GELU", "ReLU", "Threshold")},
    **{name: op(unchanged, {0, 1}) for name in ("Clip", "HardSigmoid", "HardSwish", "SELU", "Shrink")},
    **{name: op(unchanged, {0, 1, 2}) for name in ("Exp", "Log", "Power")},
    "BatchNorm": op(_per_channel, {0, 1}),
    "Bias": op(_per_channel, {0}),
    "BinaryOp": op(_binary, {0, 1, 2}, inputs=(1, 2)),
    "Cast": op(_cast, {0, 1}),
    "Eltwise": op(_eltwise, {0, 1}, inputs=(2, _MANY)),
    "GroupNorm": op(_group_norm, {0, 1, 2, 3}),
    "InstanceNorm": op(_instance_norm, {0, 1, 2}),
    "LRN": op(_lrn, {0, 1, 2, 3, 4}),
    "LayerNorm": op(_layer_norm, {0, 1, 2}),
    "Normalize": op(_normalize, {0, 1, 2, 3, 4, 9}),
    "PReLU": op(_per_channel, {0}),
    "RMSNorm": op(_layer_norm, {0, 1, 2}),
    "Scale": op(_per_channel, {0, 1}, inputs=(1, 2)),
    "Softmax": op(_softmax, {0, 1}),
    "UnaryOp": op(_unary, {0}),
}
