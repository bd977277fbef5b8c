"""Decide whether ncnn may be given a graph that came from an untrusted file.

ncnn's loader and layers trust the file: a wrong count, size or element type is read out of bounds and ends
the process. Here a graph is refused unless every layer is of a type whose rule in `shapes` accepts it, so
what is not understood does not pass. One pass over layers, blobs and weights, without recursion.

Proved against ncnn 1.0.20261020 on x86 with its default options. Two options of that release crash on graphs
that are sound: use_packing_layout=False on a dilation larger than the output, and use_bf16_storage=True on
DeconvolutionDepthWise whose groups are not single channels.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import prod

from pocketdet.errors import GraphError
from pocketdet.runtime.ncnn_graph.check_weights import check_element_types, check_weights
from pocketdet.runtime.ncnn_graph.cost import LayerCost, count_macs
from pocketdet.runtime.ncnn_graph.feature_mask import FEATURE_MASK, check_feature_masks
from pocketdet.runtime.ncnn_graph.model import Graph, Layer
from pocketdet.runtime.ncnn_graph.shapes import OPS, SOURCE_PARAMS, Shape, infer_shapes

SHAPE_HINTS = 30


@dataclass(frozen=True)
class Limits:
    """The most that a graph may ask for; far above any detector, far below what hurts."""

    layers: int = 20_000
    blobs: int = 40_000
    elements_per_blob: int = 64 * 1024 * 1024
    elements_in_all: int = 1024 * 1024 * 1024
    macs: int = 10**13


@dataclass(frozen=True)
class ValidGraph:
    """A graph that passed, with what was found on the way: every blob's shape and every layer's cost."""

    graph: Graph
    shapes: Mapping[str, Shape]
    costs: tuple[LayerCost, ...]

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one run."""
        return sum(cost.macs or 0 for cost in self.costs)

    @property
    def parameters(self) -> int:
        """Numbers stored in the weights."""
        return sum(cost.parameters for cost in self.costs)


DEFAULT_LIMITS = Limits()


def validate(
    graph: Graph,
    inputs: Mapping[str, Iterable[int]],
    layer_exists: Callable[[str], bool],
    *,
    outputs: Iterable[str] = (),
    limits: Limits = DEFAULT_LIMITS,
) -> ValidGraph:
    """Check a graph read with its weights; `inputs` are the shapes that will be fed, e.g. {"in0": (3, 320,
    320)}.

    `layer_exists` tells whether the ncnn at hand has a layer type; `outputs` are blobs that must be there.
    Raises GraphError, one sentence naming file, line and layer, at the first thing that is wrong.
    """
    _check_counts(graph, limits)
    _check_names(graph)
    for layer in graph.layers:
        if not layer_exists(layer.type):
            raise layer.error(f"the ncnn at hand has no layer type {layer.type}")
        _check_params(layer)
    _check_wiring(graph)
    check_feature_masks(graph)
    fed = {name: tuple(shape) for name, shape in inputs.items()}
    expected = graph.input_names()
    if set(fed) != set(expected):
        raise GraphError(f"{_name(graph)}: its inputs are {expected} and shapes are given for {list(fed)}")
    shapes = infer_shapes(graph, fed)
    _check_sizes(graph, shapes, limits)
    for layer in graph.layers:
        _check_hints(layer, shapes)
    absent = [name for name in outputs if name not in shapes]
    if absent:
        raise GraphError(f"{_name(graph)}: has no blob {absent[0]!r}, its outputs are {graph.output_names()}")
    check_weights(graph)
    check_element_types(graph, outputs)
    costs = tuple(count_macs(graph, shapes))
    macs = sum(cost.macs or 0 for cost in costs)
    if macs > limits.macs:
        raise GraphError(
            f"{_name(graph)}: {macs} multiply-accumulates are more than the {limits.macs} allowed"
        )
    return ValidGraph(graph, shapes, costs)


