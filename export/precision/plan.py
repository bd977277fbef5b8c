"""Decide, layer by layer, what is stored and computed in which precision, before anything is written.

What the user asked for comes first; what could overflow in half precision stays in fp32 whatever was asked.
The graphs that this looks at are plain fp32 ones, straight from the converter, so that a layer can be told
by the PyTorch weights that it holds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pocketdet.errors import UsageError
from pocketdet.export.precision.layer_file import LayerChoice, LayerPrecision, resolve
from pocketdet.export.precision.offsets import offset_layers
from pocketdet.export.precision.ranges import MARGIN, Peaks, Risk, find_risks
from pocketdet.runtime.engines.base import Array
from pocketdet.runtime.ncnn_graph import Graph, Layer
from pocketdet.runtime.precision import Arithmetic, Storage

_WEIGHT_ROLES = ("weight", "b")  # of Convolution and its kin; of Gemm


@dataclass(frozen=True)
class PlanPart:
    """One graph to decide about: as converted in fp32, the weights it was made from, by the name of their
    layer, and what was measured on it.
    """

    name: str
    graph: Graph
    weights: Mapping[str, Array]
    peaks: Peaks

    @property
    def layers(self) -> list[str]:
        """Names of what is computed, in the order of execution."""
        return [layer.name for layer in self.graph.layers if layer.type != "Input"]


@dataclass(frozen=True)
class GraphPlan:
    """What was decided for one graph.

    storage and arithmetic: of the graph as a whole. fp32: ncnn layers that stay in fp32 while others are in
    half precision or int8, in the order of execution. modules: the PyTorch modules whose weights are not
    rounded. Layers that make the offsets of deformable convolutions are always among both. risks: those of
    `fp32` that were asked to be fp16 and could overflow.
    """

    storage: Storage = "fp32"
    arithmetic: Arithmetic = "fp32"
    fp32: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    risks: tuple[Risk, ...] = ()


def make_plan(
    parts: Sequence[PlanPart],
    base: LayerPrecision,
    choices: Sequence[LayerChoice] = (),
    *,
    margin: float = MARGIN,
    log: Callable[[str], None] = lambda line: None,
) -> dict[str, GraphPlan]:
    """The plan of each part, by its name.

    base: for every layer that no line of `choices` fits. Raises `UsageError` for a line that fits no layer,
    and for half precision beside int8.
    """
    modules = {part.name: modules_of_layers(part.graph, part.weights) for part in parts}
    called = {
        f"{part.name}/{name}": (name, f"{part.name}/{name}", *modules[part.name][name])
        for part in parts
        for name in part.layers
    }
    wanted = dict.fromkeys(called, base) | resolve(choices, called)
    if "int8" in wanted.values():
        half = next((key for key, precision in wanted.items() if precision == "fp16"), None)
        if half is not None:
            raise UsageError(
                f"layer {half!r} is to be fp16: layers that are not int8 in an int8 bundle are fp32"
            )
        return {part.name: _plan_int8(part, wanted) for part in parts}
    return {part.name: _plan(part, wanted, modules[part.name], margin, log) for part in parts}


def _plan_int8(part: PlanPart, wanted: Mapping[str, LayerPrecision]) -> GraphPlan:
    """Which layers can be int8, and what that costs, is for `pocketdet.export.quantize` to find."""
    fp32 = tuple(name for name in part.layers if wanted[f"{part.name}/{name}"] == "fp32")
    return GraphPlan() if len(fp32) == len(part.layers) else GraphPlan(storage="int8", fp32=fp32)


def _plan(
    part: PlanPart,
    wanted: Mapping[str, LayerPrecision],
    modules: Mapping[str, Sequence[str]],
    margin: float,
    log: Callable[[str], None],
) -> GraphPlan:
    names = part.layers
    if all(wanted[f"{part.name}/{name}"] == "fp32" for name in names):
        return GraphPlan(modules=tuple(dict.fromkeys(m for name in names for m in modules[name])))
    risks = [
        risk
        for risk in find_risks(part.graph, part.peaks, margin)
        if wanted[f"{part.name}/{risk.layer}"] == "fp16"
    ]
    for risk in risks:
        log(f"-[!] {part.name}: {risk}: kept in fp32")
    risky = {risk.layer for risk in risks} | set(offset_layers(part.graph))
    fp32 = tuple(n for n in names if n in risky or wanted[f"{part.name}/{n}"] == "fp32")
    halved = [n for n in names if n not in fp32]
    return GraphPlan(
        storage="fp16" if any(modules[name] for name in halved) else "fp32",
        arithmetic="fp16" if halved else "fp32",
        fp32=fp32,
        modules=tuple(dict.fromkeys(module for name in fp32 for module in modules[name])),
        risks=tuple(risks),
    )


def modules_of_layers(graph: Graph, weights: Mapping[str, Array]) -> dict[str, list[str]]:
    """Ncnn layer -> the convolutions and linear layers whose weights it holds; a Gemm may hold several.

    Converters rename and merge, and keep the numbers.
    """
    return {
        layer.name: [name for name, weight in weights.items() if _holds(layer, weight)]
        for layer in graph.layers
    }


def _holds(layer: Layer, weight: Array) -> bool:
    for role in _WEIGHT_ROLES:
        if role in layer.weights:
            rows = layer.weights[role].values().reshape(layer.weights[role].data.shape[0], -1)
            wanted = weight.reshape(len(weight), -1)
            if rows.shape[1] != wanted.shape[1] or len(rows) < len(wanted):
                continue
            starts = np.flatnonzero((rows == wanted[0]).all(axis=1))
            return any(np.array_equal(rows[s : s + len(wanted)], wanted) for s in starts)
    return False
