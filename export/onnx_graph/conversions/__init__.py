"""Rewrites of an ONNX graph of fixed size into operators that pnnx converts, with equal values.

A rule of onnxscript's rewriter is a pattern, a check that fails with a reason, and the replacement. `RULES`
lists them.
"""

from collections.abc import Mapping

import onnx
from onnxscript import ir
from onnxscript.rewriter import RewriteRule

from pocketdet.export.onnx_graph.conversions import focus, resize

RULES: Mapping[str, RewriteRule] = {
    "Focus became a convolution": focus.RULE,
    "Resize without its unused roi": resize.RULE_ROI,
    "Resize with whole factors by its equal, asymmetric form": resize.RULE_WHOLE_FACTORS,
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
