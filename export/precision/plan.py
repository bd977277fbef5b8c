"""The precision in which each layer is stored and computed, planned before any file of the bundle is written.

The user's choices come first; a layer that could overflow in half precision stays in fp32 in any case. The
plan is made on fp32 graphs as the converter writes them, whose layers are identified by their weights.

A TOML file has the user's choices for single layers:

    [layers]
    "convrelu_0" = "fp32"             # an ncnn layer, as `pocketdet verify --layers` prints it
    "head/*" = "fp32"                 # every layer of one graph
    "backbone.stage4.*" = "fp16"      # PyTorch modules: the convolutions and linear layers below

The last line that matches a layer decides; a layer that no line matches has the precision of the export.
"""

import difflib
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from pocketdet.errors import UsageError
from pocketdet.export.half_weights import WEIGHT_ROLES
from pocketdet.export.precision.overflow import MARGIN, Peaks, Risk, find_risks
from pocketdet.io import read_regular
from pocketdet.runtime.engines.base import Array
from pocketdet.runtime.ncnn_graph import Graph, Layer
from pocketdet.runtime.ncnn_graph.layer_views import Convolution
from pocketdet.runtime.precision import Arithmetic, Storage

LayerPrecision = Literal["fp32", "fp16", "int8"]

_MAX_BYTES = 1 << 20
_NEAREST = 3


@dataclass(frozen=True)
class LayerChoice:
    """One line of the file.

    Attributes:
        pattern: a name, or a glob with `*`, `?` and `[...]`.
        precision: of the layers that it matches.
    """

    pattern: str
    precision: LayerPrecision


def read_layer_file(path: Path) -> tuple[LayerChoice, ...]:
    """Read a file; the choices have the order of its lines. Raises `UsageError` if it cannot be read."""
    try:
        text = read_regular(path, _MAX_BYTES).decode("utf-8")
        document = tomllib.loads(text)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{path}: not a TOML file: {error}") from error
    table = document.get("layers")
    if len(text) > _MAX_BYTES or set(document) != {"layers"} or not isinstance(table, dict):
        raise UsageError(
            f'{path}: expected one table [layers] with lines such as "convrelu_0" = "fp32", '
            f"found {', '.join(map(repr, document)) or 'nothing'}"
        )
    return tuple(LayerChoice(name, _precision(path, name, value)) for name, value in table.items())


def _precision(path: Path, name: str, value: object) -> LayerPrecision:
    for precision in get_args(LayerPrecision):
        if value == precision:
            return precision  # type: ignore[no-any-return]
    hint = "; a name with dots needs quotes" if isinstance(value, dict) else ""
    raise UsageError(
        f"{path}: layer {name!r}: expected {', '.join(get_args(LayerPrecision))}, found {value!r:.60}{hint}"
    )


def resolve(choices: Sequence[LayerChoice], names: Mapping[str, Sequence[str]]) -> dict[str, LayerPrecision]:
    """Find the precision of every layer that a choice matches.

    Args:
        choices: the last one that matches a layer decides.
        names: the names that a choice may use for each layer, by the layer's key.

    Raises:
        UsageError: if a choice matches no layer; the message lists the nearest names.
    """
    chosen: dict[str, LayerPrecision] = {}
    for choice in choices:
        fitting = [key for key, aliases in names.items() if any(_fits(n, choice.pattern) for n in aliases)]
        if not fitting:
            every = list(dict.fromkeys(name for aliases in names.values() for name in aliases))
            near = difflib.get_close_matches(choice.pattern, every, _NEAREST, 0.4) or every[:_NEAREST]
            raise UsageError(
                f"no layer is called {choice.pattern!r}; the nearest names are {', '.join(map(repr, near))}"
            )
        chosen |= dict.fromkeys(fitting, choice.precision)
    return chosen


def _fits(name: str, pattern: str) -> bool:
    # a name may contain brackets
    return name == pattern or fnmatchcase(name, pattern)


# Offsets of deformable convolutions say where an image is sampled. Their rounding error is multiplied by the
# slope of the map: 30 cells as a half are up to 0.015 cells off, and an int8 scale for 30 cells has steps of
# a quarter cell. The layers that compute them cost little and stay in fp32.
_OFFSET_INPUT = 1
_GATHERS = frozenset({"ConvolutionDepthWise", "Deconvolution", "DeformableConv2D", "Interp", "Pooling"})


@dataclass(frozen=True)
class PlanPart:
    """One graph to plan.

    Attributes:
        name: of the graph.
        graph: as converted, in fp32.
        weights: those of the reference, by module name.
        peaks: the measured ranges of its blobs; empty if no layer is to be fp16.
    """

    name: str
    graph: Graph
    weights: Mapping[str, Array]
    peaks: Peaks

    @property
    def layers(self) -> list[str]:
        """The names of all layers except inputs, in the order of execution."""
        return [layer.name for layer in self.graph.layers if layer.type != "Input"]


