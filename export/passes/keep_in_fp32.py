"""Keep some layers of an ncnn graph in float32 while the engine runs the others in half precision.

The pass makes two changes: the layer's feature mask forbids half-precision storage and arithmetic, and each
input that may be half precision passes a layer that converts it to fp32. The mask alone is not enough, see
`runtime.ncnn_graph.feature_mask`. If the engine runs in fp32, both have no effect.
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
    """Keep the layers in `names` in fp32.

    Layers that are masked already stay masked, and their inputs are converted, too: after a pass that inserts
    layers between masked ones, call this one without names. Inputs of the graph are not masked since callers
    provide fp32.

    Args:
        graph: an ncnn graph; it is not changed.
        names: of the layers.

    Returns:
        A new graph, or `graph` if nothing changes.

    Raises:
        GraphError: if the graph has no layer of that name.
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
    """An unused name for the conversion of each blob: the name of the layer and of its output."""
    for blob in blobs:
        name = f"{blob}_fp32"
        while name in taken:
            name += "_"
        taken.add(name)
        yield name
