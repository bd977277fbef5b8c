"""Whether a description fits an ONNX file: what contradicts the file is refused, what is left over is named.

Refused: settings that the file shows to be wrong, such as rows that no level reads, two fields on one
element, levels in another order than the rows, or an activation that the graph has already. Named in one line
each: channels that no field reads, because keypoints and masks are left out deliberately, and settings that
are unlikely but possible. docs/reference/description.md lists both.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from pocketdet.errors import UsageError
from pocketdet.export.reference.origin_checks import (
    FieldPlace,
    check_origins,
    depends_on_grid,
    field_places,
    grid_text,
    ranges,
)
from pocketdet.export.reference.output_origins import OriginTracer
from pocketdet.models.config import Preprocessing
from pocketdet.runtime.engines.base import Array
from pocketdet.spec.one_stage import Activation, Layout, OneStageSpec, default_grid

_USUAL_STRIDES = ((8, 16, 32), (8, 16, 32, 64), (16, 32), (8, 16), (8, 16, 32, 64, 128), (16,), (8,), (32,))


@dataclass(frozen=True)
class OutputEvidence:
    """What a file shows about its outputs.

    Attributes:
        samples: the outputs of some images by name, without a batch axis.
        model: the ONNX graph that computes them.
    """

    samples: Sequence[Mapping[str, Array]]
    model: onnx.ModelProto


def check_description(
    path: object, decode: OneStageSpec, preprocessing: Preprocessing, evidence: OutputEvidence
) -> tuple[str, ...]:
    """Check a description against a file.

    Returns:
        A sentence for each thing that the description leaves out, or that is unlikely.

    Raises:
        UsageError: if the file contradicts the description. The sentence says what the file has and how to
            describe it.
    """
    try:
        _check_units(preprocessing)
        places = list(field_places(decode))
        shapes = {name: values.shape for name, values in evidence.samples[0].items()}
        for place in places:
            _check_shape(place, shapes[place.field.output], decode)
        lines = [*_unlikely_strides(decode), *_check_coverage(places, shapes, decode)]
        tracer = OriginTracer(evidence.model)
        origins = {name: tracer.trace(name) for name in decode.outputs}
        lines += check_origins(decode, places, {k: v for k, v in origins.items() if v}, tracer.maps)
        lines += check_samples(decode, places, evidence.samples)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    return tuple(lines)


def _check_units(preprocessing: Preprocessing) -> None:
    """Refuse mean and std in units of 0..1; those of a description are in units of 0..255."""
    mean, std = preprocessing.mean, preprocessing.std
    small_mean = any(mean) and all(0 <= value <= 1 for value in mean)
    if not small_mean and all(value >= 1 for value in std):
        return
    name, values = ("mean", mean) if small_mean else ("std", std)
    scaled = ", ".join(f"{value * 255:.4g}" for value in values)
    raise UsageError(
        f"preprocessing.{name} is {_listed(values)}, which looks like units of 0..1: it is subtracted from "
        f"values of 0..255, or divides them, so give {name} = [{scaled}]"
        + ("" if small_mean else "; a multiplier such as 0.0039 is given as its inverse")
    )


def _listed(values: Sequence[float]) -> str:
    return f"[{', '.join(f'{value:g}' for value in values)}]"


def _check_shape(place: FieldPlace, shape: tuple[int, ...], decode: OneStageSpec) -> None:
    elements = place.channels.shape[1]
    problem = place.level.shape_error(place.field, elements, shape)
    if problem:
        raise UsageError(f"{problem}; {place.name} {_advice(place, shape, decode)}")


def _advice(place: FieldPlace, shape: tuple[int, ...], decode: OneStageSpec) -> str:
    """What the field should be, as far as the shape shows it."""
    field, level, (height, width) = place.field, place.level, decode.input_size
    if len(shape) != (3 if field.layout == "map" else 2):
        fitting = {3: '"map" (channels, h, w)', 2: '"rows" (n, channels) or "columns" (channels, n)'}
        return f"has layout {field.layout!r}: a tensor of this shape is {fitting.get(len(shape), 'neither')}"
    if field.layout == "map" and shape[1:] != level.grid:
        return (
            f"is described with a grid of {grid_text(level.grid)}, and the tensor has "
            f"{grid_text(shape[1:])}: its stride is {height / shape[1]:g}"
            + (f" along y and {width / shape[2]:g} along x" if height * shape[2] != width * shape[1] else "")
        )
    channels = shape[1] if field.layout == "rows" else shape[0]
    last = int(place.channels.max())
    other: Layout = "columns" if field.layout == "rows" else "rows"
    if field.layout != "map" and not level.shape_error(
        replace(field, layout=other), place.channels.shape[1], shape
    ):
        return f'has layout "{field.layout}", and the tensor fits "{other}"'
    if last < channels:
        return f"and the levels before it need more rows than there are: {_strides(decode, shape)}"
    if place.kind == "classes":
        free = _elements_that_fit(place, channels) - (decode.class_elements - decode.num_classes)
        return (
            f"reads {place.channels.shape[1]} channels per anchor for {_class_count(decode)}, and there is "
            f"room for {max(free, 0)} names: give one name per class, without background, and check the "
            "first channel"
        )
    return f"ends at channel {last}, and the tensor's last is {channels - 1}: check first and the steps"


def _elements_that_fit(place: FieldPlace, channels: int) -> int:
    """How many elements per anchor a field could have."""
    field = place.field
    before = int(place.channels[-1, 0])
    return (channels - 1 - before) // field.element_step + 1


def _strides(decode: OneStageSpec, shape: tuple[int, ...]) -> str:
    """The strides of which the grids have as many cells as a tensor has rows, if a usual set fits."""
    anchors = {len(level.anchors) for level in decode.levels}
    for each in sorted({1, *anchors}):
        for strides in _USUAL_STRIDES:
            rows = sum(math.prod(default_grid(decode.input_size, s)) for s in strides) * each
            if rows in shape:
                anchor = f" with {each} anchors per cell" if each > 1 else ""
                return f"{rows} rows fit strides {', '.join(map(str, strides))}{anchor}"
    return "check strides, grids and anchors"


def _unlikely_strides(decode: OneStageSpec) -> Iterator[str]:
    """Levels whose cells do not span the input."""
    for number, level in enumerate(decode.levels):
        if level.grid[0] == 1 and not depends_on_grid(decode):
            continue
        strides = reversed(level.strides)
        for axis, cells, stride, side in zip("yx", level.grid, strides, decode.input_size, strict=True):
            spanned = cells * stride
            if abs(spanned - side) > 1e-3 * side:
                yield (
                    f"levels.{number}: {cells} cells of {stride:g} pixels along {axis} are {spanned:g} "
                    f"pixels of an input of {side}: right if the network pads its maps; default boxes that "
                    f"divide the input evenly have the stride {side / cells:g}"
                )


def _check_coverage(
    places: Sequence[FieldPlace], shapes: Mapping[str, tuple[int, ...]], decode: OneStageSpec
) -> Iterator[str]:
    """Every row is read, every element at most once; a line for each range of channels that is left over."""
    if not decode.uses_objectness and any(place.kind == "objectness" for place in places):
        yield (
            "an objectness is described and not used: set scores.objectness_power = 1 if it is a factor of "
            "the score, or leave it out"
        )
    for output in decode.outputs:
        readers = [place for place in places if place.field.output == output]
        if len({place.field.layout for place in readers}) > 1:
            raise UsageError(f"output {output!r} is described with more than one layout")
        owner = _owners(output, readers, shapes[output])
        if readers[0].field.layout != "map":
            _check_rows(output, readers, len(owner), decode)
        unread = np.flatnonzero((owner < 0).all(0))
        if not unread.size:
            continue
        channels = owner.shape[1]
        if all(place.kind == "classes" for place in readers):
            anchors = len(readers[0].channels)
            raise UsageError(
                f"output {output!r} has {channels} channels, and the classes read {channels - unread.size}: "
                f"{channels / anchors:g} per anchor against {_class_count(decode)}; give a name for each "
                "class, or scores.background if one of them is the background"
            )
        yield (
            f"output {output!r}: {unread.size} of {channels} channels are read by no field "
            f"({ranges(unread)}){_class_room(unread, readers, decode)}"
        )


def _class_count(decode: OneStageSpec) -> str:
    background = "" if decode.scores.background == "none" else " and the background"
    return f"{decode.num_classes} class names{background}"


def _class_room(unread: NDArray[Any], readers: Sequence[FieldPlace], decode: OneStageSpec) -> str:
    """A hint if the channels that are left over follow the classes."""
    last = max((int(p.channels.max()) for p in readers if p.kind == "classes"), default=-1)
    if last + 1 not in unread:
        return ""
    return f"; they follow the class values, of which {_class_count(decode)} are described"


def _owners(output: str, readers: Sequence[FieldPlace], shape: tuple[int, ...]) -> NDArray[np.int64]:
    """The number of the field that reads each element, (rows, channels); -1 where there is none."""
    layout = readers[0].field.layout
    rows, channels = {"map": (1, shape[0]), "rows": shape, "columns": shape[::-1]}[layout]
    owner = np.full((rows, channels), -1)
    for number, place in enumerate(readers):
        at = (place.rows[:, :, None], place.channels[None])
        taken = owner[at]
        if (taken >= 0).any():
            other = readers[int(taken.max())]
            channel = int(np.broadcast_to(at[1], taken.shape)[taken >= 0].min())
            raise UsageError(
                f"{other.name} and {place.name} both read channel {channel} of output {output!r}: "
                f"{other.name} reads {other.where}, and {place.name} {place.where}; check the first "
                "channels, the number of class names, and first_row"
            )
        owner[at] = number
        count = np.broadcast(*at).size
        if place.kind in ("boxes", "sizes") and count > (owner == number).sum():
            raise UsageError(
                f"{place.name}: the {len(place.channels)} anchors of a cell read the same values of output "
                f"{output!r}: give the distance in channels from one anchor to the next, as anchor_channels"
            )
    return owner


def _check_rows(output: str, readers: Sequence[FieldPlace], rows: int, decode: OneStageSpec) -> None:
    """Every kind of values that an output has is read in every row."""
    for kind in dict.fromkeys((place.kind, place.coding) for place in readers):
        own = [place for place in readers if (place.kind, place.coding) == kind]
        read = np.unique(np.concatenate([np.ravel(place.rows) for place in own]))
        unread = np.setdiff1d(np.arange(rows), read)
        if unread.size:
            levels = ", ".join(f"{p.name} {ranges(np.unique(p.rows))}" for p in own)
            raise UsageError(
                f"output {output!r} has {rows} rows, and {unread.size} of them are read by no level "
                f"({ranges(unread)}; {levels}): {_missing_level(unread.size, rows, decode)}"
            )


def _missing_level(unread: int, rows: int, decode: OneStageSpec) -> str:
    """How the rows that are left over can be described."""
    anchors = len(decode.levels[-1].anchors)
    for stride in (8, 16, 32, 64, 128, 4, 256):
        grid = default_grid(decode.input_size, stride)
        known = any(stride in level.strides for level in decode.levels)
        if not known and grid[0] * grid[1] * anchors == unread:
            return f"they fit a level of stride {stride} ({grid_text(grid)} cells): describe it"
    if rows % decode.count == 0:
        return f"the levels have {decode.count} anchors, and {rows // decode.count} times as many would fit"
    return f"describe a level for them ({_strides(decode, (rows,))})"


_LARGEST_SCORE = 1.001
_BACKGROUND = 0.9  # the mean probability from which an element looks like the background


def check_samples(
    decode: OneStageSpec, places: Sequence[FieldPlace], samples: Sequence[Mapping[str, Array]]
) -> Iterator[str]:
    """Compare scores and boxes with the range that their description gives them.

    Args:
        decode: the description.
        places: its fields.
        samples: the outputs of some images by name, without a batch axis.

    Returns:
        A sentence for each setting that is unlikely.

    Raises:
        UsageError: if scores that are read without an activation are no probabilities.
    """
    scores = decode.scores
    if scores.class_power > 0:
        classes = _values(places, samples, "classes")
        yield from _check_scores(classes, scores.activation, "class scores", "scores.activation")
        yield from _check_background(decode, classes)
    if scores.objectness_power > 0:
        objectness = _values(places, samples, "objectness")
        activation, setting = scores.objectness_activation, "scores.objectness_activation"
        yield from _check_scores(objectness, activation, "objectness", setting)
    yield from _check_box_range(decode, _values(places, samples, "boxes"))


def _values(
    places: Sequence[FieldPlace], samples: Sequence[Mapping[str, Array]], kind: str
) -> NDArray[np.float32]:
    """The finite anchors of all levels and images: (anchors, elements); of the first coding."""
    rows = []
    for place in places:
        if place.kind == kind and place.coding == 0:
            elements = place.channels.shape[1]
            rows += [place.of(sample[place.field.output]).reshape(-1, elements) for sample in samples]
    values: NDArray[np.float32] = np.concatenate(rows)
    return np.asarray(values[np.isfinite(values).all(1)], np.float32)


def _check_scores(
    values: NDArray[np.float32], activation: Activation, what: str, setting: str
) -> Iterator[str]:
    if not values.size:
        return
    low, high = float(values.min()), float(values.max())
    probable = low >= 0 and high <= _LARGEST_SCORE
    if activation == "none" and not probable:
        raise UsageError(
            f'{setting} is "none", and the {what} of two images lie in {low:.3g} to {high:.3g}, which are no '
            f'probabilities: give {setting} = "sigmoid", or "softmax"'
        )
    if activation == "softmax" and values.shape[1] == 1:
        raise UsageError(
            f'{setting} is "softmax" over one value, which is always 1: describe the background, or '
            'give "sigmoid"'
        )
    if activation != "none" and probable and high > low:
        yield (
            f"{setting} is {activation!r}, and the {what} of two images lie in {low:.3g} to {high:.3g}, "
            'as if the graph had applied it: then give "none"'
        )


def _check_background(decode: OneStageSpec, classes: NDArray[np.float32]) -> Iterator[str]:
    """With probabilities that sum to 1, the background is likely nearly everywhere."""
    scores = decode.scores
    if classes.shape[1] < 2 or not len(classes):
        return
    values = classes.astype(np.float64)
    if scores.activation == "softmax":
        values = np.exp(values - values.max(1, keepdims=True))
        values /= values.sum(1, keepdims=True)
    elif scores.activation != "none" or np.abs(values.sum(1) - 1).max() > 1e-3:
        return
    ends = {"first": values[:, 0].mean(), "last": values[:, -1].mean()}
    likely = [end for end, mean in ends.items() if mean > _BACKGROUND]
    if likely and scores.background != likely[0]:
        yield (
            f"scores.background is {scores.background!r}, and the {likely[0]} class value has a mean "
            f"probability of {ends[likely[0]]:.2f} on two images, as a background has"
        )


def _check_box_range(decode: OneStageSpec, boxes: NDArray[np.float32]) -> Iterator[str]:
    """Boxes in the image are read in the unit that their range shows."""
    coding = decode.codings[0]
    if depends_on_grid(decode) or not boxes.size:
        return
    unit = coding.centre_unit if coding.encoding == "cxcywh" else coding.unit
    largest = float(np.abs(boxes).max()) * max(coding.multiplier)
    if unit == "pixel" and largest <= 2:
        yield f'boxes have unit "pixel", and none is above {largest:.3g}: values of 0 to 1 have unit "input"'
    if unit == "input" and largest > 20:
        yield f'boxes have unit "input", and the largest is {largest:.3g}: pixels have unit "pixel"'
