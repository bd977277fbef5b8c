"""Post-training quantisation of an ncnn graph to int8, proved on items held out from calibration.

1. refuse what cannot be calibrated; hold a fifth of the items out
2. observe every layer's input in the fp32 graph; scales by each method, the best one measured
3. equalise channels between layers; used if it was measured to help and fp32 answers stay
4. correct biases; used if it was measured to help
5. quantise each layer alone: its own noise and what it does to the outputs
6. leave the most harmful layers in fp32 until the limits hold
7. write the table, apply it, validate the graph as a stranger would
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import ncnn

from pocketdet.errors import UsageError
from pocketdet.export.quantize.items import take_items
from pocketdet.export.quantize.observe import Progress
from pocketdet.export.quantize.report import QuantizeReport
from pocketdet.export.quantize.search import Judge, Search
from pocketdet.export.quantize.settings import Item, QuantizeSettings
from pocketdet.export.quantize.table import Table, apply_table
from pocketdet.runtime.ncnn_graph import Graph, Shape, ValidGraph, validate


@dataclass(frozen=True)
class Quantized:
    """The int8 graph, the table that makes it from the fp32 one, and what it cost."""

    graph: Graph
    table: Table
    report: QuantizeReport


def quantize(
    graph: Graph,
    inputs: Mapping[str, Shape],
    calibration: Iterable[Item],
    settings: QuantizeSettings | None = None,
    *,
    judge: Judge | None = None,
    progress: Progress = lambda stage, done, total: None,
) -> Quantized:
    """Quantise the layers of `graph` that ncnn has in int8; the graph itself is never changed.

    Its outputs, which no layer reads, stay what they are; inner blobs may be scaled channel by channel.
    inputs: shapes that will be fed, without batch. calibration: float32 inputs of the graph by blob name,
    such as preprocessed pictures; give a `Sequence` to have items made when they are needed. judge: what a
    graph costs, higher is worse, for example average precision lost; it goes with `settings.max_judged`.
    Items are seen several times and run one at a time; inner values of those held out are kept in memory.

    Raises UsageError for items or settings that cannot be used, GraphError for an unsound graph or one
    without a layer to quantise, EngineError if ncnn fails or computes NaN.
    """
    settings = settings or QuantizeSettings()
    if (judge is None) != (settings.max_judged is None):
        raise UsageError("a judge and max_judged belong together: give both or neither")
    items = take_items(calibration, inputs, settings.held_out)
    valid = _validate(graph, inputs)
    for shapes in items.shapes:
        _validate(graph, shapes)
    search = Search(graph, valid, items, settings, judge, progress)
    table = search.run()
    made = apply_table(graph, table)
    _validate(made, inputs)
    return Quantized(made, table, search.report(made, table))


def _validate(graph: Graph, inputs: Mapping[str, Shape]) -> ValidGraph:
    return validate(graph, inputs, lambda name: ncnn.layer_to_index(name) >= 0)
