"""BlazeFace (MediaPipe): short range at 128 x 128, back camera at 256 x 256, full range at 192 x 192."""

from collections.abc import Sequence

from typing_extensions import override

from pocketdet.export.families.base import FamilyOptions, Match, Mismatch
from pocketdet.export.families.dfl_head import field_of
from pocketdet.export.families.grids import HeadTensor, Size, cells_at, head_tensors, text_of
from pocketdet.export.families.head_parts import head_parts
from pocketdet.export.families.presets import Head, Preset, PresetFamily, complete, differs, sides
from pocketdet.export.onnx_graph.summary import OnnxSummary
from pocketdet.export.reference.description import DescribedLevel
from pocketdet.models.config import Preprocessing
from pocketdet.spec.one_stage import CxcywhCoding, Scores, Selection

PRESET = Preset(
    "face_detection of MediaPipe, with hard NMS instead of its weighted one",
    Preprocessing("RGB", (127.5, 127.5, 127.5), (127.5, 127.5, 127.5), "letterbox", (0, 0, 0)),
    Selection(score_threshold=0.5, nms_iou=0.3, clip=False),
    (128, 128),
    ("face",),
)
BOX_CHANNELS = 16  # centre, size, and x and y of 6 keypoints
# (stride, anchors per cell) of each grid: strides of SsdAnchorsCalculator; equal strides share a grid
_FORMS = (((8, 2), (16, 6)), ((16, 2), (32, 6)), ((4, 1),))
# all anchors have the size of the input; values are pixels
CODING = CxcywhCoding(centre_unit="pixel", size_activation="none", size_unit="pixel")


class BlazeFace(PresetFamily):
    """BlazeFace: scores, and boxes with six keypoints, of one or two grids."""

    name = "blazeface"
    title = "BlazeFace"
    preset = PRESET

    @override
    def describe(self, model: OnnxSummary, options: FamilyOptions, size: Size) -> Match | Mismatch:
        tensors = head_tensors(model)
        kinds = {t.name: [part.kind for part in head_parts(model, t.name, t.channels)] for t in tensors}
        scores = [t for t in tensors if t.channels == 1 and kinds[t.name] in (["raw"], ["sigmoid"])]
        boxes = [t for t in tensors if t.channels == BOX_CHANNELS and kinds[t.name] == ["raw"]]
        form = f"BlazeFace has scores of 1 value and boxes of {BOX_CHANNELS} raw values"
        if not scores or len(scores) + len(boxes) != len(model.outputs) or any(t.grid for t in tensors):
            return differs(
                f"{form}: the outputs are {text_of(tensors)}", int(bool(scores)) + int(bool(boxes))
            )
        found = _levels(size, scores, boxes)
        if found is None:
            wanted = " or ".join(str([cells_at(size, s) * n for s, n in form]) for form in _FORMS)
            return differs(
                f"{form} for {wanted} anchors of {sides(size)}: the outputs are {text_of(tensors)}", 3
            )
        ended = {kinds[tensor.name][0] for tensor in scores}
        if len(ended) != 1:
            return differs(f"{form}, all alike: only some of the scores end in a sigmoid", 3)
        activation = Scores() if ended == {"raw"} else Scores(activation="none")
        levels, reasons = found
        reasons += (
            f"channels 4 to {BOX_CHANNELS - 1} of the boxes, the keypoints, are not read",
            "box: centre from that of the cell and size, in pixels: not in the file; from MediaPipe",
        )
        return complete(model, options, size, Head(1, levels, CODING, activation, reasons), PRESET)


def _levels(
    size: Size, scores: Sequence[HeadTensor], boxes: Sequence[HeadTensor]
) -> tuple[list[DescribedLevel], tuple[str, ...]] | None:
    """The levels of the form whose anchors the tensors have: one tensor for each grid, or one for all."""
    for form in _FORMS:
        counts = [cells_at(size, stride) * anchors for stride, anchors in form]
        for wanted in (counts, [sum(counts)]):
            by_count = [{tensor.count: tensor for tensor in group} for group in (scores, boxes)]
            if any(sorted(found) != sorted(wanted) or len(found) != len(scores) for found in by_count):
                continue
            levels, reasons = [], []
            for (stride, anchors), count in zip(form, wanted * (len(form) // len(wanted)), strict=True):
                score, box = by_count[0][count], by_count[1][count]
                cell = ((float(stride), float(stride)),) * anchors
                levels.append(
                    DescribedLevel(stride, classes=field_of(score), boxes=field_of(box), anchors=cell)
                )
                reasons.append(
                    f"stride {stride}, {anchors} anchors for each cell: scores {score}, boxes {box}"
                )
            return levels, tuple(reasons)
    return None
