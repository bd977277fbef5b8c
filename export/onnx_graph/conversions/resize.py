"""Resize in the forms that pnnx converts.

- Paddle2ONNX writes a `roi`, which only the mode "tf_crop_and_resize" reads. It is dropped in other modes.
- Nearest neighbours by a whole factor take source k for targets k * factor to (k + 1) * factor - 1, with
  "half_pixel" and any rounding as well as with "asymmetric" and "floor". They get the latter form.
"""

from typing import Any

import numpy as np
from onnxscript import ir
from onnxscript.rewriter import MatchResult, RewriteRule

from pocketdet.export.onnx_graph.conversions.values import constant_of, shape_of

_SYMMETRIC = ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric")


def _pattern(op: Any, x: ir.Value) -> Any:
    return op.Resize(x, _allow_other_inputs=True, _outputs=["resized"])


def _check_roi(context: object, resized: ir.Value, **_: object) -> MatchResult:
    result, node = MatchResult(), _node(resized)
    roi = node.inputs[1] if len(node.inputs) > 1 else None
    if roi is None:
        return result.fail("there is no roi")
    known = constant_of(roi)
    if known is not None and known.size == 0:
        return result.fail("the roi is empty")
    if _text(node, "coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize":
        return result.fail("the mode reads the roi")
    return result


def _without_roi(op: Any, x: ir.Value, resized: ir.Value) -> Any:
    node = _node(resized)
    empty = op.Constant(value=ir.tensor(np.zeros(0, np.float32)))  # before opset 13 it is not optional
    return op.Resize(x, empty, *node.inputs[2:], **node.attributes)


def _check_whole(context: object, x: ir.Value, resized: ir.Value) -> MatchResult:
    result, node = MatchResult(), _node(resized)
    if _text(node, "mode", "nearest") != "nearest":
        return result.fail("it interpolates")
    if _text(node, "coordinate_transformation_mode", "half_pixel") not in _SYMMETRIC:
        return result.fail("its coordinates are not half_pixel")
    before, after = shape_of(x), shape_of(resized)
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


RULE_ROI = RewriteRule(_pattern, _without_roi, _check_roi, name="resize_roi")
RULE_WHOLE_FACTORS = RewriteRule(_pattern, _asymmetric, _check_whole, name="resize_whole_factors")