@dataclass(frozen=True)
class GraphPlan:
    """The plan of one graph.

    Attributes:
        storage: of the weights of the whole graph.
        arithmetic: of the whole graph.
        fp32: ncnn layers that stay in fp32 while others are in half precision or int8, in the order of
            execution. They include the layers that compute the offsets of deformable convolutions.
        int8: ncnn layers that a choice wants in int8, slower or not.
        modules: the PyTorch modules whose weights are not rounded.
        risks: the layers of `fp32` that should be fp16 and could overflow.
    """

    storage: Storage = "fp32"
    arithmetic: Arithmetic = "fp32"
    fp32: tuple[str, ...] = ()
    int8: tuple[str, ...] = ()
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
    """Plan the precision of every graph.

    Args:
        parts: the graphs of one detector.
        base: the precision of the layers that no choice matches.
        choices: the last one that matches a layer decides.
        margin: the factor between measured values and the largest expected ones.
        log: receives a line per layer that stays in fp32 because it could overflow.

    Returns:
        The plan of each graph by its name.

    Raises:
        UsageError: if a choice matches no layer, or half precision is combined with int8.
    """
    modules = {part.name: modules_of_layers(part.graph, part.weights) for part in parts}
    called = {
        f"{part.name}/{name}": (name, f"{part.name}/{name}", *modules[part.name][name])
        for part in parts
        for name in part.layers
    }
    chosen = resolve(choices, called)
    wanted = dict.fromkeys(called, base) | chosen
    if "int8" in wanted.values():
        half = next((key for key, precision in wanted.items() if precision == "fp16"), None)
        if half is not None:
            raise UsageError(
                f"layer {half!r} is to be fp16: a line for an int8 bundle says int8 or fp32, and layers that "
                "are neither compute in fp16 with --target neon-fp16"
            )
        return {part.name: _plan_int8(part, wanted, chosen) for part in parts}
    return {part.name: _plan(part, wanted, modules[part.name], margin, log) for part in parts}


def _plan_int8(
    part: PlanPart, wanted: Mapping[str, LayerPrecision], chosen: Mapping[str, LayerPrecision]
) -> GraphPlan:
    """The layers that must not be int8; `pocketdet.export.quantization` finds those that can be."""
    fp32 = tuple(name for name in part.layers if wanted[f"{part.name}/{name}"] == "fp32")
    int8 = tuple(name for name in part.layers if chosen.get(f"{part.name}/{name}") == "int8")
    return GraphPlan() if len(fp32) == len(part.layers) else GraphPlan(storage="int8", fp32=fp32, int8=int8)


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
    """Map every ncnn layer to the convolutions and linear layers whose weights it holds.

    Converters rename and merge layers and keep the values of the weights. A Gemm may hold several modules.
    """
    return {
        layer.name: [name for name, weight in weights.items() if _holds(layer, weight)]
        for layer in graph.layers
    }


def _holds(layer: Layer, weight: Array) -> bool:
    for role in WEIGHT_ROLES:
        if role in layer.weights:
            rows = layer.weights[role].values().reshape(layer.weights[role].data.shape[0], -1)
            wanted = weight.reshape(len(weight), -1)
            if rows.shape[1] != wanted.shape[1] or len(rows) < len(wanted):
                continue
            starts = np.flatnonzero((rows == wanted[0]).all(axis=1))
            return any(np.array_equal(rows[s : s + len(wanted)], wanted) for s in starts)
    return False


def fp32_layers(plan: GraphPlan, graph: Graph) -> tuple[str, ...]:
    """The layers that an int8 graph keeps in fp32: those of the plan that it still has, and of offsets."""
    names = {layer.name for layer in graph.layers}
    return tuple(dict.fromkeys((*(name for name in plan.fp32 if name in names), *offset_layers(graph))))


def offset_layers(graph: Graph) -> tuple[str, ...]:
    """The names, in order, of the layers that compute the offsets of deformable convolutions.

    They are the layers between an offset input and the nearest convolution before it, that convolution, and
    the 1x1 convolutions directly before it.
    """
    makers, found = graph.producers(), set[str]()
    open_ends = [
        (layer.inputs[_OFFSET_INPUT], False) for layer in graph.layers if layer.type == "DeformableConv2D"
    ]
    seen: set[tuple[str, bool]] = set()
    while open_ends:
        blob, convolved = end = open_ends.pop()
        layer = makers.get(blob)
        if layer is None or end in seen or layer.type == "Input" or (convolved and _is_wide(layer)):
            continue
        seen.add(end)
        found.add(layer.name)
        open_ends += [(name, convolved or layer.type == "Convolution") for name in layer.inputs]
    return tuple(
        layer.name for layer in graph.layers if layer.name in found and _computes(layer, makers, found)
    )


def _is_wide(layer: Layer) -> bool:
    """Whether the layer reads more than one position of its input."""
    if layer.type != "Convolution":
        return layer.type in _GATHERS
    return Convolution.of(layer).kernel != (1, 1)


def _computes(layer: Layer, makers: dict[str, Layer], found: set[str]) -> bool:
    """Whether the layer computes or copies fp32 values; a Split of another layer does not."""
    return layer.type != "Split" or makers[layer.inputs[0]].name in found
