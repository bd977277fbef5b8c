"""Restore the axis of reductions over one axis, which pnnx loses.

pnnx stores `dim=1` of such an operator as a number, expects a list when it writes ncnn's Reduction, and
writes an empty list, which reduces nothing. The .pnnx.param file contains the axis, counted with the batch.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from pocketdet.errors import ExportError
from pocketdet.runtime.ncnn_graph import Graph, Layer
from pocketdet.runtime.ncnn_graph.layer_views import Reduction

_OPERATORS = (
    "torch.sum",
    "torch.mean",
    "torch.prod",
    "torch.amax",
    "torch.amin",
    "torch.logsumexp",
    "torch.norm",
)
_DIM = re.compile(r" dim=(-?\d+)(?= |$)")


def lost_axes(pnnx_param: str) -> list[int]:
    """The axes of reductions over one axis in the text of a .pnnx.param file, in order, without the batch."""
    lines = (line for line in pnnx_param.splitlines() if line.split(" ", 1)[0] in _OPERATORS)
    dims = (int(match[1]) for match in map(_DIM.search, lines) if match)
    return [dim - 1 if dim > 0 else dim for dim in dims]


def restore_axes(graph: Graph, axes: Sequence[int]) -> Graph:
    """Write the axes of reductions that have none.

    Args:
        graph: The graph as pnnx wrote it; it is not changed.
        axes: An axis for each of these reductions, in order.

    Raises:
        ExportError: The number of axes is not the number of reductions without axes.
    """
    bare = [layer for layer in graph.layers if _reduces_nothing(layer)]
    if len(bare) != len(axes):
        raise ExportError(
            f"pnnx wrote {len(bare)} reductions without an axis and {len(axes)} operators have one, so the "
            "axes cannot be assigned; reduce over two axes, or use a convolution"
        )
    remaining = iter(axes)
    layers = [_along(layer, next(remaining)) if _reduces_nothing(layer) else layer for layer in graph.layers]
    return replace(graph, layers=layers)


def _reduces_nothing(layer: Layer) -> bool:
    if layer.type != "Reduction":
        return False
    return not Reduction.of(layer).reduce_all and not Reduction.of(layer).axes


def _along(layer: Layer, axis: int) -> Layer:
    reduction = Reduction.of_copy(layer)
    reduction.axes = (axis,)
    return reduction.layer
