"""Bounds on what padding becomes: an absorber multiplies it by zero, and 0 * inf would be NaN.

Padding is born as zero and runs through the same layers as real channels. Each function here gives bounds
(low, high) on the result of a layer, or None where the result may not be finite. `ANY` stands for a real
channel: finite, nothing more is known.
"""

import math
from collections.abc import Callable, Sequence
from math import inf

from pocketdet.runtime.ncnn_graph import Layer

Range = tuple[float, float]
ZERO: Range = (0.0, 0.0)
ANY: Range = (-inf, inf)
_LARGEST = 1e4  # half precision must hold it too

_BOUNDED = {"Sigmoid": (0.0, 1.0), "HardSigmoid": (0.0, 1.0), "TanH": (-1.0, 1.0), "Erf": (-1.0, 1.0)}
_GROWING = frozenset({"HardSwish", "Mish", "Swish", "GELU", "Interp", "Softplus", "BNLL"})
_SHRINKING = frozenset({"AbsVal", "ReLU", "CELU", "ELU"})
_RESET = frozenset({"BatchNorm", "Scale"})  # factors of padding are zero
_MOVED = frozenset({"Bias", "Flatten", "Reshape", "Squeeze", "ExpandDims", "Slice", "Crop"})


def hull(*ranges: Range) -> Range:
    """The smallest range that holds all."""
    return min(r[0] for r in ranges), max(r[1] for r in ranges)


def behind(layer: Layer, source: Range, pixels: int) -> Range | None:
    """Bounds behind a layer with one input that is passed on; `pixels` values make up a channel of it."""
    found = _behind(layer, source, pixels)
    if found is None or any(math.isnan(bound) for bound in found):
        return None
    if source != ANY and max(map(abs, found)) > _LARGEST:
        return None
    return found


def _behind(layer: Layer, source: Range, pixels: int) -> Range | None:
    kind, size = layer.type, max(map(abs, source))
    if kind in _MOVED:
        return source
    if kind in _RESET:
        return ZERO
    if kind in ("ConvolutionDepthWise", "DeconvolutionDepthWise", "Convolution", "Deconvolution"):
        return activated(layer)
    if kind in _BOUNDED:
        return _BOUNDED[kind]
    if kind in _GROWING:
        return -2 * size - 1, 2 * size + 1
    if kind in _SHRINKING:
        slope = max(1.0, abs(layer.float_param(0, 0.0)))
        return -size * slope - 1, size * slope + 1
    special = _SPECIAL.get(kind)
    return None if special is None else special(layer, source, pixels)


def activated(layer: Layer) -> Range:
    """What a fused activation (parameters 9 and 10) makes of zero; Gemm has none."""
    if layer.type == "Gemm":
        return ZERO
    kind, values = layer.int_param(9, 0), layer.float_array(10)
    if kind == 3:
        value = min(max(0.0, values[0]), values[1])
        return value, value
    return (0.5, 0.5) if kind == 4 else ZERO


def _clip(layer: Layer, source: Range, _pixels: int) -> Range:
    low, high = layer.float_param(0, -inf), layer.float_param(1, inf)
    return min(max(source[0], low), high), min(max(source[1], low), high)


def _padding(layer: Layer, source: Range, _pixels: int) -> Range:
    return hull(source, ZERO, (layer.float_param(5, 0.0),) * 2)


def _pooling(layer: Layer, source: Range, _pixels: int) -> Range:
    return hull(source, ZERO)


def _softmax(_layer: Layer, source: Range, _pixels: int) -> Range:
    return 0.0, 1.0


def _dropout(layer: Layer, source: Range, _pixels: int) -> Range:
    return _times(source, layer.float_param(0, 1.0))


def _prelu(layer: Layer, source: Range, _pixels: int) -> Range | None:
    """Padding has the slope 0 where slopes are per channel, else the one that all share."""
    if layer.int_param(0, 0) == 1 and "slope" not in layer.weights:
        return None
    slope = abs(float(layer.weights["slope"].values()[0])) if layer.int_param(0, 0) == 1 else 0.0
    return ANY if source == ANY else hull(source, ZERO, _times(source, slope), _times(source, -slope))


