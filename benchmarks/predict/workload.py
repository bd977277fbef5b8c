"""The work of a network by class of layers, and the groups of classes that share one rate in a fit.

Layers of one class take a time proportional to their amount: millions of multiply-accumulates (MACs), or of
values read and written. The groups are the smallest that cross-validation did not improve on.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from pocketdet.runtime.bundle import Bundle
from pocketdet.runtime.ncnn_graph import Graph, Layer, Shape, count_macs, infer_shapes, read_graph
from pocketdet.runtime.ncnn_graph.layer_views import Convolution, InnerProduct

MILLION = 1e6
# They move nothing in ncnn, or decode the boxes at the end of some published models.
_FREE = frozenset({"Input", "MemoryData", "Split", "Noop", "Reshape", "Flatten", "Dropout", "PriorBox"}) | {
    "DetectionOutput",
    "YoloDetectionOutput",
    "Yolov3DetectionOutput",
}
_ATTENTION = frozenset({"MultiHeadAttention", "MatMul", "SDPA"})
_DEPTHWISE = frozenset({"ConvolutionDepthWise", "DeconvolutionDepthWise"})
_NOT_MACS = frozenset({"moved_dense", "moved_others"})
_LANES = 4


Classes = Mapping[str, tuple[str, ...]]

DETAILS = (
    "dense_1x1",
    "dense_1x1_odd",  # odd: channels that are no multiple of 4
    "winograd_3x3",
    "dense_kxk",
    "grouped",
    "depthwise_3x3",
    "depthwise_5x5",
    "depthwise_odd",
    "fully_connected",
    "moved_dense",
    "moved_others",
)

FLOAT: Classes = MappingProxyType(
    {
        "dense_1x1": ("dense_1x1", "dense_1x1_odd"),
        "winograd_3x3": ("winograd_3x3",),
        "dense_kxk": ("dense_kxk", "grouped"),
        "depthwise": ("depthwise_3x3", "depthwise_5x5", "depthwise_odd"),
        "fully_connected": ("fully_connected",),
        "values_moved": ("moved_dense", "moved_others"),
    }
)
# Eight published models only, which do not distinguish more classes.
INT8: Classes = MappingProxyType(
    {
        "dense": ("dense_1x1", "dense_1x1_odd", "winograd_3x3", "dense_kxk", "grouped"),
        "depthwise": ("depthwise_3x3", "depthwise_5x5", "depthwise_odd", "fully_connected"),
        "values_moved": ("moved_dense", "moved_others"),
    }
)
BY_PRECISION: Mapping[str, Classes] = MappingProxyType({"float": FLOAT, "int8": INT8})


@dataclass(frozen=True)
class Workload:
    """Amounts of one run by detailed class, in millions.

    Attributes:
        amounts: Amount by class, keys of `DETAILS`.
        unlike: The MACs in layers that no fitted model has, which are counted as dense 1x1.
        int8: The share of MACs in int8 layers, 0..1.
    """

    amounts: Mapping[str, float]
    unlike: float = 0.0
    int8: float = 0.0

    @property
    def macs(self) -> float:
        """Million multiply-accumulates."""
        return sum(amount for name, amount in self.amounts.items() if name not in _NOT_MACS)

    def __add__(self, other: "Workload") -> "Workload":
        names = dict.fromkeys((*self.amounts, *other.amounts))
        total = {name: self.amounts.get(name, 0.0) + other.amounts.get(name, 0.0) for name in names}
        macs = self.macs + other.macs
        int8 = (self.int8 * self.macs + other.int8 * other.macs) / macs if macs else 0.0
        return Workload(total, self.unlike + other.unlike, int8)


def amounts(work: Workload, classes: Classes) -> NDArray[np.float64]:
    """Sum the amounts of a workload by group of classes.

    Returns:
        Millions, (groups,), in the order of `classes`.
    """
    return np.array([sum(work.amounts.get(part, 0.0) for part in parts) for parts in classes.values()])


def precision_of(work: Workload) -> str:
    """Return the fit for a workload: "int8" if most of its MACs are in int8 layers, else "float"."""
    return "int8" if work.int8 > 0.5 else "float"


def bundle_work(bundle: Bundle) -> Workload:
    """Count the work of all networks of a bundle, with as many RoIs as its manifest keeps.

    Resizing the image, proposals, RoI align and box decoding are not included.

    Raises:
        GraphError: As `graph_work`.
    """
    total = Workload({})
    for spec in bundle.manifest.graphs.by_name().values():
        graph = read_graph(bundle.path(spec.param))
        total += graph_work(graph, infer_shapes(graph, spec.input_shapes(bundle.manifest.max_rois)))
    return total


def graph_work(graph: Graph, shapes: Mapping[str, Shape]) -> Workload:
    """Count the work of one graph; layers with unknown shapes are not counted.

    Raises:
        GraphError: If it has attention: no fitted model has it, and its time does not follow that of others.
    """
    amounts: defaultdict[str, float] = defaultdict(float)
    unlike = int8 = 0.0
    for layer, cost in zip(graph.layers, count_macs(graph, shapes), strict=True):
        if layer.type in _ATTENTION:
            raise layer.error("attention cannot be predicted: convolution networks alone were fitted")
        if layer.type in _FREE or cost.macs is None:
            continue
        inputs, outputs = ([shapes[b] for b in blobs] for blobs in (layer.inputs, layer.outputs))
        moved = (sum(map(prod, inputs)) + sum(map(prod, outputs))) / MILLION
        macs = cost.macs / MILLION
        if not macs:
            amounts["moved_others"] += moved
            continue
        kind = _kind(layer, inputs[0], outputs[0])
        amounts[kind] += macs
        if kind != "fully_connected":
            amounts["moved_others" if layer.type in _DEPTHWISE else "moved_dense"] += moved
        unlike += macs if _is_unlike(layer, inputs[0]) else 0.0
        int8 += macs if _is_int8(layer) else 0.0
    macs = Workload(amounts).macs
    return Workload(dict(amounts), unlike, int8 / macs if macs else 0.0)


def _kind(layer: Layer, source: Shape, out: Shape) -> str:
    """The detailed class of a layer with MACs."""
    if layer.type == "Gemm":
        return "dense_1x1"
    if layer.type == "InnerProduct":
        return "dense_1x1" if _has_rows(source) else "fully_connected"
    if layer.type not in Convolution.types:
        raise layer.error(f"no class for the multiply-accumulates of {layer.type}")
    convolution = Convolution.of(layer)
    kernel = convolution.kernel
    odd = source[0] % _LANES or out[0] % _LANES
    if layer.type in _DEPTHWISE:
        if convolution.group != source[0] or source[0] != out[0]:
            return "grouped"
        return "depthwise_odd" if odd else "depthwise_3x3" if prod(kernel) <= 9 else "depthwise_5x5"
    if kernel == (1, 1):
        return "dense_1x1_odd" if odd else "dense_1x1"
    plain_strides = convolution.stride == (1, 1) and convolution.dilation_w == 1
    plain = layer.type == "Convolution" and kernel == (3, 3) and plain_strides
    # ncnn's own condition for its Winograd kernels
    return "winograd_3x3" if plain and min(source[0], out[0]) >= 8 else "dense_kxk"


def _is_int8(layer: Layer) -> bool:
    if layer.type == "InnerProduct":
        return InnerProduct.of(layer).int8_scale_term != 0
    return layer.type in Convolution.types and Convolution.of(layer).int8_scale_term != 0


def _is_unlike(layer: Layer, source: Shape) -> bool:
    rows = layer.type == "InnerProduct" and _has_rows(source)
    return rows or layer.type in ("Gemm", "DeformableConv2D", "Deconvolution")


def _has_rows(source: Shape) -> bool:
    """Whether ncnn's InnerProduct multiplies a matrix here; it flattens an input of three dimensions."""
    return len(source) == 2 and source[0] > 1
