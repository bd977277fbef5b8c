"""Parameters of layers without weights that name channels: cuts, reshapes, shape hints."""

from collections.abc import Mapping, Sequence

from pocketdet.export.passes.lanes.intervals import Interval
from pocketdet.runtime.ncnn_graph import Layer, Shape

_KEEP = -233
_LEADING_KEY = {1: 0, 2: 1, 3: 2, 4: 2}  # of Reshape and MemoryData, by number of dimensions
_STARTS, _ENDS, _AXES = 9, 10, 11
_CROP_CHANNELS = 5
_SHAPE_HINTS = 30


def leading_key(dims: int) -> int:
    """Parameter id of the size of the first axis of a blob."""
    return _LEADING_KEY[dims]


def set_slice(layer: Layer, intervals: Sequence[Interval], total: int) -> None:
    """Cut a Slice at other places; sizes that are written as equal shares and stay so are not touched."""
    if layer.int_array(2):
        layer.params[2] = tuple(interval.begin for interval in intervals[1:])
        return
    sizes = [interval.end - interval.begin for interval in intervals]
    if _as_written(layer.int_array(0), total) != sizes:
        layer.params[0] = tuple(sizes)


def _as_written(written: Sequence[int], total: int) -> list[int]:
    """What ncnn's Slice makes of its sizes."""
    sizes: list[int] = []
    for i, size in enumerate(written):
        sizes.append((total - sum(sizes)) // (len(written) - i) if size == _KEEP else size)
    return sizes


def set_crop(layer: Layer, interval: Interval, dims: int) -> None:
    """Crop other channels; whatever is said about other axes stays."""
    if not layer.int_array(_STARTS) and not layer.int_array(_ENDS):
        if layer.params.get(_CROP_CHANNELS, _KEEP) != _KEEP:
            layer.params[_CROP_CHANNELS] = interval.end - interval.begin
        return
    where = [axis % dims for axis in layer.int_array(_AXES) or range(dims)]
    if 0 in where:
        for key, bound in ((_STARTS, interval.begin), (_ENDS, interval.end)):
            bounds = list(layer.int_array(key))
            bounds[where.index(0)] = bound
            layer.params[key] = tuple(bounds)


def set_reshape(layer: Layer, dims: int, size: int) -> None:
    """Give a Reshape another first axis, where it is written as a number."""
    key = leading_key(dims)
    if layer.int_param(key, _KEEP) > 0:
        layer.params[key] = size


def set_hints(layer: Layer, shapes: Mapping[str, Shape]) -> None:
    """Write the shape hints (dims, w, h, c or dims, w, h, d, c per output) of other shapes."""
    hints = layer.int_array(_SHAPE_HINTS)
    step = len(hints) // max(len(layer.outputs), 1)
    if step not in (4, 5) or step * len(layer.outputs) != len(hints):
        layer.params.pop(_SHAPE_HINTS, None)
        return
    renewed: list[int] = []
    for blob in layer.outputs:
        shape = shapes[blob]
        whd = [*reversed(shape), 1, 1, 1][:3] if len(shape) != 3 else [shape[2], shape[1], 1]
        channels = shape[0] if len(shape) > 2 else 1
        renewed += [len(shape), whd[0], whd[1], *([whd[2]] if step == 5 else []), channels]
    layer.params[_SHAPE_HINTS] = tuple(renewed)
