"""Heads of face detectors with tensors of their own for each grid: scores, boxes, perhaps keypoints."""

from collections.abc import Sequence
from dataclasses import dataclass

from pocketdet.export.families.base import Mismatch
from pocketdet.export.families.grids import HeadTensor, Size, by_stride, head_tensors, stride_of, text_of
from pocketdet.export.families.head_parts import file_factors, head_parts
from pocketdet.export.families.presets import differs, sides
from pocketdet.export.onnx_graph.summary import OnnxSummary

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
    parts = {t.name: head_parts(model, t.name, t.channels) for t in tensors}
    kinds = {name: [part.kind for part in found] for name, found in parts.items()}
    single = [t for t in tensors if t.channels == 1 and kinds[t.name] == ["sigmoid"]]
    boxes = [t for t in tensors if t.channels == 4 and kinds[t.name] == ["raw"]]
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
