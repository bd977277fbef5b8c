"""Yolo-FastestV2: two grids, three anchors for each cell that share their class scores."""

import math

from typing_extensions import override

from pocketdet.export.families.base import FamilyOptions, Match, Mismatch
from pocketdet.export.families.grids import HeadTensor, Size, by_stride, cells_at, head_tensors, text_of
from pocketdet.export.families.head_parts import head_parts, level_tensors
from pocketdet.export.families.presets import Head, Preset, PresetFamily, complete, differs, sides
from pocketdet.export.onnx_graph.summary import OnnxSummary
from pocketdet.export.reference.description import DescribedField, DescribedLevel
from pocketdet.models.config import Preprocessing
from pocketdet.spec.one_stage import CxcywhCoding, Scores, Selection

PRESET = Preset(
    "the demo of Yolo-FastestV2",
    Preprocessing("BGR", (0, 0, 0), (255, 255, 255), "stretch", (0, 0, 0)),
    Selection(score_threshold=0.3, nms_iou=0.4, best_class_only=True, clip=False, max_detections=300),
    (352, 352),
)
STRIDES = (16, 32)
# data/coco.data of Yolo-FastestV2: pixels of a 352 x 352 input
ANCHORS = {
    16: ((12.64, 19.39), (37.88, 51.48), (55.71, 138.31)),
    32: ((126.91, 78.23), (131.57, 214.55), (279.92, 258.87)),
}
PER_CELL = 3
# sigmoid in the graph: centre 2t - 0.5 cells from the cell's corner, size (2t)^2 anchors
CODING = CxcywhCoding(
    multiplier=(1.0, 1.0, 2.0, 2.0),
    centre_gain=2.0,
    centre_shift=-0.5,
    centre_unit="stride",
    size_activation="square",
)
SCORES = Scores(activation="none", objectness_activation="none", objectness_power=1.0)


class YoloFastestV2(PresetFamily):
    """Yolo-FastestV2: maps of two grids, or rows of both in one tensor."""

    name = "yolo-fastestv2"
    title = "Yolo-FastestV2"
    preset = PRESET

    @override
    def describe(self, model: OnnxSummary, options: FamilyOptions, size: Size) -> Match | Mismatch:
        tensors = head_tensors(model)
        form = (
            f"Yolo-FastestV2 has {4 * PER_CELL} sigmoid box values, {PER_CELL} sigmoid objectness values and "
            f"C softmax scores for each cell of the strides {STRIDES}"
        )
        if len(tensors) not in (1, 2) or len(tensors) != len(model.outputs):
            return differs(f"{form}: the outputs are {text_of(tensors)}")
        found = {head_parts(model, tensor.name, tensor.channels) for tensor in tensors}
        parts = found.pop() if len(found) == 1 else ()
        kinds, counts = [part.kind for part in parts], [part.channels for part in parts]
        if kinds != ["sigmoid", "sigmoid", "softmax"] or counts[:2] != [4 * PER_CELL, PER_CELL]:
            text = ", ".join(f"{part.channels} {part.kind}" for part in parts) or "different parts"
            return differs(f"{form}: {text_of(tensors)} has {text}", 1)
        maps = by_stride([t for t in tensors if t.grid], size, STRIDES)
        cells = [cells_at(size, stride) for stride in STRIDES]
        if maps and tuple(maps) == STRIDES:
            levels = [_level(stride, tensor) for stride, tensor in maps.items()]
        elif not maps and [tensors[0].count] == [sum(cells)] and _level_rows(model, tensors[0]) == cells:
            levels = [_level(stride, tensors[0]) for stride in STRIDES]
        else:
            return differs(f"{form}, {cells} for {sides(size)}: found {text_of(tensors)}", 3)
        reasons = (
            f"{text_of(tensors)}: {counts[0]} box values, {counts[1]} objectness values (sigmoid), "
            f"{counts[2]} class scores (softmax) that {PER_CELL} anchors share, strides {STRIDES}",
            f"anchors {ANCHORS} in pixels: not in the file; those for COCO at 352x352 from data/coco.data "
            "of Yolo-FastestV2: replace them in the description of a model with its own",
        )
        return complete(model, options, size, Head(counts[2], levels, CODING, SCORES, reasons), PRESET)


def _level(stride: int, tensor: HeadTensor) -> DescribedLevel:
    """A level whose anchors are channels of one map, or of one row for each cell."""
    row_steps = {} if tensor.grid else {"cell_step": 1, "anchor_step": 0}

    def described_field(first: int, anchor_channels: int) -> DescribedField:
        return DescribedField(first, tensor.name, tensor.layout, anchor_channels, **row_steps)

    return DescribedLevel(
        stride,
        boxes=described_field(0, 4),
        objectness=described_field(4 * PER_CELL, 1),
        classes=described_field(5 * PER_CELL, 0),
        anchors=ANCHORS[stride],
        offset=0.0,
    )


def _level_rows(model: OnnxSummary, rows: HeadTensor) -> list[int]:
    """The rows of each level in a tensor that joins levels, in its order."""
    counts = []
    for name in level_tensors(model, rows.name):
        lengths = [length for length in model.shapes.get(name, ()) if isinstance(length, int)]
        counts.append(math.prod(lengths) // rows.channels)
    return counts
