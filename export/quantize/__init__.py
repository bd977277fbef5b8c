"""Int8 for an ncnn graph, without training: scales from calibration pictures, in ncnn's own format.

made = quantize(graph, {"image": (3, 320, 320)}, pictures, QuantizeSettings(max_output_error=0.1))
print(made.report.summary())
write_graph(made.graph, "int8.param", "int8.bin")
again = apply_table(graph, Table.from_json(made.table.to_json()))
"""

from pocketdet.export.quantize.quantize import Quantized, quantize
from pocketdet.export.quantize.report import LayerReport, QuantizeReport, Sizes, Step, Variant
from pocketdet.export.quantize.search import Judge
from pocketdet.export.quantize.settings import Item, Method, QuantizeSettings
from pocketdet.export.quantize.table import Table, apply_table

__all__ = [
    "Item",
    "Judge",
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
