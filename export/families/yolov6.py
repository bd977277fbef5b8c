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
from pocketdet.export.families.lines import (
    dropped_lines,
    preprocessing_line,
    rows_line,
    scores_line,
    selection_line,
)
from pocketdet.export.families.objectness import head_with_objectness
from pocketdet.export.families.yolo_settings import RGB_LETTERBOX, YOLOV5_SELECTION
from pocketdet.export.onnx_graph.summary import OnnxSummary
from pocketdet.export.reference.description import Description
from pocketdet.spec.one_stage import Scores


@dataclass(frozen=True)
class Yolov6:
    """See `Family`."""

    name: str = "yolov6"
    title: str = "YOLOv6 n, s, m, l"

    def match(self, model: OnnxSummary, options: FamilyOptions) -> Match | Mismatch:
        """See `Family.match`."""
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
            return Description(
                model.input_size or (0, 0),
                names,
                described_levels(head.levels, scores, boxes),
                (boxes.coding,),
                Scores("none"),
                YOLOV5_SELECTION,
                RGB_LETTERBOX,
            )

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
            selection_line(YOLOV5_SELECTION, self.name),
            preprocessing_line(RGB_LETTERBOX, self.name),
        )
        return Match(description, reasons)
