"""In which precision each layer of a bundle is stored and computed, and that nothing overflows in it.

    plans = make_plan(parts, "fp16", read_layer_file(path))
    print(plans["features"].fp32)       # layers that stay in fp32, by the user's wish or for their range

The terms, their meaning in ncnn, and the file that chooses per layer: docs/explanation/precision.md.
"""

from pocketdet.export.precision.keep_in_fp32 import keep_in_fp32
from pocketdet.export.precision.layer_file import LayerChoice, LayerPrecision, read_layer_file
from pocketdet.export.precision.plan import GraphPlan, PlanPart, make_plan
from pocketdet.export.precision.ranges import MARGIN, Risk, find_risks, measure_peaks

__all__ = [
    "MARGIN",
    "GraphPlan",
    "LayerChoice",
    "LayerPrecision",
    "PlanPart",
    "Risk",
    "find_risks",
    "keep_in_fp32",
    "make_plan",
    "measure_peaks",
    "read_layer_file",
]
