"""Prove that padding stays finite: a dense layer multiplies it by zero, and 0 * inf would be NaN.

Padding starts as zero and passes through the same layers as real channels. A `Range` holds bounds
(low, high) on the values of padding; None stands for values that may not be finite. `ANY` stands for a real
channel: finite, nothing more is known.
"""

import math
from collections.abc import Callable, Sequence
from math import inf, prod

from pocketdet.export.passes.channel_alignment.placement import ChannelOrders
from pocketdet.export.passes.channel_alignment.trace import Trace
from pocketdet.export.passes.channel_alignment.widen import AlignedGraph, PlacementError
from pocketdet.runtime.ncnn_graph import Layer
from pocketdet.runtime.ncnn_graph.layer_views import (
    ELU,
    BinaryOp,
    Clip,
    Convolution,
    Dropout,
    Eltwise,
    InnerProduct,
    Padding,
    PReLU,
    Reduction,
    ReLU,
    UnaryOp,
)

Range = tuple[float, float]
ZERO: Range = (0.0, 0.0)
ANY: Range = (-inf, inf)
_LARGEST = 1e4
"""Largest value of padding: half precision must hold it and what a dense layer adds to it."""

_BOUNDED = {"Sigmoid": (0.0, 1.0), "HardSigmoid": (0.0, 1.0), "TanH": (-1.0, 1.0), "Erf": (-1.0, 1.0)}
_AT_MOST_TWICE = frozenset({"HardSwish", "Mish", "Swish", "GELU", "Interp", "Softplus", "BNLL"})
_BY_SLOPE = frozenset({"AbsVal", "ReLU", "CELU", "ELU"})
_ZERO_FACTORS = frozenset({"BatchNorm", "Scale"})
_SAME_VALUES = frozenset({"Bias", "Flatten", "Reshape", "Squeeze", "ExpandDims", "Slice", "Crop"})
_CONVOLUTIONS = frozenset({"ConvolutionDepthWise", "DeconvolutionDepthWise", "Convolution", "Deconvolution"})


def check_padding(found: Trace, aligned: AlignedGraph, orders: ChannelOrders) -> None:
    """Check that no layer makes infinity or NaN of padding.

    Args:
        found: The original graph.
        aligned: The aligned graph.
        orders: The channel order of its blobs.

    Raises:
        PlacementError: A layer may; the error names it and the groups that have padding there.
    """
    ranges: dict[str, Range] = {}
    for number, layer in enumerate(found.graph.layers):
        padded = [blob for blob in layer.outputs if blob in orders and bool((orders[blob] < 0).any())]
        if not padded:
            continue
        found_range = _propagate(found, number, ranges, orders, aligned)
        if found_range is None:
            sources = [aligned.channel_maps[blob].groups() for blob in layer.inputs if blob in ranges]
            groups = sorted({group for blob_groups in sources for group in blob_groups})
            widened = [g for g in groups if aligned.widths[g] > found.groups[g].size]
            raise PlacementError(f"zeros may become infinite or NaN in {layer.type} {layer.name!r}", widened)
        ranges.update(dict.fromkeys(padded, found_range))


def _propagate(
    found: Trace, number: int, ranges: dict[str, Range], orders: ChannelOrders, aligned: AlignedGraph
) -> Range | None:
    """The range of the padding in the outputs of layer `number`."""
    layer, role = found.graph.layers[number], found.roles[number]
    if role.kind == "dense":
        return activation_of_zero(layer)
    if role.kind == "constant":
        return ZERO
    if role.kind in ("pass_through", "shuffle", "concat"):
        return hull(*(ranges[blob] for blob in layer.inputs if blob in ranges))
    main = layer.inputs[role.main]
    if role.kind == "slice":
        return ANY if _moves_real_channels(layer, orders, aligned, number) else ranges[main]
    if role.kind == "elementwise":
        lost = orders[layer.outputs[0]] < 0
        real = [bool((orders[blob][lost] >= 0).any()) for blob in layer.inputs]
        sources = [ANY if r else ranges[b] for b, r in zip(layer.inputs, real, strict=True)]
        return nary_range(layer, sources)
    if layer.type == "BinaryOp" and role.ordered:
        operands = [ranges[main], ANY] if role.main == 0 else [ANY, ranges[main]]
        return binary_range(BinaryOp.of(layer).op_type, operands[0], operands[1])
    return propagate_unary(layer, ranges[main], prod(found.shapes[main][1:]))


