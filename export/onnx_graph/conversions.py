"""Rewrites of an ONNX graph of fixed size into operators that pnnx converts, with equal values.

A rule of onnxscript's rewriter is a pattern, a check that fails with a reason, and the replacement. `RULES`
lists them.

- Focus as a convolution. YOLOv5 up to version 5 and YOLOX begin with four slices of step 2, one for each
  place in a block of 2 x 2 pixels, and concatenate them over the channels. ncnn's slices have no step. A
  2 x 2 convolution of stride 2 whose weights are 0 and 1 has the same values exactly.
- Resize without `roi`. Paddle2ONNX writes one, which only the mode "tf_crop_and_resize" reads. It is dropped
  in other modes.
- Resize in an asymmetric form. Nearest neighbours by a whole factor take source k for targets k * factor to
  (k + 1) * factor - 1, with "half_pixel" and any rounding as well as with "asymmetric" and "floor". They get
  the latter form, which pnnx converts.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxscript import ir
from onnxscript.rewriter import MatchResult, RewriteRule

_STEP = 2
_ROWS, _COLUMNS = 2, 3  # axes of (1, c, h, w)
_SYMMETRIC = ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric")


def _four_parts(op: Any, a: ir.Value, b: ir.Value, c: ir.Value, d: ir.Value) -> Any:
    return op.Concat(a, b, c, d, axis=1)


def _check_focus(
    context: object, a: ir.Value, b: ir.Value, c: ir.Value, d: ir.Value, **_: object
) -> MatchResult:
    result = MatchResult()
    found = [_place(value) for value in (a, b, c, d)]
    sources = {id(source): source for source, _, _ in found}
    if len(sources) != 1:
        return result.fail("the parts are slices of different tensors")
    shape = _shape_of(found[0][0])
    if shape is None or len(shape) != 4 or shape[2] % _STEP or shape[3] % _STEP:
        return result.fail(f"the sliced tensor is {shape}, expected a map with even sides")
    if any(row is None or column is None for _, row, column in found):
        return result.fail("a part is not every second row and column")
    return result


def _as_convolution(op: Any, a: ir.Value, b: ir.Value, c: ir.Value, d: ir.Value, **_: object) -> Any:
    found = [_place(value) for value in (a, b, c, d)]
    source = found[0][0]
    shape = _shape_of(source)
    assert shape is not None  # `_check_focus` has seen it
    channels = shape[1]
    weights = np.zeros((len(found) * channels, channels, _STEP, _STEP), np.float32)
    for number, (_source, row, column) in enumerate(found):
        for channel in range(channels):
            weights[number * channels + channel, channel, row, column] = 1
    kernel = op.initializer(ir.tensor(weights), name=f"{a.name}/focus")
    return op.Conv(source, kernel, strides=[_STEP, _STEP], kernel_shape=[_STEP, _STEP])


def _place(value: ir.Value) -> tuple[ir.Value, int | None, int | None]:
    """The tensor that slices of step 2 start from, the first row and the first column; None if not sliced."""
    first: dict[int, int | None] = {_ROWS: None, _COLUMNS: None}
    while (node := value.producer()) is not None and node.op_type == "Slice" and (source := node.inputs[0]):
        sliced = _slices(node, _shape_of(source))
        if sliced is None or any(first.get(axis, 0) is not None for axis in sliced):
            break
        first |= sliced
        value = source
    return value, first[_ROWS], first[_COLUMNS]


def _slices(node: ir.Node, shape: tuple[int, ...] | None) -> dict[int, int] | None:
    """Axis -> first element of a Slice that takes every second element; None for any other."""
    starts, ends, axes, steps = (_integers_of(value) for value in (*node.inputs[1:], None, None)[:4])
    if shape is None or starts is None or ends is None or axes is None or steps is None:
        return None
    found = {}
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        axis %= len(shape)
        if step != _STEP or start not in (0, 1) or (end < shape[axis] - (1 - start) and end >= 0) or end < -1:
            return None
        found[axis] = start
    return found


def _any_resize(op: Any, x: ir.Value) -> Any:
    return op.Resize(x, _allow_other_inputs=True, _outputs=["resized"])


def _check_roi(context: object, resized: ir.Value, **_: object) -> MatchResult:
    result, node = MatchResult(), _node(resized)
    roi = node.inputs[1] if len(node.inputs) > 1 else None
    if roi is None:
        return result.fail("there is no roi")
    known = _constant_of(roi)
    if known is not None and known.size == 0:
        return result.fail("the roi is empty")
    if _text(node, "coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize":
        return result.fail("the mode reads the roi")
    return result


def _without_roi(op: Any, x: ir.Value, resized: ir.Value) -> Any:
    node = _node(resized)
    empty = op.Constant(value=ir.tensor(np.zeros(0, np.float32)))  # before opset 13 it is not optional
    return op.Resize(x, empty, *node.inputs[2:], **node.attributes)


def _check_whole_factors(context: object, x: ir.Value, resized: ir.Value) -> MatchResult:
    result, node = MatchResult(), _node(resized)
    if _text(node, "mode", "nearest") != "nearest":
        return result.fail("it interpolates")
    if _text(node, "coordinate_transformation_mode", "half_pixel") not in _SYMMETRIC:
        return result.fail("its coordinates are not half_pixel")
    before, after = _shape_of(x), _shape_of(resized)
    if before is None or after is None or any(b % a for a, b in zip(before, after, strict=True)):
        return result.fail(f"the factors of {before} to {after} are not whole")
    return result


def _asymmetric(op: Any, x: ir.Value, resized: ir.Value) -> Any:
    node = _node(resized)
    changed = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return op.Resize(x, *node.inputs[1:], **{**node.attributes, **changed})


def _node(value: ir.Value) -> ir.Node:
    node = value.producer()
    assert node is not None
    return node


def _text(node: ir.Node, name: str, default: str) -> str:
    attribute = node.attributes.get(name)
    return default if attribute is None else attribute.as_string()


def _shape_of(value: ir.Value | None) -> tuple[int, ...] | None:
    """The shape of a value; None if a length is not known."""
    if value is None or value.shape is None:
        return None
    axes = tuple(axis for axis in value.shape if isinstance(axis, int))
    return axes if len(axes) == len(value.shape) else None


def _constant_of(value: ir.Value | None) -> NDArray[np.generic] | None:
    """The elements of a constant; None for a computed value."""
    found = ir.convenience.get_const_tensor(value) if value is not None else None
    return None if found is None else found.numpy()


def _integers_of(value: ir.Value | None) -> tuple[int, ...] | None:
    """The elements of a constant of integers; None for anything else."""
    found = _constant_of(value)
    if found is None or found.dtype.kind not in "iu":
        return None
    return tuple(int(element) for element in found.reshape(-1))


RULES: Mapping[str, RewriteRule] = {
    "Focus became a convolution": RewriteRule(_four_parts, _as_convolution, _check_focus, name="focus"),
    "Resize without its unused roi": RewriteRule(_any_resize, _without_roi, _check_roi, name="resize_roi"),
    "Resize with whole factors by its equal, asymmetric form": RewriteRule(
        _any_resize, _asymmetric, _check_whole_factors, name="resize_whole_factors"
    ),
}


def apply_conversions(model: onnx.ModelProto) -> tuple[onnx.ModelProto, dict[str, int]]:
    """Apply every rule wherever it matches.

    Args:
        model: a graph whose shapes are known; it is not changed.

    Returns:
        The new graph, and how often each rule was applied; rules that were not are left out.
    """
    graph = ir.from_proto(onnx.shape_inference.infer_shapes(model, data_prop=True))
    counts = {title: rule.apply_to_model(graph) for title, rule in RULES.items()}
    used = {title: count for title, count in counts.items() if count}
    return (ir.to_proto(graph) if used else model), used
