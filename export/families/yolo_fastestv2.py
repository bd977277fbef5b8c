"""Yolo-FastestV2: two grids, three anchors for each cell that share class scores. FastestDet: one map."""

import math

from typing_extensions import override

from pocketdet.export.families.base import FamilyOptions, Mismatch
from pocketdet.export.families.grids import (
    HeadTensor,
    Size,
    by_stride,
    cells_at,
    head_tensors,
    stride_of,
    text_of,
)
from pocketdet.export.families.head_parts import head_parts, level_tensors
from pocketdet.export.families.presets import Head, Preset, PresetFamily, differs, sides
from pocketdet.export.onnx_graph.summary import OnnxSummary
from pocketdet.export.reference.description import DescribedField, DescribedLevel
from pocketdet.models.config import Preprocessing
from pocketdet.spec.one_stage import CxcywhCoding, Scores, Selection

STRIDE = 16
_FASTESTDET_CODING = CxcywhCoding(
    centre_activation="tanh", centre_unit="stride", size_activation="sigmoid", size_unit="input"
)
_FASTESTDET_SCORES = Scores(
    activation="none", objectness_activation="none", class_power=0.4, objectness_power=0.6
)


class FastestDet(PresetFamily):
    """FastestDet: a map of sigmoid objectness, 4 raw box values and softmax classes."""

    name = "fastestdet"
    title = "FastestDet"
    preset = Preset(
        "the demo of FastestDet",
        Preprocessing("BGR", (0, 0, 0), (255, 255, 255), "stretch", (0, 0, 0)),
        Selection(score_threshold=0.3, nms_iou=0.45, best_class_only=True),
        (352, 352),
    )

    @override
    def describe(self, model: OnnxSummary, options: FamilyOptions, size: Size) -> Head | Mismatch:
        tensors = head_tensors(model)
        form = "FastestDet has one map of 1 sigmoid, 4 raw and C softmax channels"
        if len(tensors) != 1 or len(model.outputs) != 1 or tensors[0].grid is None:
            return differs(f"{form}: the outputs are {text_of(tensors)}")
        parts = head_parts(model, tensors[0].name, tensors[0].channels)
        if [p.kind for p in parts] != ["sigmoid", "raw", "softmax"] or [p.channels for p in parts[:2]] != [
            1,
            4,
        ]:
            found = ", ".join(f"{part.channels} {part.kind}" for part in parts)
            return differs(f"{form}: the channels of {tensors[0]} are {found}", 1)
        if stride_of(tensors[0], size, (STRIDE,)) is None:
            return differs(
                f"the map of FastestDet has the stride {STRIDE}: {tensors[0]} has not, for {sides(size)}",
                3,
            )
        level = DescribedLevel(STRIDE, output=tensors[0].name, objectness=0, boxes=1, classes=5, offset=0.0)
        reasons = (
            f"stride {STRIDE}: {tensors[0]}, channel 0 ends in a sigmoid (objectness), 1 to 4 are raw (box), "
            f"{parts[2].channels} from 5 on end in a softmax (classes)",
            "box: centre tanh(t) cells from the cell's corner, size sigmoid(t) of the input; score = "
            "objectness ^ 0.6 * class ^ 0.4: not in the file; from the demo of FastestDet",
        )
        return Head(parts[2].channels, [level], _FASTESTDET_CODING, _FASTESTDET_SCORES, reasons)


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
    preset = Preset(
        "the demo of Yolo-FastestV2",
        Preprocessing("BGR", (0, 0, 0), (255, 255, 255), "stretch", (0, 0, 0)),
        Selection(score_threshold=0.3, nms_iou=0.4, best_class_only=True, clip=False, max_detections=300),
        (352, 352),
    )

    @override
    def describe(self, model: OnnxSummary, options: FamilyOptions, size: Size) -> Head | Mismatch:
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
        return Head(counts[2], levels, CODING, SCORES, reasons)


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
