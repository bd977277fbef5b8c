"""Shape rules, one small rule per layer type, a file per family."""

from pocketdet.runtime.ncnn_graph.shapes.infer import OPS, SOURCE_PARAMS, infer_shapes
from pocketdet.runtime.ncnn_graph.shapes.op import Op, Shape

__all__ = ["OPS", "SOURCE_PARAMS", "Op", "Shape", "infer_shapes"]
