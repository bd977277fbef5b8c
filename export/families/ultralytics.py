"""Ultralytics detectors without objectness: v5u, v8, v9, v10, 11, 12 and 26, with or without NMS in the file.

The head has, for each cell, the distances to the sides (as distributions, or plain in 26) and the class
scores. Exports decode the boxes and join all levels to (1, 4 + C, n); end-to-end exports select the best 300
behind that.
"""

from dataclasses import dataclass

from pocketdet.errors import UsageError
from pocketdet.export.families.base import FamilyOptions, Match, Mismatch
from pocketdet.export.families.class_names import choose_class_names, metadata_names
from pocketdet.export.families.joined_boxes import (
    DISTANCES,
    BoxFields,
    choose_boxes,
    comes_from,
    described_levels,
    score_fields,
)
from pocketdet.export.families.lines import dropped_lines, rows_line, scores_line
from pocketdet.export.families.raw_levels import match_raw_levels
from pocketdet.export.families.rows import JoinedHead, find_joined_head
from pocketdet.export.families.yolo_settings import END_TO_END, ULTRALYTICS
from pocketdet.export.onnx_graph.summary import OnnxSummary
from pocketdet.export.reference.description import Description
from pocketdet.spec.one_stage import Scores

TASKS = ("detect", "segment", "pose")


@dataclass(frozen=True)
class Ultralytics:
    """Ultralytics detectors without objectness."""

    name: str = "ultralytics"
    title: str = "Ultralytics YOLOv5u, v8, v9, v10, 11, 12, 26; boxes of segment and pose models"

    def match(self, model: OnnxSummary, options: FamilyOptions) -> Match | Mismatch:
        """Describe a file, or say what differs."""
        _refuse_other_tasks(model)
        joined = find_joined_head(model)
        if joined is None:
            return match_raw_levels(model, options, self.name)
        head, selecting = joined
        classes = _count_classes(model, head)
        if isinstance(classes, Mismatch):
            return classes
        names, names_line = choose_class_names(classes, options.class_names, model.metadata)
        scores = score_fields(model, head, 4, classes)
        end_to_end = "TopK" in selecting and "NonMaxSuppression" not in selecting
        settings = END_TO_END if end_to_end else ULTRALYTICS

        def describe(boxes: BoxFields) -> Description:
            levels = described_levels(head.levels, scores, boxes)
            return settings.describe(model, names, levels, boxes.coding, Scores("none"))

        chosen = choose_boxes(
            model, head, [(DISTANCES, 0.5)], describe, lambda rows: rows[:, 4 : 4 + classes]
        )
        if chosen is None:
            return Mismatch(("boxes: neither distances to the sides nor decoded boxes in pixels",), 3)
        description, box_line = chosen
        reasons = (
            rows_line(model, head, f"4 box values, {classes} class scores"),
            *dropped_lines(model, head, selecting, 4 + classes),
            scores_line(scores),
            box_line,
            names_line,
            *settings.lines(self.name),
        )
        return Match(description, reasons)


def _refuse_other_tasks(model: OnnxSummary) -> None:
    """Raise `UsageError` if the metadata names a task without upright boxes."""
    task = model.metadata.get("task", "detect")
    if "stride" in model.metadata and task not in TASKS:
        raise UsageError(
            f"{model.path}: its metadata says task {task!r}; expected a detector, task {', '.join(TASKS)}"
        )


def _count_classes(model: OnnxSummary, head: JoinedHead) -> int | Mismatch:
    """The number of classes: the channels behind the boxes that are from one sigmoid."""
    if head.anchors != 1:
        return Mismatch(
            (f"{head.name!r}: expected one row for each cell, found {head.anchors} as of anchors",), 1
        )
    ends = dict(head.groups)
    if 4 not in ends:
        return Mismatch((f"{head.name!r}: channels 4 and up are not joined to the boxes as scores",), 2)
    classes = ends[4] - 4
    if classes == 1 and head.channels > 5 and "task" not in model.metadata:
        return Mismatch((f"{head.name!r}: channel 4 is apart from the classes, as an objectness is",), 2)
    if not comes_from(model, head.sources(4, classes), "Sigmoid"):
        return Mismatch((f"{head.name!r}: the class scores do not come from a sigmoid",), 2)
    stored = metadata_names(model.metadata)
    if stored is not None and len(stored) != classes:
        return Mismatch((f"{classes} class scores: expected the {len(stored)} of the metadata",), 2)
    return classes
