"""Post-training quantization of an ncnn graph to int8, measured on items held out from calibration.

1. validate the items; hold a fifth of them out
2. observe the input of every layer in the fp32 graph; find scales by each method, take the best one
3. equalise channels between layers, if that reduces the error and the fp32 outputs do not change
4. quantize each layer alone: measure its own noise and its effect on the outputs
5. exclude the layers with the most noise per multiply-accumulate until the limits hold
6. write the table, apply it, and validate the graph like an untrusted one

Bias correction and ranges by Kullback-Leibler divergence were measured and are not used
(docs/explanation/precision.md).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import ncnn

from pocketdet.errors import UsageError
from pocketdet.export.quantization.activation_ranges import Progress
from pocketdet.export.quantization.report import QuantizeReport
from pocketdet.export.quantization.search import GraphMetric, Search
from pocketdet.export.quantization.settings import Item, QuantizeSettings, take_items
from pocketdet.export.quantization.table import Table, apply_table
from pocketdet.runtime.ncnn_graph import Graph, Shape, ValidGraph, validate
from pocketdet.runtime.output_fields import Regions


@dataclass(frozen=True)
class Quantized:
    """The int8 graph, the table that converts the fp32 graph to it, and the report."""

    graph: Graph
    table: Table
    report: QuantizeReport


def quantize(
    graph: Graph,
    inputs: Mapping[str, Shape],
    calibration: Iterable[Item],
    settings: QuantizeSettings | None = None,
    *,
    regions: Regions | None = None,
    metric: GraphMetric | None = None,
    progress: Progress = lambda stage, done, total: None,
) -> Quantized:
    """Quantize the layers of an ncnn graph that ncnn has in int8.

    The outputs keep their meaning; inner blobs may be scaled channel by channel. Items are used several times
    and run one at a time; inner values of the held-out items stay in memory.

    Args:
        graph: an fp32 graph; it is not changed.
        inputs: the shape of each input blob, without a batch axis.
        calibration: float32 inputs of the graph by blob name, such as preprocessed images; a `Sequence` may
            create its items on demand.
        settings: by default `QuantizeSettings()`.
        regions: the elements of each output blob that errors are measured on together; by default all.
        metric: the cost of a candidate graph, higher is worse; required if and only if `settings.max_metric`
            is set.
        progress: receives the name of a step, and how many items of how many are done.

    Returns:
        The int8 graph, its table and the report.

    Raises:
        UsageError: if the items or settings cannot be used.
        GraphError: if the graph is invalid or has no layer to quantize.
        EngineError: if ncnn fails or computes NaN.
    """
    settings = settings or QuantizeSettings()
    if (metric is None) != (settings.max_metric is None):
        raise UsageError("metric and max_metric belong together: give both or neither")
    items = take_items(calibration, inputs, settings.held_out)
    valid = _validate(graph, inputs)
    for shapes in items.shapes:
        _validate(graph, shapes)
    search = Search(graph, valid, items, settings, metric, progress, regions or {})
    table = search.run()
    made = apply_table(graph, table)
    _validate(made, inputs)
    return Quantized(made, table, search.report(made, table))


def _validate(graph: Graph, inputs: Mapping[str, Shape]) -> ValidGraph:
    return validate(graph, inputs, lambda name: ncnn.layer_to_index(name) >= 0)
