"""Post-training quantization of ncnn graphs to int8, with scales from calibration images.

made = quantize(graph, {"image": (3, 320, 320)}, items, QuantizeSettings(max_output_error=0.1))
print(made.report.summary())
write_graph(made.graph, "int8.param", "int8.bin")
"""

from pocketdet.export.quantization.quantize import Quantized, quantize
from pocketdet.export.quantization.settings import QuantizeSettings
from pocketdet.export.quantization.table import Table, apply_table

__all__ = ["QuantizeSettings", "Quantized", "Table", "apply_table", "quantize"]
