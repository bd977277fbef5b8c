"""YOLOX and YOLOv6: boxes, objectness and classes of one anchor per cell, joined to (1, n, 5 + C).

Most exports of YOLOX leave the boxes raw: the offset of the centre from the cell's corner in strides, the
logarithm of the size in strides. Some decode them in the graph. YOLOv6 decodes them, and its objectness is a
constant.
"""

from dataclasses import dataclass

from pocketdet.export.families.base import FamilyOptions, Match, Mismatch
from pocketdet.export.families.joined_boxes import (
    CELLS,
    DISTANCES,
    BoxFields,
    choose_boxes,
    comes_from,
    described_levels,
    in_file,
    score_fields,
)
from pocketdet.export.families.presets import YOLOV5, YOLOX, choose_class_names
from pocketdet.export.families.rows import JoinedHead, dropped_lines, find_joined_head, rows_line, scores_line
from pocketdet.export.onnx_graph.summary import OnnxSummary
from pocketdet.export.reference.description import Description
from pocketdet.spec.one_stage import Scores


def head_with_objectness(model: OnnxSummary) -> tuple[JoinedHead, tuple[str, ...]] | Mismatch:
    """Find a head of 4 + 1 + C channels.

    Returns:
        The head and the operators behind it that select detections, or what differs.
    """
    joined = find_joined_head(model)
    if joined is None:
        return Mismatch(("expected an output (1, cells, 5 + C)",))
    head, _ = joined
    if head.anchors != 1:
        return Mismatch(
            (f"{head.name!r}: expected one row for each cell, found {head.anchors} as of anchors",), 1
        )
    starts = [first for first, _ in head.groups]
    if 4 not in starts or 5 not in starts:
        return Mismatch((f"{head.name!r}: expected channel 4 to be apart, as an objectness is",), 2)
    return joined


SCORES = Scores("none", objectness_activation="none", objectness_power=1.0)


@dataclass(frozen=True)
class Yolox:
    """YOLOX: boxes, objectness and class scores of one anchor per cell."""

    name: str = "yolox"
    title: str = "YOLOX nano to x"

    def match(self, model: OnnxSummary, options: FamilyOptions) -> Match | Mismatch:
        """Describe a file, or say what differs."""
        found = head_with_objectness(model)
        if isinstance(found, Mismatch):
            return found
        head, selecting = found
        if not comes_from(model, head.sources(4, 1), "Sigmoid"):
            return Mismatch((f"{head.name!r}: channel 4 is no sigmoid, as an objectness is",), 3)
        count = head.channels - 5
        names, names_line = choose_class_names(count, options.class_names, model.metadata)
        objectness, scores = score_fields(model, head, 4, 1), score_fields(model, head, 5, count)

        def describe(boxes: BoxFields) -> Description:
            levels = described_levels(head.levels, scores, boxes, objectness)
            return YOLOX.describe(model, names, levels, boxes.coding, SCORES)

        raw = head.fields(0, 4)
        if raw is not None and raw[0].layout == "map" and in_file(model, raw):
            description = describe(BoxFields(raw, CELLS, 0.0))
            box_line = (
                f"boxes: raw values of {', '.join(repr(field.output) for field in raw)}; not decoded in "
                "the file: the preset's decode is used (offset from the cell's corner, logarithm of the size)"
            )
        else:
            chosen = choose_boxes(
                model, head, [(CELLS, 0.0)], describe, lambda rows: rows[:, 4:5] * rows[:, 5:]
            )
            if chosen is None:
                return Mismatch(("boxes: neither raw nor decoded as YOLOX does",), 4)
            description, box_line = chosen
        reasons = (
            rows_line(model, head, f"4 box values, objectness, {count} class scores"),
            *dropped_lines(model, head, selecting, head.channels),
            scores_line([*scores, *objectness]),
            box_line,
            names_line,
            *YOLOX.lines(self.name),
            'padding: centred; YOLOX\'s own demo pads right and bottom only, resize = "letterbox_top_left"',
        )
        return Match(description, reasons)


@dataclass(frozen=True)
class Yolov6:
    """YOLOv6: distances to the sides, a constant in the place of objectness, class scores."""

    name: str = "yolov6"
    title: str = "YOLOv6 n, s, m, l"

    def match(self, model: OnnxSummary, options: FamilyOptions) -> Match | Mismatch:
        """Describe a file, or say what differs."""
        found = head_with_objectness(model)
        if isinstance(found, Mismatch):
            return found
        head, selecting = found
        constants = [model.constant(name) for name in head.sources(4, 1)]
        if any(value is None or not (value == 1).all() for value in constants):
            return Mismatch((f"{head.name!r}: channel 4 is not the constant 1",), 3)
        count = head.channels - 5
        names, names_line = choose_class_names(count, options.class_names, model.metadata)
        scores = score_fields(model, head, 5, count)

        def describe(boxes: BoxFields) -> Description:
            levels = described_levels(head.levels, scores, boxes)
            return YOLOV5.describe(model, names, levels, boxes.coding, Scores("none"))

        chosen = choose_boxes(model, head, [(DISTANCES, 0.5)], describe, lambda rows: rows[:, 5:])
        if chosen is None:
            return Mismatch(("boxes: neither distances to the sides nor decoded boxes in pixels",), 4)
        description, box_line = chosen
        reasons = (
            rows_line(model, head, f"4 box values, a constant, {count} class scores"),
            *dropped_lines(model, head, selecting, head.channels),
            scores_line(scores),
            box_line,
            names_line,
            *YOLOV5.lines(self.name),
        )
        return Match(description, reasons)
