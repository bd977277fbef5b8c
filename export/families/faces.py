"""Face detectors with tensors of their own for each grid (scores, boxes, perhaps keypoints) or all grids.

- SCRFD (InsightFace): three grids with two anchors for each cell, or five with one.
- YuNet (2023): three grids, with objectness and keypoints.
- CenterFace: a heatmap of face centres, with sizes and offsets in maps of their own.
- BlazeFace (MediaPipe): short range at 128 x 128, back camera at 256 x 256, full range at 192 x 192.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from typing_extensions import override

from pocketdet.errors import UsageError
from pocketdet.export.families.base import FamilyOptions, Mismatch
from pocketdet.export.families.dfl_head import field_of
from pocketdet.export.families.grids import (
    HeadTensor,
    Size,
    by_stride,
    cells_at,
    head_tensors,
    stride_of,
    text_of,
)
from pocketdet.export.families.head_parts import file_factors, part_kinds
from pocketdet.export.families.presets import Head, Preset, PresetFamily, differs, sides
from pocketdet.export.onnx_graph.summary import OnnxSummary
from pocketdet.export.reference.description import DescribedLevel
from pocketdet.models.config import Preprocessing
from pocketdet.spec.one_stage import CxcywhCoding, DistanceCoding, Scores, Selection

KEYPOINT_CHANNELS = 10  # x and y of both eyes, the nose and both corners of the mouth


@dataclass(frozen=True)
class FaceLevel:
    """The tensors of one grid.

    Attributes:
        stride: pixels per cell.
        scores: tensors of one sigmoid score for each anchor.
        boxes: four raw values for each anchor.
        boxes_factor: the constant that the graph multiplies them by.
        keypoints: their tensor, which is not read.
    """

    stride: int
    scores: tuple[HeadTensor, ...]
    boxes: HeadTensor
    boxes_factor: float
    keypoints: HeadTensor | None


def face_tensors(
    model: OnnxSummary,
    size: Size,
    title: str,
    choices: Sequence[tuple[int, ...]],
    *,
    scores: int,
    anchors: int,
) -> list[FaceLevel] | Mismatch:
    """The tensors of each grid, finest first.

    Args:
        model: the file, with shapes for `size`.
        size: (height, width) of the input in pixels.
        title: of the family, for the differences.
        choices: the sets of strides that it comes with.
        scores: tensors of scores for each grid.
        anchors: rows for each cell.
    """
    tensors = head_tensors(model)
    kinds = part_kinds(model, tensors)
    single = [t for t in tensors if t.channels == 1 and kinds[t.name] == ("sigmoid",)]
    boxes = [t for t in tensors if t.channels == 4 and kinds[t.name] == ("raw",)]
    points = [t for t in tensors if t.channels == KEYPOINT_CHANNELS]
    strides = sorted({stride for choice in choices for stride in choice})
    box_by = by_stride(boxes, size, strides, anchors)
    point_by = by_stride(points, size, strides, anchors)
    score_by = {
        stride: tuple(t for t in single if stride_of(t, size, strides, anchors) == stride)
        for stride in strides
    }
    form = (
        f"{title} has {scores} sigmoid score{'s' if scores > 1 else ''} and 4 raw box values for each of "
        f"{anchors} anchor{'s' if anchors > 1 else ''} of a cell of the strides "
        f"{' or '.join(map(str, choices))}"
    )
    fits = int(bool(single)) + int(bool(boxes)) + int(bool(points))
    if not box_by or tuple(box_by) not in choices:
        return differs(f"{form}: the outputs for {sides(size)} are {text_of(tensors)}", fits)
    counts = {stride: len(score_by[stride]) for stride in box_by}
    if set(counts.values()) != {scores} or len(single) != scores * len(box_by):
        return differs(f"{form}: there are {len(single)} tensors of one sigmoid score", fits + 1)
    rest = len(model.outputs) - len(single) - len(boxes) - len(points)
    if rest or point_by is None or (point_by and list(point_by) != list(box_by)):
        return differs(
            f"{form}, and perhaps {KEYPOINT_CHANNELS} keypoint values: the outputs are {text_of(tensors)}",
            fits + 1,
        )
    return [
        FaceLevel(
            stride,
            score_by[stride],
            box_by[stride],
            file_factors(model, box_by[stride].name)[0],
            point_by.get(stride),
        )
        for stride in box_by
    ]


def keypoint_reasons(levels: Sequence[FaceLevel]) -> list[str]:
    """The line about keypoint outputs, if there are any."""
    names = [level.keypoints.name for level in levels if level.keypoints is not None]
    return [f"the keypoints {', '.join(names)} are dropped"] if names else []


_FORMS = (((8, 16, 32), 2), ((8, 16, 32, 64, 128), 1))


class Scrfd(PresetFamily):
    """SCRFD: for each grid, scores, distances and perhaps keypoints."""

    name = "scrfd"
    title = "SCRFD"
    preset = Preset(
        "the demo of SCRFD in InsightFace",
        Preprocessing("RGB", (127.5, 127.5, 127.5), (128, 128, 128), "letterbox_top_left", (0, 0, 0)),
        Selection(score_threshold=0.5, nms_iou=0.4, clip=False, max_detections=1000),
        (640, 640),
        ("face",),
    )

    @override
    def describe(self, model: OnnxSummary, options: FamilyOptions, size: Size) -> Head | Mismatch:
        nearest: Mismatch | None = None
        for strides, anchors in _FORMS:
            found = face_tensors(model, size, "SCRFD", (strides,), scores=1, anchors=anchors)
            if isinstance(found, Mismatch):
                nearest = found if nearest is None or found.fits > nearest.fits else nearest
                continue
            in_pixels = all(level.boxes_factor == level.stride for level in found)
            levels = [
                DescribedLevel(
                    level.stride,
                    classes=field_of(level.scores[0]),
                    boxes=field_of(level.boxes),
                    anchors=((float(level.stride), float(level.stride)),) * anchors,
                    offset=0.0,
                )
                for level in found
            ]
            reasons = [
                f"stride {level.stride}: scores {level.scores[0]} end in a sigmoid, distances {level.boxes}, "
                f"{anchors} for each cell"
                for level in found
            ]
            reasons += keypoint_reasons(found)
            reasons.append(
                f"distances in {'pixels, multiplied in the graph' if in_pixels else 'strides'}, from the "
                "corner of each cell: not in the file; from the demo of SCRFD"
            )
            coding = DistanceCoding(unit="pixel" if in_pixels else "stride")
            return Head(1, levels, coding, Scores(activation="none"), reasons)
        assert nearest is not None
        return nearest


_YUNET_STRIDES = (8, 16, 32)
_YUNET_CODING = CxcywhCoding(centre_unit="stride", size_unit="stride")
_YUNET_SCORES = Scores(activation="none", objectness_activation="none", class_power=0.5, objectness_power=0.5)


class YuNet(PresetFamily):
    """YuNet: for each grid, class scores, objectness, boxes and keypoints."""

    name = "yunet"
    title = "YuNet (2023)"
    preset = Preset(
        "the demo of YuNet in OpenCV Zoo",
        Preprocessing("BGR", (0, 0, 0), (1, 1, 1), "stretch", (0, 0, 0)),
        Selection(score_threshold=0.6, nms_iou=0.3, top_n=5000, clip=False, max_detections=750),
        (320, 320),
        ("face",),
    )

    @override
    def describe(self, model: OnnxSummary, options: FamilyOptions, size: Size) -> Head | Mismatch:
        found = face_tensors(model, size, "YuNet", (_YUNET_STRIDES,), scores=2, anchors=1)
        if isinstance(found, Mismatch):
            return found
        levels, reasons = [], []
        for level in found:
            classes, objectness = sorted(level.scores, key=lambda tensor: "obj" in tensor.name)
            levels.append(
                DescribedLevel(
                    level.stride,
                    classes=field_of(classes),
                    objectness=field_of(objectness),
                    boxes=field_of(level.boxes),
                    offset=0.0,
                )
            )
            reasons.append(
                f"stride {level.stride}: class {classes} and objectness {objectness} end in a sigmoid, boxes "
                f"{level.boxes}"
            )
        reasons += keypoint_reasons(found)
        reasons.append(
            "score = sqrt(class * objectness); boxes: centre in cells from the cell's corner, exponential "
            "sizes in strides: not in the file; from FaceDetectorYN of OpenCV"
        )
        return Head(1, levels, _YUNET_CODING, _YUNET_SCORES, reasons)


STRIDE = 4
_LEAST_SIDE = 64  # the published file declares 32 x 32, and its demo never uses that
# values are offset y, offset x, log of the height, log of the width
_CENTERFACE_CODING = CxcywhCoding(
    order=(1, 0, 3, 2), centre_unit="stride", size_activation="exp", size_unit="stride", max_log=10.0
)


class CenterFace(PresetFamily):
    """CenterFace: maps of one sigmoid score, two sizes, two offsets and perhaps keypoints."""

    name = "centerface"
    title = "CenterFace"
    preset = Preset(
        "the demo of CenterFace",
        Preprocessing("RGB", (0, 0, 0), (1, 1, 1), "stretch", (0, 0, 0)),
        Selection(score_threshold=0.5, nms_iou=0.3, max_detections=1000),
        (640, 640),
        ("face",),
    )

    @override
    def describe(self, model: OnnxSummary, options: FamilyOptions, size: Size) -> Head | Mismatch:
        tensors = head_tensors(model)
        kinds = part_kinds(model, tensors)
        heat = [t for t in tensors if t.channels == 1 and kinds[t.name] == ("sigmoid",)]
        pairs = [t for t in tensors if t.channels == 2 and kinds[t.name] == ("raw",)]
        points = [t for t in tensors if t.channels == KEYPOINT_CHANNELS]
        form = (
            f"CenterFace has maps of the stride {STRIDE}: 1 sigmoid score, 2 sizes, 2 offsets and perhaps "
            f"{KEYPOINT_CHANNELS} keypoint values"
        )
        found = (len(heat), len(pairs), len(model.outputs) - len(points))
        if found != (1, 2, 3) or len(points) > 1 or any(t.grid is None for t in tensors):
            return differs(
                f"{form}: the outputs are {text_of(tensors)}", int(bool(heat)) + int(len(pairs) == 2)
            )
        if any(stride_of(tensor, size, (STRIDE,)) is None for tensor in tensors):
            return differs(f"{form}: for {sides(size)} the outputs are {text_of(tensors)}", 3)
        if min(size) < _LEAST_SIDE:
            raise UsageError(
                f"{model.path}: an input of {sides(size)} as declared, too small to find a face: "
                "give the size to use with --input-size, such as 480x640"
            )
        sizes, offsets, told = _sizes_and_offsets(pairs)
        level = DescribedLevel(
            STRIDE, classes=field_of(heat[0]), boxes=field_of(offsets), sizes=field_of(sizes)
        )
        reasons = [
            f"stride {STRIDE}: scores {heat[0]} end in a sigmoid; sizes {sizes}, offsets {offsets}, y before "
            f"x, told apart {told}",
            "box: centre (cell + 0.5 + offset) * 4, size exp(t) * 4: not in the file; from the demo of "
            "CenterFace",
        ]
        reasons += [f"the keypoints {tensor.name} are dropped" for tensor in points]
        return Head(1, [level], _CENTERFACE_CODING, Scores(activation="none"), reasons)


def _sizes_and_offsets(pairs: list[HeadTensor]) -> tuple[HeadTensor, HeadTensor, str]:
    """The tensor of sizes, that of offsets, and how they were told apart: by name, or by their order."""
    named = [tensor for tensor in pairs if "off" in tensor.name.lower() or "reg" in tensor.name.lower()]
    if len(named) == 1:
        sizes = next(tensor for tensor in pairs if tensor is not named[0])
        return sizes, named[0], "by name"
    return pairs[0], pairs[1], "by their order, sizes first, as in the published file"


_BLAZEFACE_CHANNELS = 16  # centre, size, and x and y of 6 keypoints
# (stride, anchors per cell) of each grid: strides of SsdAnchorsCalculator; equal strides share a grid
_BLAZEFACE_FORMS = (((8, 2), (16, 6)), ((16, 2), (32, 6)), ((4, 1),))
# all anchors have the size of the input; values are pixels
_BLAZEFACE_CODING = CxcywhCoding(centre_unit="pixel", size_activation="none", size_unit="pixel")


class BlazeFace(PresetFamily):
    """BlazeFace: scores, and boxes with six keypoints, of one or two grids."""

    name = "blazeface"
    title = "BlazeFace"
    preset = Preset(
        "face_detection of MediaPipe, with hard NMS instead of its weighted one",
        Preprocessing("RGB", (127.5, 127.5, 127.5), (127.5, 127.5, 127.5), "letterbox", (0, 0, 0)),
        Selection(score_threshold=0.5, nms_iou=0.3, clip=False),
        (128, 128),
        ("face",),
    )

    @override
    def describe(self, model: OnnxSummary, options: FamilyOptions, size: Size) -> Head | Mismatch:
        tensors = head_tensors(model)
        kinds = part_kinds(model, tensors)
        scores = [t for t in tensors if t.channels == 1 and kinds[t.name] in (("raw",), ("sigmoid",))]
        boxes = [t for t in tensors if t.channels == _BLAZEFACE_CHANNELS and kinds[t.name] == ("raw",)]
        form = f"BlazeFace has scores of 1 value and boxes of {_BLAZEFACE_CHANNELS} raw values"
        if not scores or len(scores) + len(boxes) != len(model.outputs) or any(t.grid for t in tensors):
            return differs(
                f"{form}: the outputs are {text_of(tensors)}", int(bool(scores)) + int(bool(boxes))
            )
        found = _blazeface_levels(size, scores, boxes)
        if found is None:
            wanted = " or ".join(str([cells_at(size, s) * n for s, n in form]) for form in _BLAZEFACE_FORMS)
            return differs(
                f"{form} for {wanted} anchors of {sides(size)}: the outputs are {text_of(tensors)}", 3
            )
        ended = {kinds[tensor.name][0] for tensor in scores}
        if len(ended) != 1:
            return differs(f"{form}, all alike: only some of the scores end in a sigmoid", 3)
        activation = Scores() if ended == {"raw"} else Scores(activation="none")
        levels, reasons = found
        reasons += (
            f"channels 4 to {_BLAZEFACE_CHANNELS - 1} of the boxes, the keypoints, are not read",
            "box: centre from that of the cell and size, in pixels: not in the file; from MediaPipe",
        )
        return Head(1, levels, _BLAZEFACE_CODING, activation, reasons)


def _blazeface_levels(
    size: Size, scores: Sequence[HeadTensor], boxes: Sequence[HeadTensor]
) -> tuple[list[DescribedLevel], tuple[str, ...]] | None:
    """The levels of the form whose anchors the tensors have: one tensor for each grid, or one for all."""
    for form in _BLAZEFACE_FORMS:
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
