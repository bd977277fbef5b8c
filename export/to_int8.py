"""Step 6b of the export: a graph in int8, calibrated on pictures and checked against PyTorch.

Quantised is what alignment has made, so that alignment is proved in fp32, and the table belongs to the graph
that runs. The table and its report lie beside the other references of the bundle.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol

from pocketdet.errors import UsageError
from pocketdet.export.precision import GraphPlan
from pocketdet.export.precision.offsets import offset_layers
from pocketdet.export.quantize import Quantized, QuantizeSettings, quantize
from pocketdet.runtime.bundle.schema import GraphSpec
from pocketdet.runtime.engines.base import Array, GraphName
from pocketdet.runtime.ncnn_graph import Graph, write_graph

MOST_PICTURES = 512  # more find no new ranges, and are 1.2 MB each at 320x320

Progress = Callable[[str, int, int], None]


class Metric(Protocol):
    """Accuracy that is lost if a graph replaces its fp32 counterpart; higher is worse."""

    def __call__(self, name: GraphName, graph: Graph) -> float:
        """The loss with this graph and the committed ones."""

    def commit(self, name: GraphName, graph: Graph) -> None:
        """Use this graph in all later measurements."""


@dataclass(frozen=True)
class Calibration:
    """What int8 is found with. inputs: of each graph, by its name, one a picture.

    metric: reports at most `settings.max_judged` for the chosen layers, if that is possible.
    """

    inputs: Mapping[str, Sequence[Array]]
    settings: QuantizeSettings
    metric: Metric | None = None
    progress: Progress = lambda stage, done, total: None


def table_file(graph: GraphName) -> str:
    """Where a bundle keeps how a graph was quantised."""
    return f"reference/{graph}.int8.json"


def to_int8(
    name: GraphName, spec: GraphSpec, graph: Graph, plan: GraphPlan, calibration: Calibration, folder: Path
) -> tuple[GraphSpec, Quantized]:
    """Quantise `graph`, write its ncnn files and its table into `folder`.

    Layers of the plan that alignment has left out cannot be kept, and need not. Blobs that were equalised
    have no PyTorch twin any more: they are another multiple of it in each channel. Raises `UsageError` for
    pictures or settings that cannot be used, `GraphError` for a graph without a layer to quantise,
    `EngineError` if ncnn fails or computes NaN.
    """
    blob, items = spec.inputs[0].blob, calibration.inputs[name]
    if not items:
        raise UsageError(f"int8: the calibration pictures give no input of the {name} graph, not one RoI")
    inputs = {blob: items[0].shape}
    names = {layer.name for layer in graph.layers}
    keep = dict.fromkeys((*(n for n in plan.fp32 if n in names), *offset_layers(graph)))
    settings = replace(calibration.settings, keep=tuple(keep))
    metric = calibration.metric
    made = quantize(
        graph,
        inputs,
        [{blob: item} for item in items],
        settings,
        judge=None if metric is None else lambda tried: metric(name, tried),
        progress=lambda stage, done, total: calibration.progress(f"{name}: {stage}", done, total),
    )
    if metric is not None:
        metric.commit(name, made.graph)
    write_graph(made.graph, folder / spec.param, folder / spec.bin)
    document = {"table": made.table.model_dump(), "report": asdict(made.report)}
    path = folder / table_file(name)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    scaled = _equalised_blobs(graph, made)
    sources = {b: source for b, source in spec.layer_sources.items() if b not in scaled}
    return spec.model_copy(update={"layer_sources": sources}), made


def _equalised_blobs(graph: Graph, made: Quantized) -> set[str]:
    """What lies between the maker of an equalised tensor and its readers."""
    readers_of, makers = graph.consumers(), {layer.name: layer for layer in graph.layers}
    found: set[str] = set()
    for edge in made.table.equalised:
        open_blobs = list(makers[edge.maker].outputs)
        while open_blobs:
            blob = open_blobs.pop()
            found.add(blob)
            between = (layer for layer in readers_of[blob] if layer.name not in edge.readers)
            open_blobs += [output for layer in between for output in layer.outputs]
    return found