def _reduction(layer: Layer, source: Range, pixels: int) -> Range | None:
    """Sums, means, maxima and norms; products and logarithms only of nothing."""
    kind, factor = layer.int_param(0, 0), abs(layer.float_param(2, 1.0))
    if kind > 8 or (kind == 6 and source != ZERO) or (kind in (2, 8) and source == ANY):
        return None
    if source == ZERO:
        return ZERO
    size = max(1.0, max(map(abs, source)))
    worst = (size * size if kind in (2, 8) else size) * pixels * factor
    return -worst, worst


def _unary(layer: Layer, source: Range, _pixels: int) -> Range | None:
    """Operations by ncnn's numbers (unaryop.h); those that are not listed may leave the finite numbers."""
    low, high = source
    size, kind = max(abs(low), abs(high)), layer.int_param(0, 0)
    if kind in (0, 1, 2, 3, 18, 19):  # abs, neg, floor, ceil, round, trunc
        return -size - 1, size + 1
    if kind == 4:
        return (0.0, size * size) if source != ANY else None
    if kind in (9, 10, 16):  # sin, cos, tanh
        return -1.0, 1.0
    if kind == 14:
        return -2.0, 2.0
    if kind == 5 and low >= 0:
        return 0.0, size + 1
    if kind == 7 and high <= math.log(_LARGEST):
        return math.exp(low), math.exp(high)
    return None


def _one_scalar(layer: Layer, source: Range, _pixels: int) -> Range | None:
    """BinaryOp with a number."""
    value = layer.float_param(2, 0.0)
    return met(layer.int_param(0, 0), source, (value, value)) if layer.int_param(1, 0) else None


def met(operation: int, a: Range, b: Range) -> Range | None:
    """Bounds behind ncnn's BinaryOp `operation` on two operands, None where it may not be finite."""
    if operation in (7, 8):  # reversed subtraction and division
        operation, a, b = {7: 1, 8: 3}[operation], b, a
    if operation == 3 and b[0] <= 0 <= b[1]:
        return None
    if ANY in (a, b):
        free = (0, 1, 4, 5) if a == b else (0, 1, 2, 4, 5)
        return ANY if operation in free else None
    corners: Callable[[float, float], float] | None = _ARITHMETIC.get(operation)
    if corners is None:
        return None
    values = [corners(x, y) for x in a for y in b]
    return min(values), max(values)


def all_met(layer: Layer, sources: Sequence[Range]) -> Range | None:
    """Bounds behind a layer on several inputs that meet channel by channel."""
    if layer.type == "Concat":  # along another axis
        return hull(*sources)
    if layer.type == "Scale":
        return met(2, sources[0], sources[1])
    operation = layer.int_param(0, 0)
    if layer.type == "Eltwise":
        factors = layer.float_array(1) if operation == 1 else ()
        if factors:
            sources = [_times(source, factor) for source, factor in zip(sources, factors, strict=True)]
        operation = {0: 2, 1: 0, 2: 4}[operation]
    total: Range | None = sources[0]
    for source in sources[1:]:
        total = None if total is None else met(operation, total, source)
    if total is None or (total != ANY and max(map(abs, total)) > _LARGEST):
        return None
    return total


def _times(source: Range, factor: float) -> Range:
    return (
        ANY
        if source == ANY
        else (min(bound * factor for bound in source), max(bound * factor for bound in source))
    )


_ARITHMETIC: dict[int, Callable[[float, float], float]] = {
    0: lambda x, y: x + y,
    1: lambda x, y: x - y,
    2: lambda x, y: x * y,
    3: lambda x, y: x / y,
    4: max,
    5: min,
}
_SPECIAL: dict[str, Callable[[Layer, Range, int], Range | None]] = {
    "BinaryOp": _one_scalar,
    "Clip": _clip,
    "Dropout": _dropout,
    "PReLU": _prelu,
    "Padding": _padding,
    "Pooling": _pooling,
    "Reduction": _reduction,
    "Softmax": _softmax,
    "UnaryOp": _unary,
}
