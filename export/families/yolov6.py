"""YOLOv6: decoded boxes, a constant instead of an objectness, and classes, joined to (1, n, 5 + C)."""

from dataclasses import dataclass

from pocketdet.export.families.base import FamilyOptions, Match, Mismatch
from pocketdet.export.families.class_names import choose_class_names
from pocketdet.export.families.joined_boxes import (
    DISTANCES,
    BoxFields,
    choose_boxes,
    described_levels,
    score_fields,
)
from pocketdet.export.families.lines import dropped_lines, rows_line, scores_line
from pocketdet.export.families.objectness import head_with_objectness
from pocketdet.export.families.yolo_settings import YOLOV5
from pocketdet.export.onnx_graph.summary import OnnxSummary
from pocketdet.export.reference.description import Description
from pocketdet.spec.one_stage import Scores


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
