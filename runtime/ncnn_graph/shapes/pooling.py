"""Pooling, Interp and Reduction: layers that change the resolution or drop axes."""

from collections.abc import Sequence

import numpy as np

from pocketdet.runtime.ncnn_graph.model import Layer
from pocketdet.runtime.ncnn_graph.shapes.op import Op, Shape, axis_of, checked, expect_dims, expect_range, op

_KEEP = -233
_MAX_WINDOW = 2**14


def _pooling(layer: Layer, inputs: Sequence[Shape]) -> list[Shape]:
    """Global: (c,). Adaptive: the size asked for. Else windows, with pad modes full (ceil), valid, SAME."""
    expect_dims(layer, inputs[0], 3)
    expect_range(layer, "the pooling type", layer.int_param(0, 0), 0, 1)
    c, *pixels = inputs[0]
    if layer.int_param(4, 0):
        return [(c,)]
    if layer.int_param(7, 0):
        width = layer.int_param(8, 0)
        wanted = (layer.int_param(18, width), width)
        return [(c, *(size if out == _KEEP else out for size, out in zip(pixels, wanted, strict=True)))]
    kernel_w, stride_w, left = layer.int_param(1, 0), layer.int_param(2, 1), layer.int_param(3, 0)
    top = layer.int_param(13, left)
    kernel, stride = (layer.int_param(11, kernel_w), kernel_w), (layer.int_param(12, stride_w), stride_w)
    pads = ((top, layer.int_param(15, top)), (left, layer.int_param(14, left)))
    mode = expect_range(layer, "the pad mode", layer.int_param(5, 0), 0, 3)
    for value in (*kernel, *stride):
        expect_range(layer, "kernel and stride", value, 1, _MAX_WINDOW)
    for pad in (*pads[0], *pads[1]):
        expect_range(layer, "a pad", pad, 0, _MAX_WINDOW)
    checked(layer, (c, *(size + sum(pad) for size, pad in zip(pixels, pads, strict=True))))
    return [(c, *map(_windows, [layer] * 2, pixels, kernel, stride, map(sum, pads), [mode] * 2))]


def _windows(layer: Layer, size: int, kernel: int, stride: int, pad: int, mode: int) -> int:
    if mode >= 2:
        if kernel + (size - 1) // stride * stride < size:
            raise layer.error(
                f"SAME padding of {size} with kernel {kernel} and stride {stride} would be negative"
            )
        return (size - 1) // stride + 1
    room = size + pad - kernel
    if room < 0:
        raise layer.error(f"a window of {kernel} does not fit {size + pad} padded pixels")
    return (-(-room // stride) if mode == 0 else room // stride) + 1


def _interp(layer: Layer, inputs: Sequence[Shape]) -> list[Shape]:
    """(w,) becomes (w, h', w'), (h, w) becomes (h, w'), (c, h, w) becomes (c, h', w')."""
    shape = inputs[0]
    expect_dims(layer, shape, 1, 2, 3)
    expect_range(layer, "the resize type", layer.int_param(0, 0), 1, 3)
    height, width = layer.int_param(3, 0), layer.int_param(4, 0)
    layer.int_param(6, 0)
    if layer.int_param(5, 0) == 1 or len(inputs) == 2:
        if (layer.int_param(5, 0), len(inputs)) != (1, 2):
            raise layer.error("a size from a second input needs parameter 5=1 and two inputs")
        # ncnn reads the packed size of a vector or matrix here.
        expect_dims(layer, inputs[1], 3)
        height, width = inputs[1][1:]
    else:
        scales = (layer.float_param(1, 1.0), layer.float_param(2, 1.0))
        if not all(2**-14 <= scale <= 2**14 for scale in scales):
            raise layer.error(f"the scales must be positive and sane, found {scales}")
        if height == 0 or width == 0:
            pixels = (1, 1) if len(shape) == 1 else (1, shape[1]) if len(shape) == 2 else shape[1:]
            height, width = (int(np.float32(n) * np.float32(s)) for n, s in zip(pixels, scales, strict=True))
    expect_range(layer, "the output height", height, 1, _MAX_WINDOW * 4)
    expect_range(layer, "the output width", width, 1, _MAX_WINDOW * 4)
    return [(shape[0], width) if len(shape) == 2 else (shape[0], height, width)]


def _reduction(layer: Layer, inputs: Sequence[Shape]) -> list[Shape]:
    shape, axes = inputs[0], layer.int_array(3)
    expect_range(layer, "the operation", layer.int_param(0, 0), 0, 10)
    if axes and not layer.int_param(5, 0):
        raise layer.error("was written by an old converter (parameter 5 is 0), which ncnn refuses")
    reduced = {axis_of(layer, axis, len(shape)) for axis in axes}
    if layer.int_param(1, 1) or len(shape) == 1:
        reduced = set(range(len(shape)))
    if layer.int_param(4, 0):
        return [tuple(1 if i in reduced else size for i, size in enumerate(shape))]
    return [tuple(size for i, size in enumerate(shape) if i not in reduced) or (1,)]


POOLING_OPS: dict[str, Op] = {
    "Interp": op(_interp, {0, 1, 2, 3, 4, 5, 6}, inputs=(1, 2)),
    "Pooling": op(_pooling, {0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 14, 15, 18}),
    "Reduction": op(_reduction, {0, 1, 2, 3, 4, 5}),
}
