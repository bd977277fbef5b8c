"""SCRFD (InsightFace): faces on three grids with two anchors for each cell, or on five with one."""

from typing_extensions import override

from pocketdet.export.families.base import FamilyOptions, Match, Mismatch
from pocketdet.export.families.dfl_head import field_of
from pocketdet.export.families.face_tensors import face_tensors, keypoint_reasons
from pocketdet.export.families.grids import Size
from pocketdet.export.families.presets import Head, Preset, PresetFamily, complete
from pocketdet.export.onnx_graph.summary import OnnxSummary
from pocketdet.export.reference.description import DescribedLevel
from pocketdet.models.config import Preprocessing
from pocketdet.spec.one_stage import DistanceCoding, Scores, Selection

PRESET = Preset(
    "the demo of SCRFD in InsightFace",
    Preprocessing("RGB", (127.5, 127.5, 127.5), (128, 128, 128), "letterbox_top_left", (0, 0, 0)),
    Selection(score_threshold=0.5, nms_iou=0.4, clip=False, max_detections=1000),
    (640, 640),
    ("face",),
)
_FORMS = (((8, 16, 32), 2), ((8, 16, 32, 64, 128), 1))


class Scrfd(PresetFamily):
    """SCRFD: for each grid, scores, distances and perhaps keypoints."""

    name = "scrfd"
    title = "SCRFD"
    preset = PRESET

    @override
    def describe(self, model: OnnxSummary, options: FamilyOptions, size: Size) -> Match | Mismatch:
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
            return complete(
                model, options, size, Head(1, levels, coding, Scores(activation="none"), reasons), PRESET
            )
        assert nearest is not None
        return nearest
