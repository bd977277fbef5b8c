"""Step 2b of the export: plan the precision of every layer on a plain fp32 conversion.

If all layers are fp32, no plan is needed. Otherwise the graphs are converted to fp32 and run on the export's
own images and the calibration images; layers that could overflow in half precision stay in fp32.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pocketdet.errors import ExportError
from pocketdet.export.convert import GraphExport, fp32_engine, split_graphs, write_ncnn, write_onnx
from pocketdet.export.precision import (
    GraphPlan,
    LayerChoice,
    LayerPrecision,
    PlanPart,
    make_plan,
    measure_peaks,
)
from pocketdet.export.reference.base import Image, Reference, synthetic_image
from pocketdet.runtime.bundle.schema import Graphs
from pocketdet.runtime.engines.base import Array
from pocketdet.runtime.images import read_image

Log = Callable[[str], None]

OWN_SEEDS = (1, 2)  # of the synthetic images that every step of the export is checked on


@dataclass(frozen=True)
class Planned:
    """The plans of all graphs.

    Attributes:
        plans: by the graph's name.
        inputs: of each graph, to measure the ranges of the written graph on, or to calibrate int8 on.
    """

    plans: Mapping[str, GraphPlan]
    inputs: Mapping[str, Sequence[Array]]

    @property
    def fp32_modules(self) -> tuple[str, ...]:
        """The PyTorch modules of all graphs whose weights are not rounded; empty if all weights are fp32."""
        if all(plan.storage == "fp32" for plan in self.plans.values()):
            return ()
        return tuple(dict.fromkeys(name for plan in self.plans.values() for name in plan.modules))


class RangeInputs:
    """The inputs of a detector's graphs on some images.

    Images are read one at a time. The inputs of the first graph are an iterator; those of the other graphs,
    200 kB of RoI features per image, are collected in `others` while it runs.
    """

    def __init__(self, reference: Reference, images: Iterable[Image]) -> None:
        self._reference = reference
        self._images = images
        self.others: dict[str, list[Array]] = {name: [] for name in list(reference.networks())[1:]}

    def first(self) -> Iterator[Array]:
        """Normalised images (3, h, w)."""
        for image in self._images:
            own, *others = self._reference.inputs(image).items()
            for name, rows in others:
                self.others[name] += [np.ascontiguousarray(rows)] if rows.size else []
            yield np.ascontiguousarray(own[1])


def wants_int8(precision: LayerPrecision, layers: Sequence[LayerChoice]) -> bool:
    """Whether a layer is to be int8."""
    return precision == "int8" or any(choice.precision == "int8" for choice in layers)


def plan_precision(
    folded: Reference,
    graphs: Graphs,
    base: LayerPrecision,
    layers: Sequence[LayerChoice],
    golden: Image,
    calibration: Sequence[Path] = (),
    log: Log = lambda line: None,
) -> Planned:
    """Plan the precision of every layer.

    Args:
        folded: the detector with batch norm folded.
        graphs: its graphs, as the manifest will list them.
        base: the precision of the layers that no choice matches.
        layers: choices for single layers; the last one that matches decides.
        golden: the golden image.
        calibration: image files.
        log: receives a line per risk and a summary per graph.

    Raises:
        UsageError: if a choice matches no layer.
        ExportError: if a graph cannot be converted or returns values that are not finite.
        ImageError: if a calibration image cannot be read.
    """
    if base == "fp32" and not layers:
        return Planned({name: GraphPlan() for name in graphs.by_name()}, {})
    if wants_int8(base, layers):
        return _plan_int8(folded, graphs, base, layers, calibration)
    own = [golden, *(synthetic_image(folded.identity.input_size, seed) for seed in OWN_SEEDS)]
    few = RangeInputs(folded, own)
    first = list(few.first())
    rest = RangeInputs(folded, map(read_image, calibration))
    with _scratch() as folder:
        parts: list[PlanPart] = []
        for part in split_graphs(folded, graphs):
            later = part.name in few.others
            every = iter([*few.others[part.name], *rest.others[part.name]]) if later else _each(first, rest)
            parts.append(_measured(part, folded, Path(folder), every))
    plans = make_plan(parts, base, layers, log=log)
    for name, plan in plans.items():
        if plan.arithmetic != "fp32":
            images = f"{len(own) + len(calibration)} images"
            log(f"-[✓] range {name}: {len(plan.fp32)} layers in fp32, no other can overflow ({images})")
    return Planned(plans, _by_graph(graphs, first, few))


def _plan_int8(
    folded: Reference,
    graphs: Graphs,
    base: LayerPrecision,
    layers: Sequence[LayerChoice],
    calibration: Sequence[Path],
) -> Planned:
    """The layers that may be int8; the inputs are calibration images only, no synthetic ones."""
    plans = {name: GraphPlan(storage="int8") for name in graphs.by_name()}
    if layers:
        with _scratch() as folder:
            parts = [
                PlanPart(
                    p.name,
                    write_ncnn(p, write_onnx(p, Path(folder)), Path(folder), GraphPlan()),
                    folded.weights(),
                    {},
                )
                for p in split_graphs(folded, graphs)
            ]
        plans = make_plan(parts, base, layers)
    inputs = RangeInputs(folded, map(read_image, calibration))
    first = list(inputs.first())
    return Planned(plans, _by_graph(graphs, first, inputs))


def _by_graph(graphs: Graphs, first: Sequence[Array], inputs: RangeInputs) -> dict[str, Sequence[Array]]:
    """The inputs of each graph; `first` are those of the graph that reads the image."""
    return {name: inputs.others.get(name, first) for name in graphs.by_name()}


def _scratch() -> "tempfile.TemporaryDirectory[str]":
    try:
        return tempfile.TemporaryDirectory(prefix="pocketdet-plan-")
    except OSError as error:
        raise ExportError(f"no temporary folder can be made to plan in: {error}") from error


def _each(first: Sequence[Array], rest: RangeInputs) -> Iterator[Array]:
    yield from first
    yield from rest.first()


def _measured(part: GraphExport, folded: Reference, folder: Path, inputs: Iterator[Array]) -> PlanPart:
    graph = write_ncnn(part, write_onnx(part, folder), folder, GraphPlan())
    engine = fp32_engine(part, folder)
    role = part.spec.inputs[0].role
    return PlanPart(part.name, graph, folded.weights(), measure_peaks(engine, part.name, graph, role, inputs))
