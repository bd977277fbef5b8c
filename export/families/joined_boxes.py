"""Which tensors the boxes of a joined head are best read from, and how they are encoded there.

Boxes are read before they are decoded in the graph if a known encoding gives the boxes that the file computes
itself. A tensor of raw values has its own range, apart from the scores and without pixels, so that int8 and
every comparison measure it by itself, and only the boxes of candidates are decoded. If no encoding fits, the
decoded boxes are read.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pocketdet.export.families.probe import Array, corners, decodes_to, run_on_noise
from pocketdet.export.families.provenance import trace
from pocketdet.export.families.rows import GridLevel, JoinedHead, raw_maps
from pocketdet.export.onnx_graph.graph import GraphIndex
from pocketdet.export.onnx_graph.summary import OnnxSummary
from pocketdet.export.reference.description import DescribedField, DescribedLevel, Description
from pocketdet.spec.one_stage import BoxCoding, CxcywhCoding, DistanceCoding, OutputField, XyxyCoding

DISTANCES = DistanceCoding()
CELLS = CxcywhCoding(centre_unit="stride", size_unit="stride", max_log=80.0)  # YOLOX, without a limit


@dataclass(frozen=True)
class BoxFields:
    """Where the box values of each level are and how they are encoded.

    Attributes:
        fields: one for each level.
        coding: of the values.
        offset: of a cell's centre, in cells.
    """

    fields: tuple[OutputField, ...]
    coding: BoxCoding
    offset: float = 0.5


def choose_boxes(
    model: OnnxSummary,
    head: JoinedHead,
    encodings: Sequence[tuple[BoxCoding, float]],
    describe: Callable[[BoxFields], Description],
    scores_of: Callable[[Array], Array],
) -> tuple[Description, str] | None:
    """Describe a head whose first four channels are decoded boxes, with one anchor per cell.

    Args:
        model: the file.
        head: of one anchor per cell.
        encodings: that the raw values may have, with the offset of a cell's centre. The number of bins of a
            distance follows from the channels.
        describe: completes a description with the box fields.
        scores_of: from the rows of the head (n, channels) to the scores (n, classes).

    Returns:
        The description, of raw values if they decode to the head's own boxes, and a line about the boxes;
        None if the first four channels are not boxes.
    """
    raw = [
        (boxes, line) for boxes, line in _raw_options(model, head, encodings) if in_file(model, boxes.fields)
    ]
    described = [(describe(boxes), line) for boxes, line in raw]
    wanted = {name for description, _ in described for name in description.spec().outputs}
    values = run_on_noise(model, [head.name, *sorted(wanted)])
    rows = values[head.name].T if head.columns else values[head.name]
    scores = scores_of(rows)
    for description, line in described:
        spec = description.spec()
        if any(decodes_to(spec, values, boxes, scores) for boxes in (corners(rows[:, :4]), rows[:, :4])):
            return description, f"boxes: {line}"
    if not _are_pixels(rows[:, :4], model.input_size):
        return None
    boxes = _decoded(model, head, rows)
    return describe(boxes), f"boxes: decoded in the file, {boxes.fields[0].output!r}"


def _raw_options(
    model: OnnxSummary, head: JoinedHead, encodings: Sequence[tuple[BoxCoding, float]]
) -> list[tuple[BoxFields, str]]:
    fields, count = box_fields(model, raw_maps(model, head.sources(0, 4), head.levels), head.levels)
    found: list[tuple[BoxFields, str]] = []
    for coding, offset in encodings if fields else ():
        if isinstance(coding, DistanceCoding):
            coding = DistanceCoding(bins=count // 4)
            kind = f"distances, {coding.bins} bins" if coding.bins > 1 else "distances"
        elif count != 4:
            continue
        else:
            kind = "centre, logarithm of the size"
        names = ", ".join(repr(field.output) for field in fields)
        line = f"raw values ({kind}) of {names}; decoded, they are the file's own boxes"
        found.append((BoxFields(fields, coding, offset), line))
    return found


def _decoded(model: OnnxSummary, head: JoinedHead, rows: Array) -> BoxFields:
    """The decoded boxes: corners if the last two values are above the first two, else centre and size."""
    fields = head.fields(0, 4)
    if fields is None or not in_file(model, fields):
        fields = head.own_fields(0)
    if (rows[:, 2:4] > rows[:, :2]).all():
        return BoxFields(fields, XyxyCoding())
    return BoxFields(
        fields, CxcywhCoding(origin="image", centre_unit="pixel", size_activation="none", size_unit="pixel")
    )


def _are_pixels(values: Array, size: tuple[int, int] | None) -> bool:
    """Whether the first two of four values spread over the input, as decoded positions of all cells do."""
    height, width = size or (0, 0)
    spread = np.percentile(values[:, :2], 90, axis=0) - np.percentile(values[:, :2], 10, axis=0)
    return bool(spread[0] > width / 4 and spread[1] > height / 4)


def box_fields(
    model: OnnxSummary, maps: Sequence[str] | None, levels: Sequence[GridLevel]
) -> tuple[tuple[OutputField, ...], int]:
    """The fields of the leading channels of each map that are from one tensor, and how many those are.

    Args:
        model: the file.
        maps: one for each level, or None.
        levels: of the maps.

    Returns:
        The fields and the number of channels, a multiple of 4; no fields if there are none.
    """
    fields: list[OutputField] = []
    counts: set[int] = set()
    for name, level in zip(maps or (), levels, strict=bool(maps)):
        origin = trace(model, name)
        ids = origin.ids[0].reshape(-1, level.cells).T
        _, count = origin.segments(ids[:1])[0]
        field = origin.field(ids[:, :count], level.grid)
        if field is None or count % 4:
            return (), 0
        fields.append(field)
        counts.add(count)
    return (tuple(fields), counts.pop()) if len(counts) == 1 else ((), 0)


def in_file(model: OnnxSummary, fields: Sequence[OutputField]) -> bool:
    """Whether all tensors have these names in the file, too, and not only in its simplified graph."""
    producers = GraphIndex(model.file.graph).producers
    return all(field.output in producers for field in fields)


def score_fields(model: OnnxSummary, head: JoinedHead, first: int, count: int) -> tuple[OutputField, ...]:
    """The fields of scores, one for each level: of the tensors that are joined, or of the joined one."""
    fields = head.fields(first, count)
    return fields if fields is not None and in_file(model, fields) else head.own_fields(first)


def described_levels(
    levels: Sequence[GridLevel],
    classes: Sequence[OutputField],
    boxes: BoxFields,
    objectness: Sequence[OutputField] | None = None,
) -> tuple[DescribedLevel, ...]:
    """The levels of a description from their fields, with one anchor per cell."""
    return tuple(
        DescribedLevel(
            level.stride,
            described_field(classes[number]),
            described_field(boxes.fields[number]),
            None if objectness is None else described_field(objectness[number]),
            offset=boxes.offset,
        )
        for number, level in enumerate(levels)
    )


def comes_from(model: OnnxSummary, names: Sequence[str], operator: str) -> bool:
    """Whether all tensors are results of an operator of this type."""
    producers = [model.producer_of(name) for name in names]
    return all(node is not None and node.op_type == operator for node in producers)


def described_field(field: OutputField) -> DescribedField:
    """A field as a description states it."""
    first_row = None if field.layout == "map" else field.first_row
    return DescribedField(field.first, field.output, field.layout, first_row=first_row)