def _moves_real_channels(layer: Layer, orders: ChannelOrders, aligned: AlignedGraph, number: int) -> bool:
    """Whether a Slice or Crop delivers a real channel to an output that it did not reach originally."""
    source = orders[layer.inputs[0]]
    pieces = zip(layer.outputs, aligned.intervals[number], strict=True)
    return any(bool(((orders[out] < 0) & (source[slice(*piece)] >= 0)).any()) for out, piece in pieces)


def hull(*ranges: Range) -> Range:
    """Return the smallest range that contains all `ranges`."""
    return min(r[0] for r in ranges), max(r[1] for r in ranges)


def activation_of_zero(layer: Layer) -> Range:
    """Return what a fused activation makes of zero; Gemm has none."""
    if layer.type == "Gemm":
        return ZERO
    view = (InnerProduct if layer.type == "InnerProduct" else Convolution).of(layer)
    kind, values = view.activation_type, view.activation_params
    if kind == 3:  # clip
        value = min(max(0.0, values[0]), values[1])
        return value, value
    return (0.5, 0.5) if kind == 4 else ZERO  # sigmoid


def propagate_unary(layer: Layer, source: Range, pixels: int) -> Range | None:
    """Return the range behind a layer that computes each channel from the same channel of one input.

    Args:
        layer: The layer.
        source: Range of the input.
        pixels: Values per channel of the input.

    Returns:
        The range, or None if values may be infinite, NaN or larger than 1e4.
    """
    found = _unary_range(layer, source, pixels)
    if found is None or any(math.isnan(bound) for bound in found):
        return None
    if source != ANY and max(map(abs, found)) > _LARGEST:
        return None
    return found


def _unary_range(layer: Layer, source: Range, pixels: int) -> Range | None:
    kind, size = layer.type, max(map(abs, source))
    if kind in _SAME_VALUES:
        return source
    if kind in _ZERO_FACTORS:
        return ZERO
    if kind in _CONVOLUTIONS:
        return activation_of_zero(layer)
    if kind in _BOUNDED:
        return _BOUNDED[kind]
    if kind in _AT_MOST_TWICE:
        return -2 * size - 1, 2 * size + 1
    if kind in _BY_SLOPE:
        slope = max(1.0, abs(_slope(layer)))
        return -size * slope - 1, size * slope + 1
    special = _SPECIAL.get(kind)
    return None if special is None else special(layer, source, pixels)


def _slope(layer: Layer) -> float:
    """The factor of negative values, of a layer of `_BY_SLOPE`."""
    match layer.type:
        case "ReLU":
            return ReLU.of(layer).slope
        case "ELU" | "CELU":
            return ELU.of(layer).alpha
    return 0.0


def binary_range(operation: int, a: Range, b: Range) -> Range | None:
    """Return the range behind a BinaryOp of two operands, None if values may not be finite.

    Args:
        operation: ncnn's number of it (src/layer/binaryop.h).
        a: Range of the first operand.
        b: Range of the second operand.
    """
    if operation in (7, 8):  # reversed subtraction and division
        operation, a, b = {7: 1, 8: 3}[operation], b, a
    if operation == 3 and b[0] <= 0 <= b[1]:
        return None
    if ANY in (a, b):
        finite = (0, 1, 4, 5) if a == b else (0, 1, 2, 4, 5)
        return ANY if operation in finite else None
    compute: Callable[[float, float], float] | None = _ARITHMETIC.get(operation)
    if compute is None:
        return None
    corners = [compute(x, y) for x in a for y in b]
    return min(corners), max(corners)


def nary_range(layer: Layer, sources: Sequence[Range]) -> Range | None:
    """Return the range behind a layer that combines several inputs channel by channel.

    Args:
        layer: Concat along another axis, Scale, Eltwise or BinaryOp.
        sources: Ranges of the inputs.

    Returns:
        The range, or None if values may be infinite, NaN or larger than 1e4.
    """
    if layer.type == "Concat":
        return hull(*sources)
    if layer.type == "Scale":
        return binary_range(2, sources[0], sources[1])
    operation = (Eltwise if layer.type == "Eltwise" else BinaryOp).of(layer).op_type
    if layer.type == "Eltwise":
        factors = Eltwise.of(layer).coeffs if operation == 1 else ()
        if factors:
            sources = [_scaled(source, factor) for source, factor in zip(sources, factors, strict=True)]
        operation = {0: 2, 1: 0, 2: 4}[operation]  # product, sum, maximum as BinaryOp numbers them
    total: Range | None = sources[0]
    for source in sources[1:]:
        total = None if total is None else binary_range(operation, total, source)
    if total is None or (total != ANY and max(map(abs, total)) > _LARGEST):
        return None
    return total


