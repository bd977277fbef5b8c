"""Step 2b of the export: what each layer will be stored and computed in, decided on a plain fp32 conversion.

A graph that is all fp32 needs no plan. Otherwise both graphs are converted once as they are, run over the
export's own pictures and the calibration pictures, and what could overflow in half precision stays in fp32.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pocketdet.errors import ExportError
from pocketdet.export.convert import Part, engine_of, split, write_ncnn, write_onnx
from pocketdet.export.examples import synthetic_image
from pocketdet.export.precision import (
    GraphPlan,
    LayerChoice,
    LayerPrecision,
    PlanPart,
    make_plan,
    measure_peaks,
)
from pocketdet.export.precision.range_inputs import RangeInputs
from pocketdet.export.reference import Picture, Reference
from pocketdet.runtime.bundle.schema import Graphs
from pocketdet.runtime.engines.base import Array
from pocketdet.runtime.images import read_image

Log = Callable[[str], None]

OWN_SEEDS = (1, 2)  # of the synthetic pictures that every step of the export is checked on


@dataclass(frozen=True)
class Planned:
    """The plan of each graph, and a few inputs of each to measure its range on again when it is written."""

    plans: Mapping[str, GraphPlan]
    inputs: Mapping[str, Sequence[Array]]

    @property
    def fp32_modules(self) -> tuple[str, ...]:
        """PyTorch modules whose weights are not rounded, of both graphs; nothing if none is."""
        if all(plan.storage == "fp32" for plan in self.plans.values()):
            return ()
        return tuple(dict.fromkeys(name for plan in self.plans.values() for name in plan.modules))


def wants_int8(precision: LayerPrecision, layers: Sequence[LayerChoice]) -> bool:
    """Whether any layer is asked to be int8."""
    return precision == "int8" or any(choice.precision == "int8" for choice in layers)


def plan_precision(
    folded: Reference,
    graphs: Graphs,
    base: LayerPrecision,
    layers: Sequence[LayerChoice],
    golden: Picture,
    calibration: Sequence[Path] = (),
    log: Log = lambda line: None,
) -> Planned:
    """Decide. Raises `UsageError` for a choice that fits no layer, `ExportError` if a graph cannot be
    converted or gives values that are not finite, `ImageError` for a calibration picture that cannot be read.
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
        for part in split(folded, graphs):
            later = part.name in few.others
            every = iter([*few.others[part.name], *rest.others[part.name]]) if later else _each(first, rest)
            parts.append(_measured(part, folded, Path(folder), every))
    plans = make_plan(parts, base, layers, log=log)
    for name, plan in plans.items():
        if plan.arithmetic != "fp32":
            pictures = f"{len(own) + len(calibration)} pictures"
            log(f"-[✓] range {name}: {len(plan.fp32)} layers in fp32, no other can overflow ({pictures})")
    return Planned(plans, _by_graph(graphs, first, few))


def _plan_int8(
    folded: Reference,
    graphs: Graphs,
    base: LayerPrecision,
    layers: Sequence[LayerChoice],
    calibration: Sequence[Path],
) -> Planned:
    """Which layers may be int8; the inputs are those to calibrate on, and no synthetic ones."""
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
                for p in split(folded, graphs)
            ]
        plans = make_plan(parts, base, layers)
    inputs = RangeInputs(folded, map(read_image, calibration))
    first = list(inputs.first())
    return Planned(plans, _by_graph(graphs, first, inputs))


def _by_graph(graphs: Graphs, first: Sequence[Array], inputs: RangeInputs) -> dict[str, Sequence[Array]]:
    """The inputs of each graph, `first` being those of the one that no other graph feeds."""
    return {name: inputs.others.get(name, first) for name in graphs.by_name()}


def _scratch() -> "tempfile.TemporaryDirectory[str]":
    try:
        return tempfile.TemporaryDirectory(prefix="pocketdet-plan-")
    except OSError as error:
        raise ExportError(f"no temporary folder can be made to plan in: {error}") from error


def _each(first: Sequence[Array], rest: RangeInputs) -> Iterator[Array]:
    yield from first
    yield from rest.first()


def _measured(part: Part, folded: Reference, folder: Path, inputs: Iterator[Array]) -> PlanPart:
    graph = write_ncnn(part, write_onnx(part, folder), folder, GraphPlan())
    engine = engine_of(part, folder)
    role = part.spec.inputs[0].role
    return PlanPart(part.name, graph, folded.weights(), measure_peaks(engine, part.name, graph, role, inputs))
