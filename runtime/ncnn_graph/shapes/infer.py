"""Shapes of every blob of a graph from the shapes of its inputs, layer by layer."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from pocketdet.runtime.ncnn_graph.model import Graph, Layer
from pocketdet.runtime.ncnn_graph.shapes.convolution import CONVOLUTION_OPS
from pocketdet.runtime.ncnn_graph.shapes.elementwise import ELEMENTWISE_OPS
from pocketdet.runtime.ncnn_graph.shapes.layout import LAYOUT_OPS
from pocketdet.runtime.ncnn_graph.shapes.matrix import MATRIX_OPS
from pocketdet.runtime.ncnn_graph.shapes.op import Op, Shape, checked
from pocketdet.runtime.ncnn_graph.shapes.pooling import POOLING_OPS
from pocketdet.runtime.ncnn_graph.shapes.routing import ROUTING_OPS
from pocketdet.runtime.ncnn_graph.weight_slots import weight_slots

SOURCE_PARAMS: Mapping[str, frozenset[int]] = MappingProxyType(
    {
        "Input": frozenset({0, 1, 2, 11}),
        "MemoryData": frozenset({0, 1, 2, 11, 21}),
    }
)
NOT_OF_A_RULE = frozenset({30, 31})  # shape hints and the feature mask, of any layer
OPS: Mapping[str, Op] = MappingProxyType(
    {
        **CONVOLUTION_OPS,
        **ELEMENTWISE_OPS,
        **LAYOUT_OPS,
        **MATRIX_OPS,
        **POOLING_OPS,
        **ROUTING_OPS,
    }
)


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
    shapes = {name: tuple(int(size) for size in shape) for name, shape in (inputs or {}).items()}
    fed = set(shapes)
    for layer in graph.layers:
        outputs = _outputs(layer, shapes, fed, partial)
        for name, shape in zip(layer.outputs, outputs, strict=False):
            if name in shapes and name not in fed:
                raise layer.error(f"makes the blob {name!r} a second time")
            if shape is not None:
                shapes[name] = shape
    return shapes


def _outputs(
    layer: Layer, shapes: Mapping[str, Shape], fed: set[str], partial: bool
) -> Sequence[Shape | None]:
    """Shapes of a layer's outputs, None or missing where `partial` allows that they are not known."""
    if layer.type in SOURCE_PARAMS:
        return _source_shapes(layer, shapes, partial)
    missing = [name for name in layer.inputs if name not in shapes]
    rule = OPS.get(layer.type)
    if partial and (missing or rule is None or not set(layer.params) <= rule.params | NOT_OF_A_RULE):
        return []
    if missing:
        raise layer.error(f"reads the blob {missing[0]!r}, which no earlier layer makes")
    if rule is None:
        raise layer.error(f"the layer type {layer.type} has no shape rule")
    if fed.intersection(layer.outputs):
        raise layer.error(f"makes the blob {layer.outputs[0]!r}, which is an input")
    return rule.shapes(layer, [shapes[name] for name in layer.inputs])


def _source_shapes(layer: Layer, shapes: Mapping[str, Shape], partial: bool) -> list[Shape | None]:
    """The size of a MemoryData; for every output of an Input the given shape, or else the written one."""
    if layer.inputs:
        raise layer.error(f"takes no input, found {len(layer.inputs)}")
    if layer.type == "MemoryData":
        slots = weight_slots(layer)
        if not slots or len(layer.outputs) != 1:
            raise layer.error("must have a size and one output")
        return [checked(layer, slots[0].shape)]
    w, h, c, d = (layer.int_param(key, 0) for key in (0, 1, 2, 11))
    written = ((c, d, h, w) if d else (c, h, w) if c else (h, w) if h else (w,)) if w else None
    found = [shapes.get(name, written) for name in layer.outputs]
    if None in found and not partial:
        raise layer.error(f"the shape of {layer.outputs[found.index(None)]!r} is neither written nor given")
    return [shape if shape is None else checked(layer, shape) for shape in found]
