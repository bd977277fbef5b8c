"""The rule of each layer type that is understood: layer and shapes in, role out; see `roles`."""

from collections.abc import Callable, Mapping
from math import prod
from types import MappingProxyType

from pocketdet.export.passes.lanes.intervals import Interval, cut_intervals
from pocketdet.export.passes.lanes.roles import Role, Site, opaque
from pocketdet.runtime.ncnn_graph import Layer, Shape


def role_of(layer: Layer, shapes: Mapping[str, Shape]) -> Role:
    """The role of one layer; opaque when a shape of its blobs is not known."""
    rule = _RULES.get(layer.type)
    if rule is None or not layer.inputs or any(b not in shapes for b in (*layer.inputs, *layer.outputs)):
        if layer.type == "MemoryData" and layer.outputs[0] in shapes:
            return Role("source")
        return opaque(layer)
    return rule(Site(layer, [shapes[b] for b in layer.inputs], [shapes[b] for b in layer.outputs]))


def _copy(_site: Site) -> Role:
    return Role("copy")


def _noop(_site: Site) -> Role:
    return Role("opaque")  # what it reads is kept, see `trace`


def _dropout(site: Site) -> Role:
    return Role("copy" if site.layer.float_param(0, 1.0) == 1.0 else "pass")


def _pass(_site: Site) -> Role:
    return Role("pass")


def _per_channel(site: Site) -> Role:
    """BatchNorm, Bias, Scale, PReLU: one number per channel, or PReLU's single one."""
    layer = site.layer
    if layer.type == "Scale" and len(site.inputs) == 2:
        return Role("tie")
    return Role("pass", weighted=layer.int_param(0, 0) > 1 or layer.type != "PReLU")


def _concat(site: Site) -> Role:
    axis = site.layer.int_param(0, 0) % len(site.inputs[0])
    return Role("join" if axis == 0 else "tie")


def _slice(site: Site) -> Role:
    if site.layer.int_param(1, 0) % len(site.inputs[0]) != 0:
        return Role("pass")
    return Role("cut", intervals=tuple(cut_intervals(site.layer, site.inputs[0], site.outputs)))


def _crop(site: Site) -> Role:
    layer, shape, out = site.layer, site.inputs[0], site.outputs[0]
    if len(site.inputs) != 1 or len(shape) != len(out):
        return site.opaque
    if layer.int_array(9) or layer.int_array(10):
        intervals = tuple(cut_intervals(layer, shape, site.outputs))
        pixels_kept = shape[1:] == out[1:]
        if intervals[0] == Interval(0, shape[0]):
            return Role("pass")
        return Role("cut", intervals=intervals) if pixels_kept else site.opaque
    return Role("pass") if shape[0] == out[0] and len(shape) == 3 else site.opaque


def _shuffle(_site: Site) -> Role:
    return Role("shuffle")


def _dense(site: Site) -> Role:
    layer = site.layer
    dynamic = layer.int_param(28 if layer.type == "Deconvolution" else 19, 0)
    if dynamic or not layer.params.get(6):
        return site.opaque
    return Role("make", fixed=tuple(range(1, len(site.inputs))))


def _inner_product(site: Site) -> Role:
    """Rows of a matrix one by one have their channels along the second axis: left alone."""
    shape = site.inputs[0]
    return site.opaque if len(shape) == 2 else Role("make", axes_merged=prod(shape[1:]))


def _gemm(site: Site) -> Role:
    """A constant matrix times the input: its rows make channels, its columns read them.

    A constant matrix on the other side mixes the second axis, which ncnn does not pack: left alone.
    """
    layer = site.layer
    constant_a, constant_b, constant_c = (layer.int_param(key, 0) for key in (4, 5, 6))
    by_row = not constant_c or layer.int_param(10, 0) in (-1, 1, 2, 3)
    turned = layer.int_param(3, 0) or layer.int_param(11, 0) or layer.int_param(14, 0)
    fits = (constant_a, constant_b, len(site.inputs), len(site.inputs[0])) == (1, 0, 1, 2)
    return Role("make") if fits and by_row and not turned and not layer.int_param(18, 0) else site.opaque


