"""Post-training quantization of ncnn graphs to int8, with scales from calibration images.

made = quantize(graph, {"image": (3, 320, 320)}, items, QuantizeSettings(max_output_error=0.1))
print(made.report.summary())
write_graph(made.graph, "int8.param", "int8.bin")
"""

from pocketdet.export.quantization.quantize import Quantized, quantize
from pocketdet.export.quantization.report import LayerReport, QuantizeReport, Sizes, Step, Variant
from pocketdet.export.quantization.search import GraphMetric
from pocketdet.export.quantization.settings import Item, Method, QuantizeSettings
from pocketdet.export.quantization.table import Table, apply_table

__all__ = [
    "GraphMetric",
    "Item",
    "LayerReport",
    "Method",
    "QuantizeReport",
    "QuantizeSettings",
    "Quantized",
    "Sizes",
    "Step",
    "Table",
    "Variant",
    "apply_table",
    "quantize",
]
