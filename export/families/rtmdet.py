"""RTMDet (MMDetection): sigmoid scores, distances that the graph multiplies by the stride."""

from typing_extensions import override

from pocketdet.export.families.base import FamilyOptions, Mismatch
from pocketdet.export.families.dfl_head import field_of
from pocketdet.export.families.grids import HeadTensor, Size, by_stride, cells_at, head_tensors, text_of
from pocketdet.export.families.head_parts import HeadPart, file_factors, head_parts
from pocketdet.export.families.presets import (
    BGR_IMAGENET_MEAN,
    BGR_IMAGENET_STD,
    Head,
    Preset,
    PresetFamily,
    differs,
)
from pocketdet.export.onnx_graph.summary import OnnxSummary
from pocketdet.export.reference.description import DescribedLevel
from pocketdet.models.config import Preprocessing
from pocketdet.spec.one_stage import DistanceCoding, Scores, Selection

STRIDES = (8, 16, 32)
_POINTS = (
    "points at the corner of each cell (MlvlPointGenerator of offset 0): not in the file; offset replaces it"
)


class RtmDet(PresetFamily):
    """RTMDet: class and distance maps of three grids, or all in one tensor of rows."""

    name = "rtmdet"
    title = "RTMDet"
    preset = Preset(
        "the configuration of RTMDet in MMDetection and its demo",
        Preprocessing("BGR", BGR_IMAGENET_MEAN, BGR_IMAGENET_STD, "letterbox_top_left", (114, 114, 114)),
        Selection(score_threshold=0.3, nms_iou=0.65, max_detections=300),
        (640, 640),
    )

    @override
    def describe(self, model: OnnxSummary, options: FamilyOptions, size: Size) -> Head | Mismatch:
        tensors = head_tensors(model)
        if len(tensors) == len(model.outputs) == 1:
            return self._joined(model, size, tensors[0])
        return self._maps(model, size, tensors)

    def _maps(self, model: OnnxSummary, size: Size, tensors: tuple[HeadTensor, ...]) -> Head | Mismatch:
        parts = {tensor.name: head_parts(model, tensor.name, tensor.channels) for tensor in tensors}
        sides = {
            t.name for t in tensors if _are_distances(parts[t.name]) and file_factors(model, t.name) != (1,)
        }
        boxes = by_stride([t for t in tensors if t.name in sides], size, STRIDES)
        scores = by_stride([t for t in tensors if t.name not in sides], size, STRIDES)
        form = (
            "RTMDet has a class map and a map of 4 distances, multiplied by the stride, for each of the "
            f"strides {STRIDES}"
        )
        if boxes is None or scores is None or tuple(boxes) != STRIDES or tuple(scores) != STRIDES:
            return differs(f"{form}: the outputs are {text_of(tensors)}", int(bool(boxes)))
        if len(model.outputs) != 6 or any(t.grid is None for t in tensors):
            return differs(f"{form}: the file has {len(model.outputs)} outputs, {text_of(tensors)}", 1)
        scales = {stride: file_factors(model, tensor.name)[0] for stride, tensor in boxes.items()}
        if any(stride != scale for stride, scale in scales.items()):
            return differs(f"{form}: the graph multiplies them by {list(scales.values())}", 3)
        kinds = {tuple(part.kind for part in parts[t.name]) for t in scores.values()}
        counts = {tensor.channels for tensor in scores.values()}
        if len(counts) != 1 or kinds not in ({("raw",)}, {("sigmoid",)}):
            return differs(f"{form}: the class maps are {text_of(scores.values())}", 3)
        activation = Scores() if kinds == {("raw",)} else Scores(activation="none")
        levels = [
            DescribedLevel(
                stride, classes=field_of(scores[stride]), boxes=field_of(boxes[stride]), offset=0.0
            )
            for stride in STRIDES
        ]
        reasons = [
            f"stride {stride}: classes {scores[stride]}, distances in pixels {boxes[stride]}, multiplied by "
            f"{stride} in the graph"
            for stride in STRIDES
        ]
        return Head(counts.pop(), levels, DistanceCoding(unit="pixel"), activation, (*reasons, _POINTS))

    def _joined(self, model: OnnxSummary, size: Size, rows: HeadTensor) -> Head | Mismatch:
        parts = head_parts(model, rows.name, rows.channels)
        found = ", ".join(f"{part.channels} {part.kind}" for part in parts)
        form = "RTMDet in one tensor has rows of sigmoid scores and 4 distances, multiplied by the stride"
        if rows.grid or len(parts) != 2 or parts[0].kind != "sigmoid" or not _are_distances(parts[1:]):
            return differs(f"{form}: the output is {text_of([rows])} with {found}")
        count = sum(cells_at(size, stride) for stride in STRIDES)
        if rows.count != count:
            return differs(
                f"{form}, for the {count} cells of the strides {STRIDES}: the output has {rows.count} rows", 2
            )
        factors = file_factors(model, rows.name)
        if list(factors) != list(STRIDES):
            return differs(f"{form}: the graph multiplies them by {factors}", 3)
        classes = parts[0].channels
        levels = [
            DescribedLevel(stride, classes=0, boxes=classes, output=rows.name, layout="rows", offset=0.0)
            for stride in STRIDES
        ]
        reasons = (
            f"{rows}: {classes} sigmoid scores, then 4 distances in pixels, in rows of the strides {STRIDES}",
            _POINTS,
        )
        return Head(classes, levels, DistanceCoding(unit="pixel"), Scores(activation="none"), reasons)


def _are_distances(parts: tuple[HeadPart, ...]) -> bool:
    """Whether these are four values of a convolution, or their exponentials."""
    return [part.channels for part in parts] == [4] and parts[0].kind in ("raw", "exp")
