"""Reductions over one axis, whose axis pnnx loses on its way to ncnn.

pnnx keeps `dim=1` of such an operator as a number, looks for a list when it writes ncnn's Reduction, and
writes an empty one, which reduces nothing. Its own file still says the axis, batch included.
"""

import re
from collections.abc import Sequence

from pocketdet.errors import ExportError
from pocketdet.runtime.ncnn_graph import Graph, Layer

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
_ALL_AXES, _AXES = 1, 3


def lost_axes(pnnx_param: str) -> list[int]:
    """Axes of the reductions over one axis in the text of a pnnx .param, in order, as ncnn counts."""
    lines = (line for line in pnnx_param.splitlines() if line.split(" ", 1)[0] in _OPERATORS)
    dims = (int(match[1]) for match in map(_DIM.search, lines) if match)
    return [dim - 1 if dim > 0 else dim for dim in dims]


def restore_axes(graph: Graph, axes: Sequence[int]) -> Graph:
    """Write `axes` into the reductions that have none. Raises `ExportError` if they are not as many."""
    bare = [layer for layer in graph.layers if _reduces_nothing(layer)]
    if len(bare) != len(axes):
        raise ExportError(
            f"pnnx wrote {len(bare)} reductions without an axis and {len(axes)} operators have one: which "
            "axis belongs to which cannot be told; reduce over two axes or write it as a convolution"
        )
    for layer, axis in zip(bare, axes, strict=True):
        layer.params[_AXES] = (axis,)
    return graph


def _reduces_nothing(layer: Layer) -> bool:
    return layer.type == "Reduction" and not layer.int_param(_ALL_AXES, 1) and not layer.int_array(_AXES)
