"""Layers that move, cut, join or repeat values without arithmetic on them."""

from collections.abc import Sequence
from itertools import pairwise

from pocketdet.runtime.ncnn_graph.model import Layer
from pocketdet.runtime.ncnn_graph.shapes.op import (
    Op,
    Shape,
    axis_of,
    expect_dims,
    expect_range,
    op,
)

_MANY = 4096
_KEEP = -233
_CROP_NAMES = ((0, 3, 6), (1, 4, 7), (13, 14, 15), (2, 5, 8))


def _split(layer: Layer, inputs: Sequence[Shape]) -> list[Shape]:
    return [inputs[0]] * len(layer.outputs)


def _noop(layer: Layer, inputs: Sequence[Shape]) -> list[Shape]:
    """In place on all inputs; only the first len(outputs) get a name."""
    if len(layer.outputs) > len(inputs):
        raise layer.error(f"has {len(layer.outputs)} outputs for {len(inputs)} inputs")
    return list(inputs[: len(layer.outputs)])


def _slice(layer: Layer, inputs: Sequence[Shape]) -> list[Shape]:
    shape = inputs[0]
    axis = axis_of(layer, layer.int_param(1, 0), len(shape))
    slices, indices = layer.int_array(0), layer.int_array(2)
    count, total = len(layer.outputs), shape[axis]
    sizes: list[int] = []
    if indices:
        if len(indices) != count - 1:
            raise layer.error(f"has {len(indices)} split points for {count} outputs")
        points = [0, *(i + total if i < 0 else i for i in indices), total]
        sizes = [end - begin for begin, end in pairwise(points)]
    else:
        if len(slices) != count:
            raise layer.error(f"has {len(slices)} sizes for {count} outputs")
        for i, size in enumerate(slices):
            sizes.append((total - sum(sizes)) // (count - i) if size == _KEEP else size)
    if min(sizes) < 1 or sum(sizes) != total:
        raise layer.error(
            f"slices {shape} along axis {axis} into {sizes}, which must be positive and sum to {total}"
        )
    return [(*shape[:axis], size, *shape[axis + 1 :]) for size in sizes]


def _concat(layer: Layer, inputs: Sequence[Shape]) -> list[Shape]:
    first = inputs[0]
    axis = axis_of(layer, layer.int_param(0, 0), len(first))
    for shape in inputs[1:]:
        if len(shape) != len(first) or shape[:axis] + shape[axis + 1 :] != first[:axis] + first[axis + 1 :]:
            raise layer.error(f"cannot join {first} and {shape} along axis {axis}")
    return [(*first[:axis], sum(shape[axis] for shape in inputs), *first[axis + 1 :])]


def _shuffle_channel(layer: Layer, inputs: Sequence[Shape]) -> list[Shape]:
    expect_dims(layer, inputs[0], 3, 4)
    group = layer.int_param(0, 1)
    if group < 1 or inputs[0][0] % group:
        raise layer.error(f"cannot shuffle {inputs[0][0]} channels in {group} groups")
    layer.int_param(1, 0)
    return [inputs[0]]


def _pixel_shuffle(layer: Layer, inputs: Sequence[Shape]) -> list[Shape]:
    """PixelShuffle trades channels for pixels, Reorg pixels for channels, by a factor r in each direction."""
    expect_dims(layer, inputs[0], 3)
    r = expect_range(layer, "the factor", layer.int_param(0, 1), 1, 1024)
    expect_range(layer, "the mode", layer.int_param(1, 0), 0, 1)
    c, h, w = inputs[0]
    if layer.type == "PixelShuffle":
        if c % (r * r):
            raise layer.error(f"{c} channels do not divide by {r} squared")
        return [(c // (r * r), h * r, w * r)]
    if h % r or w % r:
        raise layer.error(f"{h}x{w} pixels do not divide by {r}")
    return [(c * r * r, h // r, w // r)]


def _padding(layer: Layer, inputs: Sequence[Shape]) -> list[Shape]:
    shape = inputs[0]
    kind = expect_range(layer, "the padding type", layer.int_param(4, 0), 0, 2)
    top, bottom, left, right, front, behind = (layer.int_param(key, 0) for key in (0, 1, 2, 3, 7, 8))
    pairs = [(front, behind), (top, bottom), (left, right)]
    if len(shape) == 4:
        pairs = [(0, 0), *pairs]
    if any(pair != (0, 0) for pair in pairs[: -len(shape)]):
        raise layer.error(f"pads axes that its input {shape} does not have")
    pairs = pairs[-len(shape) :]
    for (before, after), size in zip(pairs, shape, strict=True):
        most = size - 1 if kind == 2 else 2**20
        expect_range(layer, "a pad", before, 0, most)
        expect_range(layer, "a pad", after, 0, most)
    output = tuple(before + size + after for (before, after), size in zip(pairs, shape, strict=True))
    per_channel = layer.int_param(6, 0)
    if per_channel and (len(shape) < 3 or per_channel != output[0]):
        raise layer.error(f"has {per_channel} pad values for an output of shape {output}")
    return [output]


def _crop(layer: Layer, inputs: Sequence[Shape]) -> list[Shape]:
    shape = inputs[0]
    starts, ends, axes = (layer.int_array(key) for key in (9, 10, 11))
    if starts or ends or axes:
        if len(inputs) != 1:
            raise layer.error("a crop by starts and ends takes one input")
        return [_crop_numpy(layer, shape, starts, ends, axes)]
    keys = {1: _CROP_NAMES[:1], 2: _CROP_NAMES[1::-1], 3: (_CROP_NAMES[3], *_CROP_NAMES[1::-1])}.get(
        len(shape), _CROP_NAMES[::-1]
    )
    offsets = [layer.int_param(key, 0) for key, _, _ in keys]
    sizes = {key: layer.int_param(key, 0) for _, *pair in _CROP_NAMES for key in pair}
    if not any(sizes.values()):
        return [_crop_to_reference(layer, inputs, offsets)]
    if len(inputs) != 1:
        raise layer.error("a crop to a size takes one input")
    output = []
    for size, offset, (_, out_key, tail_key) in zip(shape, offsets, keys, strict=True):
        rest = size - offset - expect_range(layer, "a trailing offset", sizes[tail_key], 0, size)
        output.append(rest if sizes[out_key] == _KEEP else min(sizes[out_key], rest))
    return [_inside(layer, shape, offsets, output)]


def _crop_to_reference(layer: Layer, inputs: Sequence[Shape], offsets: list[int]) -> Shape:
    if len(inputs) != 2:
        raise layer.error("a crop without size needs a second input to take it from")
    shape, reference = inputs
    output = list(shape)
    padded = (1,) * (4 - len(reference)) + reference if len(reference) < 3 else reference
    output[-2:] = padded[-2:] if len(shape) > 1 else padded[-1:]
    if len(shape) == 4:
        output[1] = reference[1] if len(reference) == 4 else 1
    if len(reference) == len(shape):
        output[0] = reference[0]
    return _inside(layer, shape, offsets, output)


def _crop_numpy(
    layer: Layer, shape: Shape, starts: Sequence[int], ends: Sequence[int], axes: Sequence[int]
) -> Shape:
    where = [axis_of(layer, axis, len(shape)) for axis in axes] if axes else list(range(len(shape)))
    if not len(starts) == len(ends) == len(where) == len(set(where)):
        raise layer.error(f"starts {starts}, ends {ends} and axes {axes} do not belong together")
    offsets, output = [0] * len(shape), list(shape)
    for axis, start, end in zip(where, starts, ends, strict=True):
        size = shape[axis]
        begin = 0 if start == _KEEP else start if start >= 0 else size + start
        stop = size if end == _KEEP else end if end > 0 else size + end
        offsets[axis], output[axis] = begin, min(size, stop) - begin
    return _inside(layer, shape, offsets, output)


def _inside(layer: Layer, shape: Shape, offsets: Sequence[int], output: Sequence[int]) -> Shape:
    for size, offset, length in zip(shape, offsets, output, strict=True):
        if offset < 0 or length < 1 or offset + length > size:
            raise layer.error(f"cuts {tuple(output)} at {tuple(offsets)} out of {shape}")
    return tuple(output)


ROUTING_OPS: dict[str, Op] = {
    "Concat": op(_concat, {0}, inputs=(1, _MANY)),
    "Crop": op(_crop, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15}, inputs=(1, 2)),
    "Noop": op(_noop, inputs=(1, _MANY), outputs=(1, _MANY)),
    "Padding": op(_padding, {0, 1, 2, 3, 4, 5, 6, 7, 8}),
    "PixelShuffle": op(_pixel_shuffle, {0, 1}),
    "Reorg": op(_pixel_shuffle, {0, 1}),
    "ShuffleChannel": op(_shuffle_channel, {0, 1}),
    "Slice": op(_slice, {0, 1, 2}, outputs=(1, _MANY)),
    "Split": op(_split, outputs=(1, _MANY)),
}
