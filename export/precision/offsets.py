"""Layers that make the offsets of deformable convolutions.

An offset says where a picture is sampled. What rounding does to it comes back times the slope of the map,
however good the sums after it are: 30 cells as a half are up to 0.015 cells off, and a scale for int8 that
spans them has steps of a quarter cell. The layers cost next to nothing, so they stay in fp32.
"""

from pocketdet.runtime.ncnn_graph import Graph, Layer

_OFFSET_INPUT = 1
_GATHERS = frozenset({"ConvolutionDepthWise", "Deconvolution", "DeformableConv2D", "Interp", "Pooling"})


def offset_layers(graph: Graph) -> tuple[str, ...]:
    """Names, in order, of what lies between an offset input and the nearest convolution before it, that one
    and the 1x1 convolutions right before it included.
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
    """Whether it gathers from more than one position, or is no part of a path of 1x1 convolutions."""
    if layer.type != "Convolution":
        return layer.type in _GATHERS
    kernel = layer.int_param(1, 1)
    return (kernel, layer.int_param(11, kernel)) != (1, 1)


def _computes(layer: Layer, makers: dict[str, Layer], found: set[str]) -> bool:
    """A Split of what is not in fp32 itself has nothing to keep."""
    return layer.type != "Split" or makers[layer.inputs[0]].name in found
