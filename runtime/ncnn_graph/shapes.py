"""Shapes of every blob of a graph from the shapes of its inputs, layer by layer."""

from collections.abc import Iterable, Mapping

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
