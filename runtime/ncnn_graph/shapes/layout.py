"""Layers that give the same values another shape: Reshape, Flatten, Permute, Squeeze, ExpandDims."""

from collections.abc import Sequence
from math import prod

from pocketdet.runtime.ncnn_graph.model import Layer
from pocketdet.runtime.ncnn_graph.shapes.op import Op, Shape, axis_of, expect_range, op

_ABSENT = -233
# Order of the output's axes from the innermost outwards, by Permute's parameter 0 (permute.cpp).
_PERMUTE = (
    "whdc", "hwdc", "wdhc", "dwhc", "hdwc", "dhwc", "whcd", "hwcd", "wchd", "cwhd", "hcwd", "chwd",
    "wdch", "dwch", "wcdh", "cwdh", "dcwh", "cdwh", "hdcw", "dhcw", "hcdw", "chdw", "dchw", "cdhw",
)  # fmt: skip
_PERMUTE_3D = ("whc", "hwc", "wch", "cwh", "hcw", "chw")


def _reshape(layer: Layer, inputs: Sequence[Shape]) -> list[Shape]:
    shape = inputs[0]
    if layer.int_param(12, 233) != 233 or layer.int_param(13, 233) != 233:
        raise layer.error("reshapes over the batch axis are not supported")
    w, h, c, d = (layer.int_param(key, _ABSENT) for key in (0, 1, 2, 11))
    target = [w] if h == _ABSENT else [h, w] if c == _ABSENT else [c, h, w] if d == _ABSENT else [c, d, h, w]
    if w == _ABSENT:
        raise layer.error("a reshape without a width is not supported")
    kept = {"w": shape[-1], "h": shape[-2] if len(shape) > 1 else 1, "d": shape[1] if len(shape) == 4 else 1}
    kept["c"] = shape[0] if len(shape) > 2 else 1
    names = {1: "w", 2: "hw", 3: "chw", 4: "cdhw"}[len(target)]
    target = [kept[name] if size == 0 else size for name, size in zip(names, target, strict=True)]
    total = prod(shape)
    if target.count(-1) == 1:
        known = prod(size for size in target if size != -1)
        if known < 1 or total % known:
            raise layer.error(f"cannot reshape {shape} to {tuple(target)}")
        target[target.index(-1)] = total // known
    if min(target) < 1 or prod(target) != total:
        raise layer.error(f"cannot reshape {shape} to {tuple(target)}")
    return [tuple(target)]


def _flatten(_layer: Layer, inputs: Sequence[Shape]) -> list[Shape]:
    return [(prod(inputs[0]),)]


def _permute(layer: Layer, inputs: Sequence[Shape]) -> list[Shape]:
    shape = inputs[0]
    order = expect_range(layer, "the order", layer.int_param(0, 0), 0, {1: 0, 2: 1, 3: 5, 4: 23}[len(shape)])
    names = {1: "w", 2: "hw", 3: "chw", 4: "cdhw"}[len(shape)]
    inner_first = {1: ("w",), 2: ("wh", "hw"), 3: _PERMUTE_3D, 4: _PERMUTE}[len(shape)][order]
    return [tuple(shape[names.index(name)] for name in reversed(inner_first))]


def _squeeze(layer: Layer, inputs: Sequence[Shape]) -> list[Shape]:
    shape = inputs[0]
    axes = [axis_of(layer, axis, len(shape)) for axis in layer.int_array(3)]
    if not axes:
        flags = {"w": 0, "h": 1, "d": 11, "c": 2}
        names = {1: "w", 2: "hw", 3: "chw", 4: "cdhw"}[len(shape)]
        axes = [i for i, name in enumerate(names) if layer.int_param(flags[name], 0)]
    return [tuple(size for i, size in enumerate(shape) if i not in axes or size != 1) or (1,)]


def _expand_dims(layer: Layer, inputs: Sequence[Shape]) -> list[Shape]:
    shape = inputs[0]
    dims = len(shape) + len(layer.int_array(3))
    if dims > 4:
        raise layer.error(f"would give its input {shape} more than 4 dimensions")
    axes = {axis_of(layer, axis, dims) for axis in layer.int_array(3)}
    if len(axes) != dims - len(shape):
        raise layer.error(f"names an axis twice: {layer.int_array(3)}")
    sizes = iter(shape)
    return [tuple(1 if i in axes else next(sizes) for i in range(dims))]


LAYOUT_OPS: dict[str, Op] = {
    "ExpandDims": op(_expand_dims, {3}),
    "Flatten": op(_flatten),
    "Permute": op(_permute, {0}),
    "Reshape": op(_reshape, {0, 1, 2, 11, 12, 13}),
    "Squeeze": op(_squeeze, {0, 1, 2, 3, 11}),
}
