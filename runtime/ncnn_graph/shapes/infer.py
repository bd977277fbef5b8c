"""Shapes of every blob of a graph from the shapes of its inputs, layer by layer."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from pocketdet.errors import GraphError
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
    With `partial`, layers without a shape rule and all that depends on them are left out; otherwise they
    raise. Raises GraphError naming the first layer whose inputs are missing, do not fit it, or that is not
    understood.
    """
    shapes = {name: tuple(int(size) for size in shape) for name, shape in (inputs or {}).items()}
    fed = set(shapes)
    for layer in graph.layers:
        outputs = _outputs(layer, shapes, fed, partial)
        for name, shape in zip(layer.outputs, outputs, strict=False):
            if name in shapes and name not in fed:
                raise layer.error(f"makes the blob {name!r} a second time")
            shapes[name] = shape
    return shapes


def _outputs(layer: Layer, shapes: Mapping[str, Shape], fed: set[str], partial: bool) -> list[Shape]:
    if layer.type in SOURCE_PARAMS:
        return [_source_shape(layer, shapes)]
    missing = [name for name in layer.inputs if name not in shapes]
    rule = OPS.get(layer.type)
    if (missing or rule is None) and partial:
        return []
    if missing:
        raise layer.error(f"reads the blob {missing[0]!r}, which no earlier layer makes")
    if rule is None:
        raise layer.error(f"the layer type {layer.type} has no shape rule")
    if fed.intersection(layer.outputs):
        raise layer.error(f"makes the blob {layer.outputs[0]!r}, which is an input")
    return rule.shapes(layer, [shapes[name] for name in layer.inputs])


def _source_shape(layer: Layer, shapes: Mapping[str, Shape]) -> Shape:
    if layer.inputs or len(layer.outputs) != 1:
        raise layer.error(
            f"takes no input and gives one blob, found {len(layer.inputs)} and {len(layer.outputs)}"
        )
    if layer.type == "MemoryData":
        slots = weight_slots(layer)
        if not slots:
            raise layer.error("has no size, so ncnn would give it one value that nobody wrote")
        return checked(layer, slots[0].shape)
    name = layer.outputs[0]
    if name in shapes:
        return checked(layer, shapes[name])
    w, h, c, d = (layer.int_param(key, 0) for key in (0, 1, 2, 11))
    if not w:
        raise GraphError(f"{layer}: the shape of the input {name!r} is neither written nor given")
    return checked(layer, (c, d, h, w) if d else (c, h, w) if c else (h, w) if h else (w,))