def _depthwise(site: Site) -> Role:
    layer = site.layer
    group = layer.int_param(7, 1)
    out = layer.int_param(0, 0)
    dynamic = layer.int_param(28 if layer.type.startswith("De") else 19, 0)
    if dynamic or len(site.inputs) != 1 or group != site.inputs[0][0] or out % group:
        return site.opaque
    return Role("pass", repeat=out // group, weighted=True)


def _padding(site: Site) -> Role:
    if site.layer.int_param(7, 0) or site.layer.int_param(8, 0) or len(site.inputs[0]) < 2:
        return site.opaque
    if len(site.inputs[0]) == 2 and (site.layer.int_param(0, 0) or site.layer.int_param(1, 0)):
        return site.opaque
    return Role("pass", weighted=site.layer.int_param(6, 0) > 0)


def _pooling(site: Site) -> Role:
    return Role("pass") if site.inputs[0][0] == site.outputs[0][0] else site.opaque


def _reduction(site: Site) -> Role:
    layer, dims = site.layer, len(site.inputs[0])
    axes = {axis % dims for axis in layer.int_array(3)}
    everything = layer.int_param(1, 1) or dims == 1 or not axes
    return site.opaque if everything or 0 in axes else Role("pass")


def _softmax(site: Site) -> Role:
    along_channels = site.layer.int_param(0, 0) % len(site.inputs[0]) == 0
    return site.opaque if along_channels else Role("pass")


def _reshape(site: Site) -> Role:
    """Flatten, Reshape, Squeeze, ExpandDims: values stay in their order; the first axis must survive.

    A Reshape to other dimensions that copies a size (0) might copy the number of channels.
    """
    shape, out = site.inputs[0], site.outputs[0]
    sizes = (0, 1, 2, 11) if site.layer.type == "Reshape" else ()
    copies = len(shape) != len(out) and any(site.layer.params.get(key) == 0 for key in sizes)
    if shape[0] == 1 or len(site.inputs) != 1 or copies:
        return site.opaque
    if out[0] == shape[0]:
        return Role("pass")
    return Role("pass", repeat=prod(shape[1:])) if len(out) == 1 and out[0] == prod(shape) else site.opaque


def _binary(site: Site) -> Role:
    """Tensors that meet channel by channel, or one of a single channel spread over all of the other."""
    if len(site.inputs) == 1:
        return Role("pass")
    a, b = site.inputs
    if any(len(x) == 1 and len(y) > 1 and x[0] not in (1, y[0]) for x, y in ((a, b), (b, a))):
        return site.opaque  # a vector along the width
    if a[0] == b[0]:
        return Role("tie")
    return Role("pass", main=int(a[0] == 1), fixed=(int(a[0] != 1),))


def _eltwise(_site: Site) -> Role:
    return Role("tie")


_PASSING = (
    "AbsVal BNLL CELU Clip ELU Erf Exp GELU HardSigmoid HardSwish Log Mish Power ReLU SELU Shrink Sigmoid"
    " Softplus Swish TanH Threshold UnaryOp Interp"
)
_RULES: Mapping[str, Callable[[Site], Role]] = MappingProxyType(
    {
        **dict.fromkeys(_PASSING.split(), _pass),
        **dict.fromkeys(("Split", "DeepCopy"), _copy),
        **dict.fromkeys(("BatchNorm", "Bias", "Scale", "PReLU"), _per_channel),
        **dict.fromkeys(("Convolution", "Deconvolution", "DeformableConv2D"), _dense),
        **dict.fromkeys(("ConvolutionDepthWise", "DeconvolutionDepthWise"), _depthwise),
        **dict.fromkeys(("Flatten", "Reshape", "Squeeze", "ExpandDims"), _reshape),
        "BinaryOp": _binary,
        "Concat": _concat,
        "Crop": _crop,
        "Dropout": _dropout,
        "Eltwise": _eltwise,
        "Gemm": _gemm,
        "InnerProduct": _inner_product,
        "Noop": _noop,
        "Padding": _padding,
        "Pooling": _pooling,
        "Reduction": _reduction,
        "ShuffleChannel": _shuffle,
        "Slice": _slice,
        "Softmax": _softmax,
    }
)
