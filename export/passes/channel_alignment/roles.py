"""What each layer does to the channels along the first axis of its blobs.

A role follows from a layer's type, parameters and shapes:

pass_through  every output holds what the input holds (Split)
concat        Concat along the channels
slice         Slice along the channels, or Crop of a range of them: every output is an interval of input 0
shuffle       ShuffleChannel
per_channel   each channel of input 0 becomes `repeat` channels of each output, in order
elementwise   channel k of one input is combined with channel k of the others
dense         the weights mix all channels of input 0: any order in, any order out
constant      a constant, whose channels can be stored in any order
barrier       anything else: the inputs need their original channel order, the outputs define a new one

A layer that is not understood is a barrier, so that it cannot be rewritten incorrectly.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np

from pocketdet.runtime.ncnn_graph import Layer, Shape
from pocketdet.runtime.ncnn_graph.layer_views import (
    NOT_GIVEN,
    Axis,
    Convolution,
    Crop,
    Dropout,
    Gemm,
    Padding,
    PReLU,
    Reduction,
    Sizes,
    Slice,
)

RoleKind = Literal[
    "pass_through", "concat", "slice", "shuffle", "per_channel", "elementwise", "dense", "constant", "barrier"
]


class Interval(NamedTuple):
    """The positions begin <= k < end."""

    begin: int
    end: int


@dataclass(frozen=True)
class Role:
    """The role of one layer.

    Attributes:
        kind: See the module's description.
        main: The input whose channels are passed on.
        ordered: Inputs that need their original channels in the original order.
        intervals: Of a `slice` layer: the positions of input 0 that each output takes.
        repeat: Of a `per_channel` layer: output channels per input channel.
        weighted: Whether a `per_channel` layer has weights per channel.
        values_per_channel: Of a `dense` layer: the values of a channel that lie in a row at input 0. An
            InnerProduct reads (c, h, w) as c * h * w values.
    """

    kind: RoleKind
    main: int = 0
    ordered: tuple[int, ...] = ()
    intervals: tuple[Interval, ...] = ()
    repeat: int = 1
    weighted: bool = False
    values_per_channel: int = 1


@dataclass(frozen=True)
class LayerContext:
    """A layer with the shapes of its blobs, (c, h, w) without batch."""

    layer: Layer
    inputs: Sequence[Shape]
    outputs: Sequence[Shape]

    @property
    def barrier(self) -> Role:
        """The role if the layer is not understood."""
        return barrier(self.layer)


def barrier(layer: Layer) -> Role:
    """Return the role of a layer that is not understood."""
    return Role("barrier", ordered=tuple(range(len(layer.inputs))))


def role_of(layer: Layer, shapes: Mapping[str, Shape]) -> Role:
    """Return the role of a layer: `barrier` if a shape of its blobs is unknown."""
    rule = _RULES.get(layer.type)
    if rule is None or not layer.inputs or any(b not in shapes for b in (*layer.inputs, *layer.outputs)):
        if layer.type == "MemoryData" and layer.outputs[0] in shapes:
            return Role("constant")
        return barrier(layer)
    return rule(LayerContext(layer, [shapes[b] for b in layer.inputs], [shapes[b] for b in layer.outputs]))


def slice_intervals(layer: Layer, shape: Shape, outputs: Sequence[Shape]) -> list[Interval]:
    """Return the channels that each output of a Slice, or of a Crop with starts and ends, takes.

    Args:
        layer: The Slice or Crop.
        shape: Shape of its input.
        outputs: Shapes of its outputs.
    """
    if layer.type == "Slice":
        ends = np.cumsum([0, *(out[0] for out in outputs)])
        return [Interval(int(begin), int(end)) for begin, end in pairwise(ends)]
    crop = Crop.of(layer)
    axes = [axis % len(shape) for axis in crop.axes or range(len(shape))]
    if 0 not in axes:
        return [Interval(0, shape[0])]
    start = crop.starts[axes.index(0)]
    begin = 0 if start == NOT_GIVEN else start % shape[0] if start < 0 else start
    return [Interval(begin, begin + outputs[0][0])]


def _pass_through(_context: LayerContext) -> Role:
    return Role("pass_through")


def _per_channel(_context: LayerContext) -> Role:
    return Role("per_channel")


def _elementwise(_context: LayerContext) -> Role:
    return Role("elementwise")


def _shuffle(_context: LayerContext) -> Role:
    return Role("shuffle")


def _dropout(context: LayerContext) -> Role:
    return Role("pass_through" if Dropout.of(context.layer).scale == 1.0 else "per_channel")


def _norm(context: LayerContext) -> Role:
    """BatchNorm, Bias, Scale and PReLU: one number per channel, or PReLU's single one."""
    layer = context.layer
    if layer.type == "Scale" and len(context.inputs) == 2:
        return Role("elementwise")
    return Role("per_channel", weighted=layer.type != "PReLU" or PReLU.of(layer).num_slope > 1)


def _concat(context: LayerContext) -> Role:
    axis = Axis.of(context.layer).axis % len(context.inputs[0])
    return Role("concat" if axis == 0 else "elementwise")


def _slice(context: LayerContext) -> Role:
    if Slice.of(context.layer).axis % len(context.inputs[0]) != 0:
        return Role("per_channel")
    intervals = slice_intervals(context.layer, context.inputs[0], context.outputs)
    return Role("slice", intervals=tuple(intervals))


