"""Focus as a convolution.

YOLOv5 up to version 5 and YOLOX begin with four slices of step 2, one for each place in a block of 2 x 2
pixels, and concatenate them over the channels. ncnn's slices have no step. A 2 x 2 convolution of stride 2
whose weights are 0 and 1 has the same values exactly.
"""

from typing import Any

import numpy as np
from onnxscript import ir
from onnxscript.rewriter import MatchResult, RewriteRule

from pocketdet.export.onnx_graph.conversions.values import integers_of, shape_of

_STEP = 2
_ROWS, _COLUMNS = 2, 3  # axes of (1, c, h, w)


def _pattern(op: Any, a: ir.Value, b: ir.Value, c: ir.Value, d: ir.Value) -> Any:
    return op.Concat(a, b, c, d, axis=1)


def _check(context: object, a: ir.Value, b: ir.Value, c: ir.Value, d: ir.Value, **_: object) -> MatchResult:
    result = MatchResult()
    found = [_place(value) for value in (a, b, c, d)]
    sources = {id(source): source for source, _, _ in found}
    if len(sources) != 1:
        return result.fail("the parts are slices of different tensors")
    shape = shape_of(found[0][0])
    if shape is None or len(shape) != 4 or shape[2] % _STEP or shape[3] % _STEP:
        return result.fail(f"the sliced tensor is {shape}, expected a map with even sides")
    if any(row is None or column is None for _, row, column in found):
        return result.fail("a part is not every second row and column")
    return result


def _rewrite(op: Any, a: ir.Value, b: ir.Value, c: ir.Value, d: ir.Value, **_: object) -> Any:
    found = [_place(value) for value in (a, b, c, d)]
    source = found[0][0]
    shape = shape_of(source)
    assert shape is not None  # `_check` has seen it
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
        sliced = _slices(node, shape_of(source))
        if sliced is None or any(first.get(axis, 0) is not None for axis in sliced):
            break
        first |= sliced
        value = source
    return value, first[_ROWS], first[_COLUMNS]


def _slices(node: ir.Node, shape: tuple[int, ...] | None) -> dict[int, int] | None:
    """Axis -> first element of a Slice that takes every second element; None for any other."""
    starts, ends, axes, steps = (integers_of(value) for value in (*node.inputs[1:], None, None)[:4])
    if shape is None or starts is None or ends is None or axes is None or steps is None:
        return None
    found = {}
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        axis %= len(shape)
        if step != _STEP or start not in (0, 1) or (end < shape[axis] - (1 - start) and end >= 0) or end < -1:
            return None
        found[axis] = start
    return found


RULE = RewriteRule(_pattern, _rewrite, _check, name="focus")
