"""Let some layers of an ncnn graph compute in float32 while the engine runs the others in half precision.

Two changes: the layer's feature mask forbids it half-precision storage and arithmetic, and each of its inputs
that may arrive as halves goes through a layer that widens it. The mask alone is not enough, see
`runtime.ncnn_graph.feature_mask`. Where the engine runs fp32 anyway, both change nothing.
"""

from collections.abc import Collection, Iterator
from dataclasses import replace

from pocketdet.errors import GraphError
from pocketdet.runtime.ncnn_graph import Graph, Layer
from pocketdet.runtime.ncnn_graph.feature_mask import (
    FEATURE_MASK,
    IN_FP32,
    NO_FP16_STORAGE,
    WIDENS,
    feature_mask,
    gives_fp32,
)


def keep_in_fp32(graph: Graph, names: Collection[str]) -> Graph:
    """A graph whose layers in `names` compute in fp32; `graph` itself if none is named. It is not changed.

    A layer that was masked before stays masked and gets what it needs, too: a pass that put a layer between
    two masked ones may be followed by this one with no names. Inputs are never masked, for callers feed fp32.
    Raises GraphError for a name that no layer has.
    """
    unknown = set(names) - {layer.name for layer in graph.layers}
    if unknown:
        raise GraphError(f"the graph has no layer {min(unknown)!r}")
    layers = [_masked(layer) if layer.name in names else layer for layer in graph.layers]
    made = {blob: layer for layer in layers for blob in layer.outputs}
    taken = {layer.name for layer in layers} | set(made)
    result: list[Layer] = []
    for layer in layers:
        if feature_mask(layer) & NO_FP16_STORAGE:
            narrow = [b for b in layer.inputs if not gives_fp32(made.get(b), NO_FP16_STORAGE)]
            wide = dict(zip(narrow, _free_names(narrow, taken), strict=True))
            result += [Layer(WIDENS, name, [blob], [name]) for blob, name in wide.items()]
            if wide:
                layer = replace(layer, inputs=[wide.get(blob, blob) for blob in layer.inputs])
        result.append(layer)
    if all(new is old for new, old in zip(result, graph.layers, strict=False)):
        return graph
    return replace(graph, layers=result)


def _masked(layer: Layer) -> Layer:
    if layer.type == "Input" or feature_mask(layer) & IN_FP32 == IN_FP32:
        return layer
    return replace(layer, params={**layer.params, FEATURE_MASK: feature_mask(layer) | IN_FP32})


def _free_names(blobs: Collection[str], taken: set[str]) -> Iterator[str]:
    """A name for the widened twin of each blob; it is the layer's and its output's."""
    for blob in blobs:
        name = f"{blob}_fp32"
        while name in taken:
            name += "_"
        taken.add(name)
        yield name