def _crop(context: LayerContext) -> Role:
    layer, shape, out = context.layer, context.inputs[0], context.outputs[0]
    if len(context.inputs) != 1 or len(shape) != len(out):
        return context.barrier
    if Crop.of(layer).starts or Crop.of(layer).ends:
        intervals = tuple(slice_intervals(layer, shape, context.outputs))
        if intervals[0] == Interval(0, shape[0]):
            return Role("per_channel")
        return Role("slice", intervals=intervals) if shape[1:] == out[1:] else context.barrier
    return Role("per_channel") if shape[0] == out[0] and len(shape) == 3 else context.barrier


def _convolution(context: LayerContext) -> Role:
    convolution = Convolution.of(context.layer)
    if convolution.dynamic_weight or not convolution.weight_data_size:
        return context.barrier
    return Role("dense", ordered=tuple(range(1, len(context.inputs))))


def _inner_product(context: LayerContext) -> Role:
    """A matrix as input has its channels along the second axis, which is not followed."""
    shape = context.inputs[0]
    return context.barrier if len(shape) == 2 else Role("dense", values_per_channel=prod(shape[1:]))


def _gemm(context: LayerContext) -> Role:
    """A constant matrix A times the input: the rows of A make channels, its columns read them.

    A constant matrix B mixes the second axis, which ncnn does not pack: a barrier.
    """
    gemm = Gemm.of(context.layer)
    by_row = not gemm.constantC or gemm.constant_broadcast_type_C in (-1, 1, 2, 3)
    transposed = gemm.transB or gemm.output_N1M or gemm.output_transpose
    int8 = gemm.quantize_term
    fits = (gemm.constantA, gemm.constantB, len(context.inputs), len(context.inputs[0])) == (1, 0, 1, 2)
    return Role("dense") if fits and by_row and not transposed and not int8 else context.barrier


def _depthwise(context: LayerContext) -> Role:
    convolution = Convolution.of(context.layer)
    group, out = convolution.group, convolution.num_output
    if convolution.dynamic_weight or len(context.inputs) != 1 or group != context.inputs[0][0] or out % group:
        return context.barrier
    return Role("per_channel", repeat=out // group, weighted=True)


def _padding(context: LayerContext) -> Role:
    padding, dims = Padding.of(context.layer), len(context.inputs[0])
    if padding.front or padding.behind or dims < 2:  # pads channels
        return context.barrier
    if dims == 2 and (padding.top or padding.bottom):
        return context.barrier
    return Role("per_channel", weighted=padding.per_channel_pad_data_size > 0)


def _pooling(context: LayerContext) -> Role:
    return Role("per_channel") if context.inputs[0][0] == context.outputs[0][0] else context.barrier


def _reduction(context: LayerContext) -> Role:
    reduction, dims = Reduction.of(context.layer), len(context.inputs[0])
    axes = {axis % dims for axis in reduction.axes}
    reduces_all = reduction.reduce_all or dims == 1 or not axes
    return context.barrier if reduces_all or 0 in axes else Role("per_channel")


def _softmax(context: LayerContext) -> Role:
    along_channels = Axis.of(context.layer).axis % len(context.inputs[0]) == 0
    return context.barrier if along_channels else Role("per_channel")


def _reshape(context: LayerContext) -> Role:
    """Flatten, Reshape, Squeeze, ExpandDims: the order of values stays; the first axis must survive.

    A Reshape to another number of dimensions that copies a size (0) might copy the number of channels.
    """
    shape, out = context.inputs[0], context.outputs[0]
    copies_size = False
    if context.layer.type == "Reshape" and len(shape) != len(out):
        sizes = Sizes.of(context.layer)
        copies_size = 0 in (sizes.w, sizes.h, sizes.c, sizes.d)
    if shape[0] == 1 or len(context.inputs) != 1 or copies_size:
        return context.barrier
    if out[0] == shape[0]:
        return Role("per_channel")
    flattened = len(out) == 1 and out[0] == prod(shape)
    return Role("per_channel", repeat=prod(shape[1:])) if flattened else context.barrier


def _binary(context: LayerContext) -> Role:
    """Tensors combined channel by channel, or one of a single channel that is broadcast over the other."""
    if len(context.inputs) == 1:
        return Role("per_channel")
    a, b = context.inputs
    if any(len(x) == 1 and len(y) > 1 and x[0] not in (1, y[0]) for x, y in ((a, b), (b, a))):
        return context.barrier  # a vector along the width
    if a[0] == b[0]:
        return Role("elementwise")
    return Role("per_channel", main=int(a[0] == 1), ordered=(int(a[0] != 1),))


_UNARY = (
    "AbsVal BNLL CELU Clip ELU Erf Exp GELU HardSigmoid HardSwish Log Mish Power ReLU SELU Shrink Sigmoid"
    " Softplus Swish TanH Threshold UnaryOp Interp"
)
_RULES: Mapping[str, Callable[[LayerContext], Role]] = MappingProxyType(
    {
        **dict.fromkeys(_UNARY.split(), _per_channel),
        **dict.fromkeys(("Split", "DeepCopy"), _pass_through),
        **dict.fromkeys(("BatchNorm", "Bias", "Scale", "PReLU"), _norm),
        **dict.fromkeys(("Convolution", "Deconvolution", "DeformableConv2D"), _convolution),
        **dict.fromkeys(("ConvolutionDepthWise", "DeconvolutionDepthWise"), _depthwise),
        **dict.fromkeys(("Flatten", "Reshape", "Squeeze", "ExpandDims"), _reshape),
        "BinaryOp": _binary,
        "Concat": _concat,
        "Crop": _crop,
        "Dropout": _dropout,
        "Eltwise": _elementwise,
        "Gemm": _gemm,
        "InnerProduct": _inner_product,
        "Padding": _padding,
        "Pooling": _pooling,
        "Reduction": _reduction,
        "ShuffleChannel": _shuffle,
        "Slice": _slice,
        "Softmax": _softmax,
    }
)
