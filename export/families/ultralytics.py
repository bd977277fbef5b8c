"""Ultralytics detectors without objectness: v5u, v8, v9, v10, 11, 12 and 26, with or without NMS in the file.

The head has, for each cell, the distances to the sides (as distributions, or plain in 26) and the class
scores. Exports decode the boxes and join all levels to (1, 4 + C, n); end-to-end exports select the best 300
behind that. Raw exports have maps for each level: one (1, 4 * bins + C, h, w), or two.
"""

from dataclasses import dataclass

from pocketdet.errors import UsageError
from pocketdet.export.families.base import FamilyOptions, Match, Mismatch
from pocketdet.export.families.joined_boxes import (
    DISTANCES,
    BoxFields,
    choose_boxes,
    comes_from,
    described_levels,
    in_file,
    score_fields,
)
from pocketdet.export.families.presets import END_TO_END, ULTRALYTICS, choose_class_names, metadata_names
from pocketdet.export.families.provenance import trace
from pocketdet.export.families.rows import (
    STRIDES,
    GridLevel,
    JoinedHead,
    dropped_lines,
    find_joined_head,
    levels_of,
    rows_line,
    scores_line,
)
from pocketdet.export.onnx_graph.summary import OnnxSummary
from pocketdet.export.reference.description import Description
from pocketdet.spec.one_stage import DistanceCoding, OutputField, Scores

BINS = 16  # of every version with distributions


def match_raw_levels(model: OnnxSummary, options: FamilyOptions, preset: str) -> Match | Mismatch:
    """Describe raw maps. There is no decoded box in such a file to compare with; the preset's decode is used.

    Args:
        model: the file.
        options: what the caller says.
        preset: name of the family, for the lines.
    """
    found = output_maps(model)
    if found is None:
        return Mismatch(("expected (1, 4 + C, cells), (1, 300, 6) with top-k, or raw maps",))
    levels, maps = found
    stored = metadata_names(model.metadata)
    fields = [_two_fields(model, level, names, stored) for level, names in zip(levels, maps, strict=True)]
    pairs = [pair for pair in fields if pair is not None]
    counts = {(boxes[1], classes[1]) for boxes, classes in pairs}
    if len(pairs) != len(levels) or len(counts) != 1:
        return Mismatch(("expected maps of two groups of channels for each level, boxes and classes",), 1)
    box_channels, count = counts.pop()
    scores = tuple(classes[0] for _, classes in pairs)
    boxes = BoxFields(tuple(boxes[0] for boxes, _ in pairs), DistanceCoding(bins=box_channels // 4))
    if not in_file(model, [*scores, *boxes.fields]):
        return Mismatch(("the maps are joined in a way that cannot be taken apart",), 2)
    names, names_line = choose_class_names(count, options.class_names, model.metadata)
    done = comes_from(model, [field.output for field in scores], "Sigmoid")
    described, activation = described_levels(levels, scores, boxes), Scores("none" if done else "sigmoid")
    description = ULTRALYTICS.describe(model, names, described, boxes.coding, activation)
    strides = ", ".join(str(level.stride) for level in levels)
    reasons = (
        f"raw maps of strides {strides}: {box_channels} box channels ({box_channels // 4} bins for each "
        f"side), {count} classes{'' if done else ' before their sigmoid'}",
        f"boxes: distances to the sides, as in the preset {preset}; the file decodes none to compare with",
        names_line,
        *ULTRALYTICS.lines(preset),
    )
    return Match(description, reasons)


def output_maps(model: OnnxSummary) -> tuple[tuple[GridLevel, ...], list[list[str]]] | None:
    """The outputs that are maps, by level, in the order of the file; None unless all levels have as many."""
    size = model.input_size
    for strides in STRIDES if size is not None else ():
        assert size is not None
        levels = levels_of(strides, size)
        maps = [
            [output.name for output in model.outputs if model.shapes.get(output.name, ())[2:] == level.grid]
            for level in levels
        ]
        others = [
            shape
            for output in model.outputs
            if len(shape := model.shapes.get(output.name, ())) == 4
            and shape[2:] not in [level.grid for level in levels]
        ]
        if not others and maps[0] and len({len(names) for names in maps}) == 1:
            return levels, maps
    return None


def _two_fields(
    model: OnnxSummary, level: GridLevel, outputs: list[str], stored: tuple[str, ...] | None
) -> tuple[tuple[OutputField, int], tuple[OutputField, int]] | None:
    """Boxes and classes of a level with their channels; None if its maps are not from two tensors."""
    parts: list[tuple[OutputField, int]] = []
    for name in outputs:
        origin = trace(model, name)
        ids = origin.ids[0].reshape(-1, level.cells).T
        for first, end in origin.segments(ids[:1]):
            field = origin.field(ids[:, first:end], level.grid)
            if field is None:
                return None
            parts.append((field, end - first))
    if len(parts) != 2:
        return None
    known = None if stored is None else len(stored)
    for boxes, classes in (parts, parts[::-1]):
        bins = boxes[1] // 4 if boxes[1] % 4 == 0 else 0
        if bins and (known == classes[1] or (known is None and bins == BINS)):
            return boxes, classes
    return None


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
