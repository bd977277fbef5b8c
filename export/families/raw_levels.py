"""Ultralytics heads that are exported raw: maps of box distributions and class scores for each level.

Either (1, 4 * bins + C, h, w) for each level, or two maps for each level.
"""

from pocketdet.export.families.base import FamilyOptions, Match, Mismatch
from pocketdet.export.families.class_names import choose_class_names, metadata_names
from pocketdet.export.families.joined_boxes import BoxFields, comes_from, described_levels, in_file
from pocketdet.export.families.provenance import trace
from pocketdet.export.families.rows import STRIDES, GridLevel, levels_of
from pocketdet.export.families.yolo_settings import ULTRALYTICS
from pocketdet.export.onnx_graph.summary import OnnxSummary
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
