"""Decide whether ncnn may be given a graph that came from an untrusted file.

The rules are those of the C++ detector, `runtime/native/graph`: a graph that passes here passes there.

Shapes of every blob follow from the shapes of the inputs, layer by layer. One multiply-accumulate (MAC) is
one product added to a sum. Counted are the products with weights and between matrices; biases, activations,
pooling, interpolation and the bilinear taps of a deformable convolution are not.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from pocketdet.runtime import _core
from pocketdet.runtime.ncnn_graph.model import Graph

Shape = tuple[int, ...]


def infer_shapes(
    graph: Graph, inputs: Mapping[str, Iterable[int]] | None = None, *, partial: bool = False
) -> dict[str, Shape]:
    """Blob name -> shape, (w,), (h, w), (c, h, w) or (c, d, h, w), as ncnn makes them.

    `inputs` gives the shapes of the blobs that a caller feeds; an Input layer with a written size needs none.
    With `partial`, layers without a shape rule or with parameters that it does not know, and all that depends
    on them, are left out; otherwise the former raise and the latter are ignored (`validate` refuses them).
    Raises GraphError naming the first layer whose inputs are missing, do not fit it, or that is not
    understood.
    """
    return _core.infer_shapes(graph, sizes_of(inputs or {}), partial)


def sizes_of(shapes: Mapping[str, Iterable[int]]) -> dict[str, Shape]:
    """Shapes as tuples of int, whatever kind of integers they hold."""
    return {name: tuple(int(size) for size in shape) for name, shape in shapes.items()}


@dataclass(frozen=True)
class LayerCost:
    """Cost of one layer.

    `macs` is None where the shapes are not known; `parameters` counts the numbers stored for the layer, int8
    scales aside; `weight_bytes` is its share of the .bin file, None for a graph read without weights.
    """

    name: str
    type: str
    output: Shape | None
    macs: int | None
    parameters: int
    weight_bytes: int | None


def count_macs(graph: Graph, shapes: Mapping[str, Shape]) -> list[LayerCost]:
    """Cost of every layer in order; `shapes` comes from `infer_shapes`.

    Raises GraphError for a layer whose parameters give no sane weights.
    """
    return layer_costs(graph, shapes, _core.count_costs(graph, sizes_of(shapes)))


def layer_costs(
    graph: Graph, shapes: Mapping[str, Shape], counted: Iterable[tuple[int | None, int]]
) -> list[LayerCost]:
    """The costs of all layers from their (macs, parameters)."""
    return [
        LayerCost(
            layer.name,
            layer.type,
            shapes.get(layer.outputs[0]) if layer.outputs else None,
            macs,
            parameters,
            None if graph.structure_only else sum(weight.nbytes for weight in layer.weights.values()),
        )
        for layer, (macs, parameters) in zip(graph.layers, counted, strict=True)
    ]


_LIMITS = _core.graph_limits()


@dataclass(frozen=True)
class Limits:
    """The most that a graph may ask for; far above any detector, far below what hurts.

    `depth` is in layers from an input to any layer. `memory_bytes` counts the blobs and workspace in use at
    one time, `weight_bytes` the weights as ncnn may expand and pack them. `macs` counts multiply-accumulates
    and all other work in the same unit.
    """

    layers: int = _LIMITS["layers"]
    blobs: int = _LIMITS["blobs"]
    depth: int = _LIMITS["depth"]
    elements_per_blob: int = _LIMITS["elements_per_blob"]
    elements_in_all: int = _LIMITS["elements_in_all"]
    memory_bytes: int = _LIMITS["memory_bytes"]
    weight_bytes: int = _LIMITS["weight_bytes"]
    macs: int = _LIMITS["macs"]


@dataclass(frozen=True)
class ValidGraph:
    """A graph that passed, with what was found on the way: every blob's shape, every layer's cost, and the
    most bytes that blobs and workspace need at one time.
    """

    graph: Graph
    shapes: Mapping[str, Shape]
    costs: tuple[LayerCost, ...]
    peak_bytes: int

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
    inner: Iterable[str] = (),
    limits: Limits = DEFAULT_LIMITS,
) -> ValidGraph:
    """Check a graph read with its weights; `inputs` are the shapes that will be fed, e.g. {"in0": (3, 320,
    320)}.

    `layer_exists` returns whether the installed ncnn has a layer type; `outputs` are blobs that will be asked
    for, and that no layer may read; `inner` are others that must be there. Raises GraphError, one sentence
    naming file, line and layer, at the first thing that is wrong.
    """
    shapes, costs, peak_bytes = _core.check_graph(
        graph,
        sizes_of(inputs),
        layer_exists,
        list(outputs),
        list(inner),
        limits,  # pyright: ignore[reportArgumentType]: one class by two paths
    )
    return ValidGraph(graph, shapes, tuple(layer_costs(graph, shapes, costs)), peak_bytes)


def check_weights(graph: Graph) -> None:
    """Raise GraphError naming the first layer whose weights are missing, misshapen, not finite or of an
    element type that the layer does not read.
    """
    _core.check_weights(graph)


def check_no_int8(graph: Graph) -> None:
    """Raise GraphError naming the first layer that is int8, for a manifest that says that no weights are."""
    _core.check_no_int8(graph)