def _name(graph: Graph) -> str:
    return graph.source or "the graph"


def _check_counts(graph: Graph, limits: Limits) -> None:
    header = graph.header
    if header is not None and not header.honest:
        raise GraphError(
            f"{_name(graph)}: the header declares {header.declared_layers} layers and"
            f" {header.declared_blobs} blobs, the file has {header.found_layers} and {header.found_blobs}"
        )
    blobs = sum(1 for _ in graph.blob_names())
    if not 1 <= len(graph.layers) <= limits.layers or not 1 <= blobs <= limits.blobs:
        raise GraphError(
            f"{_name(graph)}: {len(graph.layers)} layers and {blobs} blobs,"
            f" allowed are 1..{limits.layers} and 1..{limits.blobs}"
        )


def _check_names(graph: Graph) -> None:
    layers: set[str] = set()
    blobs: set[str] = set()
    for layer in graph.layers:
        if layer.name in layers:
            raise layer.error("has the name of an earlier layer")
        layers.add(layer.name)
        for name in layer.outputs:
            if name in blobs:
                raise layer.error(f"makes the blob {name!r} a second time")
            blobs.add(name)


def _check_params(layer: Layer) -> None:
    rule = OPS.get(layer.type)
    if rule is None and layer.type not in SOURCE_PARAMS:
        raise layer.error(f"the layer type {layer.type} is not supported by the checks, so it is not run")
    known = SOURCE_PARAMS[layer.type] if rule is None else rule.params
    unknown = set(layer.params) - known - {SHAPE_HINTS, FEATURE_MASK}
    if unknown:
        raise layer.error(f"parameter {min(unknown)} is not one that {layer.type} has")


def _check_wiring(graph: Graph) -> None:
    """Every blob is made before it is read, and read once: ncnn releases a blob after its first reader."""
    made: set[str] = set()
    reader: dict[str, Layer] = {}
    for layer in graph.layers:
        if not layer.outputs:
            raise layer.error("has no output")
        for name in layer.inputs:
            if name not in made:
                raise layer.error(f"reads the blob {name!r}, which no earlier layer makes")
            if name in reader:
                first = reader[name].name
                raise layer.error(
                    f"reads the blob {name!r}, which {first!r} reads already; a Split is needed"
                )
            reader[name] = layer
        made.update(layer.outputs)


def _check_sizes(graph: Graph, shapes: Mapping[str, Shape], limits: Limits) -> None:
    total = 0
    for layer in graph.layers:
        for name in layer.outputs:
            elements = prod(shapes[name])
            # Outputs of a Split share one allocation.
            total += 0 if layer.type == "Split" else elements
            if elements > limits.elements_per_blob or total > limits.elements_in_all:
                raise layer.error(
                    f"the blob {name!r} of shape {shapes[name]} makes the graph larger than allowed"
                )


def _check_hints(layer: Layer, shapes: Mapping[str, Shape]) -> None:
    """Shape hints (dims, w, h, c or dims, w, h, d, c per output) steer ncnn's choice of kernels: they must be
    true.
    """
    hints = layer.int_array(SHAPE_HINTS)
    if not hints:
        return
    step = len(hints) // len(layer.outputs)
    if step not in (4, 5) or step * len(layer.outputs) != len(hints):
        raise layer.error(f"{len(hints)} shape hints do not fit {len(layer.outputs)} outputs")
    for index, name in enumerate(layer.outputs):
        dims, w, h, *rest = hints[index * step : (index + 1) * step]
        hint = {0: shapes[name], 1: (w,), 2: (h, w), 3: (rest[-1], h, w), 4: (rest[-1], rest[0], h, w)}.get(
            dims
        )
        if hint != shapes[name] or (dims == 4 and step == 4):
            raise layer.error(
                f"its shape hint says {hint} and {name!r} is {shapes[name]}; remove parameter 30"
            )
