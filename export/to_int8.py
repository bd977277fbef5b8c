"""Step 6b of the export: quantize a graph to int8 on calibration images.

Quantization follows channel alignment, so that alignment is checked in fp32 and the table belongs to the
graph that runs. The table and its report are stored with the reference files of the bundle.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol

from pocketdet.errors import UsageError
from pocketdet.export.precision import GraphPlan, fp32_layers
from pocketdet.export.quantization import Quantized, QuantizeSettings, quantize
from pocketdet.export.quantization.arm_gain import layer_works, slower_layers
from pocketdet.runtime.bundle.schema import GraphSpec
from pocketdet.runtime.engines.base import Array, GraphName
from pocketdet.runtime.ncnn_graph import Graph, infer_shapes, write_graph
from pocketdet.runtime.output_fields import Regions
from pocketdet.runtime.parity import TOLERANCES

MOST_IMAGES = 512  # more find no new ranges and take 1.2 MB each at 320x320
# Without another limit, no field may have more noise than the finished graph is checked for. The 1.5 dB are
# for images that have more than the held-out ones together.
MOST_FIELD_ERROR = 10 ** (-((TOLERANCES["int8"].least_snr_db or 0) + 1.5) / 20)

Progress = Callable[[str, int, int], None]


class Metric(Protocol):
    """Accuracy that is lost if a graph replaces its fp32 counterpart; higher is worse."""

    def __call__(self, name: GraphName, graph: Graph) -> float:
        """The loss with this graph and the committed ones."""
        ...

    def commit(self, name: GraphName, graph: Graph) -> None:
        """Use this graph in all later measurements."""


@dataclass(frozen=True)
class Calibration:
    """The data that int8 is calibrated with.

    Attributes:
        inputs: of each graph, by its name, one per image.
        settings: of the quantization.
        metric: reports at most `settings.max_metric` for the chosen layers, if that is possible.
        progress: receives the name of a step, and how many items of how many are done.
    """

    inputs: Mapping[str, Sequence[Array]]
    settings: QuantizeSettings
    metric: Metric | None = None
    progress: Progress = lambda stage, done, total: None


def table_file(graph: GraphName) -> str:
    """The file of a bundle with the calibration table and the report of a graph."""
    return f"reference/{graph}.int8.json"


def to_int8(
    name: GraphName,
    spec: GraphSpec,
    graph: Graph,
    plan: GraphPlan,
    calibration: Calibration,
    folder: Path,
    regions: Regions,
) -> tuple[GraphSpec, Quantized]:
    """Quantize a graph, and write its ncnn files and its table.

    Layers of the plan that alignment removed are ignored. If the layers that are not int8 compute in fp16,
    which is for ARM, those that are predicted to be slower in int8 there stay as they are, unless the plan
    asks for int8. Equalised blobs are removed from the layer map since each of their channels is another
    multiple of the PyTorch value.

    Args:
        name: of the graph.
        spec: its files, inputs and outputs.
        graph: the fp32 graph.
        plan: its precision.
        calibration: the inputs and settings.
        folder: of the bundle.
        regions: of each output by role, the elements that errors are measured on together; all by default. If
            there are any and `calibration` sets no limit, the error of each is at most 17%.

    Returns:
        The specification with the new layer map, and the result of the quantization.

    Raises:
        UsageError: if the inputs or settings cannot be used.
        GraphError: if the graph has no layer to quantize.
        EngineError: if ncnn fails or computes NaN.
    """
    blob, items = spec.inputs[0].blob, calibration.inputs[name]
    if not items:
        raise UsageError(f"int8: the calibration images give no input of the {name} graph, not one RoI")
    inputs = {blob: items[0].shape}
    works = layer_works(graph, infer_shapes(graph, inputs)) if plan.arithmetic == "fp16" else []
    slower = tuple(layer for layer in slower_layers(works) if layer not in plan.int8)
    settings = replace(calibration.settings, exclude=fp32_layers(plan, graph), slower=slower)
    if regions and settings.max_output_error is None:
        settings = replace(settings, max_output_error=MOST_FIELD_ERROR)
    metric = calibration.metric
    made = quantize(
        graph,
        inputs,
        [{blob: item} for item in items],
        settings,
        regions={o.blob: regions[o.role] for o in spec.outputs if o.role in regions},
        metric=None if metric is None else lambda candidate: metric(name, candidate),
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
    layer_map = {b: source for b, source in spec.layer_sources.items() if b not in scaled}
    return spec.model_copy(update={"layer_sources": layer_map}), made


def _equalised_blobs(graph: Graph, made: Quantized) -> set[str]:
    """The blobs between the producer of an equalised tensor and its readers."""
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
