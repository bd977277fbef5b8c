"""The precision in which each layer of a bundle is stored and computed, so that no layer overflows.

    plans = make_plan(parts, "fp16", read_layer_file(path))
    print(plans["features"].fp32)       # layers that stay in fp32, by the user's choice or for their range

docs/explanation/precision.md defines the terms and the file with choices per layer.
"""

from pocketdet.export.precision.overflow import Risk, find_risks, measure_peaks
from pocketdet.export.precision.plan import (
    GraphPlan,
    LayerChoice,
    LayerPrecision,
    PlanPart,
    fp32_layers,
    make_plan,
    read_layer_file,
)

__all__ = [
    "GraphPlan",
    "LayerChoice",
    "LayerPrecision",
    "PlanPart",
    "Risk",
    "find_risks",
    "fp32_layers",
    "make_plan",
    "measure_peaks",
    "read_layer_file",
]
