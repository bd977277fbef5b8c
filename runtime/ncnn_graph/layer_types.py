"""The layer types that a graph may have, from the table in `runtime/native/graph/layer_types.cpp`."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pocketdet.runtime import _core


@dataclass(frozen=True)
class LayerType:
    """What a layer takes and gives.

    Attributes:
        params: Parameter ids by ncnn's names, beside 30 (shape hints) and 31 (feature mask).
        inputs, outputs: The fewest and the most blobs.
    """

    params: Mapping[str, int]
    inputs: tuple[int, int]
    outputs: tuple[int, int]


LAYER_TYPES: Mapping[str, LayerType] = MappingProxyType(
    {
        name: LayerType(MappingProxyType(params), inputs, outputs)
        for name, params, inputs, outputs in _core.graph_layer_types()
    }
)
