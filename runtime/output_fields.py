"""The elements of an output that are compared together: the fields of a description, level by level.

One tensor may hold boxes in pixels and scores from 0 to 1. A tolerance relative to the largest value of the
tensor would not see an error of the scores, so each field is compared on its own, relative to its own largest
value. The C++ counterpart is runtime/native/detector/output_fields.h.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pocketdet.runtime.parity import EXACT_RANGE, Check, ValueRange, compare
from pocketdet.spec.one_stage import (
    Activation,
    BoxCoding,
    CxcywhCoding,
    DistanceCoding,
    Level,
    OneStageSpec,
    OutputField,
    box_elements,
)

UNREAD: Final = "elements that no field reads"
LEAST_PROBABILITY: Final = 2.0**-20  # about the resolution of float32 below 1
# Engines compute a sigmoid to about 1e-7, however small it is.
LEAST_PROBABILITY_RANGE: Final = 2.0**-10

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Region:
    """Elements of an output that are compared together.

    Attributes:
        name: kind of the field and its level, such as "classes, level 2"; empty for a whole output.
        indices: positions in the flattened output, (anchors, elements) of a field, (n,) otherwise; `None` for
            all elements.
        values: what its values mean for the tolerance.
        is_read: whether a field reads it. If not, its range is that of the whole output, and its noise is not
            limited.
    """

    name: str
    indices: NDArray[np.int64] | None
    values: ValueRange
    is_read: bool = True

    def of(self, output: NDArray[Any]) -> NDArray[Any]:
        """Return the elements of an output, (anchors, elements) of a field."""
        return output if self.indices is None else output.reshape(-1)[self.indices]

    def put(self, output: NDArray[Any], values: NDArray[Any]) -> None:
        """Replace the elements of a C-contiguous output."""
        if self.indices is None:
            output[...] = values
        else:
            output.reshape(-1)[self.indices] = values

    def label(self, output: str) -> str:
        """Return the name of the region in an output."""
        return f"{output}: {self.name}" if self.name else output


Regions = Mapping[str, tuple[Region, ...]]
"""The regions of each output, by its name."""

WHOLE: Final = Region("", None, EXACT_RANGE)
"""All elements of an output without a description."""


@dataclass(frozen=True)
class _Part:
    """A field of one level, or the part of it that lies in one output."""

    name: str
    level: Level
    field: OutputField
    elements: range
    values: ValueRange


def output_regions(spec: OneStageSpec, shapes: Mapping[str, Shape]) -> dict[str, tuple[Region, ...]]:
    """Split outputs into the fields of a description, and the elements that no field reads.

    The background of class values without an activation is not read: no score depends on it.

    Args:
        spec: description of the outputs. Its score threshold is the least score that matters.
        shapes: shape of each output by name, without the batch dimension.

    Returns:
        The regions of each output by name, in the order of `spec.fields_read`; elements that no field reads
        come last. A field that fills an output has no name.
    """
    parts = list(_parts(spec))
    found = {}
    for output, shape in shapes.items():
        regions = [
            Region(part.name, _indices(part, shape), part.values)
            for part in parts
            if part.field.output == output
        ]
        unread = np.ones(int(np.prod(shape)), bool)
        for region in regions:
            unread[region.indices] = False
        if unread.any():
            regions.append(Region(UNREAD, unread.nonzero()[0], EXACT_RANGE, is_read=False))
        elif len(regions) == 1:
            regions = [Region("", None, regions[0].values)]
        found[output] = tuple(regions)
    return found


def compare_output(
    name: str,
    regions: Sequence[Region],
    reference: NDArray[Any],
    subject: NDArray[Any],
    *,
    relative: float,
    least_snr_db: float | None = None,
) -> list[Check]:
    """Compare an output with a reference, each region by its own range.

    Args:
        name: name of the output in the checks.
        regions: of the output; see `output_regions`.
        reference: expected values.
        subject: values to check.
        relative: tolerance, relative to the largest value of a region.
        least_snr_db: minimum signal-to-noise ratio of a region in dB.

    Returns:
        A check per region; a single one if the shapes differ.
    """
    if reference.shape != subject.shape:
        return [compare(name, reference, subject)]
    largest = float(np.abs(reference[np.isfinite(reference)]).max(initial=0.0))
    return [
        compare(
            region.label(name),
            region.of(reference),
            region.of(subject),
            relative=relative,
            least_snr_db=least_snr_db if region.is_read else None,
            values=region.values if region.is_read else ValueRange(least=largest),
        )
        for region in regions
    ]


def _parts(spec: OneStageSpec) -> Iterator[_Part]:
    """The parts of all fields, in the order of `spec.fields_read`."""
    scores, threshold = spec.scores, spec.selection.score_threshold
    classes = range(spec.class_elements)
    if scores.activation == "none" and scores.background != "none":
        classes = classes[1:] if scores.background == "first" else classes[:-1]
    class_values = _score_values(scores.activation, threshold, scores.class_power)
    objectness_values = _score_values(scores.objectness_activation, threshold, scores.objectness_power)
    for number, level in enumerate(spec.levels, 1):
        where = f", level {number}" if len(spec.levels) > 1 else ""
        yield _Part(f"classes{where}", level, level.classes, classes, class_values)
        if spec.uses_objectness and level.objectness is not None:
            elements = range(spec.objectness_elements)
            yield _Part(f"objectness{where}", level, level.objectness, elements, objectness_values)
        for index, (field, coding) in enumerate(zip(level.boxes, spec.codings, strict=True)):
            kind = f"boxes {index + 1}" if len(spec.codings) > 1 else "boxes"
            values, size = (
                ValueRange(least=_box_range(coding, level, spec.input_size)),
                level.size_field(index),
            )
            count = box_elements(coding) if size is None else box_elements(coding) // 2
            yield _Part(kind + where, level, field, range(count), values)
            if size is not None:
                yield _Part(f"{kind}, sizes{where}", level, size, range(count), values)


def _score_values(activation: Activation, threshold: float, power: float) -> ValueRange:
    """The range of a logit, or of a probability whose product of powers is compared with the threshold.

    A sigmoid changes by a quarter of its logit at most, so a logit has a range of 1 at least. A probability
    below the threshold makes no detection.
    """
    if activation != "none":
        return ValueRange(least=1.0)
    matters = max(threshold ** (1 / power) if power > 0 else threshold, LEAST_PROBABILITY)
    return ValueRange(least=max(matters, LEAST_PROBABILITY_RANGE), matters=matters)


def _box_range(coding: BoxCoding, level: Level, input_size: tuple[int, int]) -> float:
    """The value that moves a side of a box by about a pixel; 1 for the logits of a distribution."""
    if isinstance(coding, DistanceCoding) and coding.bins > 1:
        return 1.0
    units = {coding.centre_unit, coding.size_unit} if isinstance(coding, CxcywhCoding) else {coding.unit}
    pixels = {
        "anchor": max(max(size) for size in level.anchors),
        "stride": float(max(level.strides)),
        "input": float(max(input_size)),
        "pixel": 1.0,
    }
    step = max(pixels[unit] for unit in units) * max(abs(factor) for factor in coding.multiplier)
    return 1 / step if step > 0 else 1.0


def field_positions(
    level: Level, field: OutputField, elements: range
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where the elements of a field lie in its output.

    Returns:
        Rows (cells, anchors), those of a map (1, anchors) and 0; channels (anchors, elements).
    """
    anchors = np.arange(len(level.anchors))
    first = field.first + anchors[:, None] * field.anchor_channels
    channels = first + np.array(elements, np.int64) * field.element_step
    if field.layout == "map":
        return np.zeros((1, len(anchors)), np.int64), channels
    cells = np.arange(level.cells)[:, None]
    return field.first_row + cells * level.cell_step(field) + anchors * field.anchor_step, channels


def _indices(part: _Part, shape: Shape) -> NDArray[np.int64]:
    """Positions (anchors, elements) of a field in a flattened output of `shape`."""
    level, layout = part.level, part.field.layout
    rows, channels = field_positions(level, part.field, part.elements)
    plane = int(np.prod(shape[1:]))  # elements from one channel to the next, or from one row to the next
    if layout == "map":
        rows = np.arange(level.cells)[:, None]
    row_step, channel_step = (plane, 1) if layout == "rows" else (1, plane)
    positions = rows[:, :, None] * row_step + channels * channel_step
    return np.asarray(positions.reshape(level.count, -1), np.int64)