def _clip(layer: Layer, source: Range, _pixels: int) -> Range:
    low, high = Clip.of(layer).min, Clip.of(layer).max
    return min(max(source[0], low), high), min(max(source[1], low), high)


def _padding(layer: Layer, source: Range, _pixels: int) -> Range:
    value = Padding.of(layer).value
    return hull(source, ZERO, (value, value))


def _pooling(_layer: Layer, source: Range, _pixels: int) -> Range:
    return hull(source, ZERO)


def _softmax(_layer: Layer, _source: Range, _pixels: int) -> Range:
    return 0.0, 1.0


def _dropout(layer: Layer, source: Range, _pixels: int) -> Range:
    return _scaled(source, Dropout.of(layer).scale)


def _prelu(layer: Layer, source: Range, _pixels: int) -> Range | None:
    """Padding has the slope 0 if slopes are per channel, else the one that all channels share."""
    shared = PReLU.of(layer).num_slope == 1
    if shared and "slope" not in layer.weights:
        return None
    slope = abs(float(layer.weights["slope"].values()[0])) if shared else 0.0
    return ANY if source == ANY else hull(source, ZERO, _scaled(source, slope), _scaled(source, -slope))


def _reduction(layer: Layer, source: Range, pixels: int) -> Range | None:
    """Sums, means, maxima and norms; products only of zeros, no logarithms (src/layer/reduction.h)."""
    kind, factor = Reduction.of(layer).operation, abs(Reduction.of(layer).coeff)
    if kind > 8 or (kind == 6 and source != ZERO) or (kind in (2, 8) and source == ANY):
        return None
    if source == ZERO:
        return ZERO
    size = max(1.0, max(map(abs, source)))
    largest = (size * size if kind in (2, 8) else size) * pixels * factor
    return -largest, largest


def _unary_op(layer: Layer, source: Range, _pixels: int) -> Range | None:
    """Operations as src/layer/unaryop.h numbers them; None for those whose result may not be finite."""
    low, high = source
    size, kind = max(abs(low), abs(high)), UnaryOp.of(layer).op_type
    if kind in (0, 1, 2, 3, 18, 19):  # abs, neg, floor, ceil, round, trunc
        return -size - 1, size + 1
    if kind == 4:  # square
        return (0.0, size * size) if source != ANY else None
    if kind in (9, 10, 16):  # sin, cos, tanh
        return -1.0, 1.0
    if kind == 14:  # atan
        return -2.0, 2.0
    if kind == 5 and low >= 0:  # sqrt
        return 0.0, size + 1
    if kind == 7 and high <= math.log(_LARGEST):  # exp
        return math.exp(low), math.exp(high)
    return None


def _binary_op_with_scalar(layer: Layer, source: Range, _pixels: int) -> Range | None:
    operation = BinaryOp.of(layer)
    scalar = (operation.b, operation.b)
    return binary_range(operation.op_type, source, scalar) if operation.with_scalar else None


def _scaled(source: Range, factor: float) -> Range:
    if source == ANY:
        return ANY
    bounds = [bound * factor for bound in source]
    return min(bounds), max(bounds)


_ARITHMETIC: dict[int, Callable[[float, float], float]] = {
    0: lambda x, y: x + y,
    1: lambda x, y: x - y,
    2: lambda x, y: x * y,
    3: lambda x, y: x / y,
    4: max,
    5: min,
}
_SPECIAL: dict[str, Callable[[Layer, Range, int], Range | None]] = {
    "BinaryOp": _binary_op_with_scalar,
    "Clip": _clip,
    "Dropout": _dropout,
    "PReLU": _prelu,
    "Padding": _padding,
    "Pooling": _pooling,
    "Reduction": _reduction,
    "Softmax": _softmax,
    "UnaryOp": _unary_op,
}
