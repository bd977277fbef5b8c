"""YuNet (2023): faces on three grids, with objectness and keypoints."""

from typing_extensions import override

from pocketdet.export.families.base import FamilyOptions, Match, Mismatch
from pocketdet.export.families.dfl_head import field_of
from pocketdet.export.families.face_tensors import face_tensors, keypoint_reasons
from pocketdet.export.families.grids import Size
from pocketdet.export.families.presets import Head, Preset, PresetFamily, complete
from pocketdet.export.onnx_graph.summary import OnnxSummary
from pocketdet.export.reference.description import DescribedLevel
from pocketdet.models.config import Preprocessing
from pocketdet.spec.one_stage import CxcywhCoding, Scores, Selection

PRESET = Preset(
    "the demo of YuNet in OpenCV Zoo",
    Preprocessing("BGR", (0, 0, 0), (1, 1, 1), "stretch", (0, 0, 0)),
    Selection(score_threshold=0.6, nms_iou=0.3, top_n=5000, clip=False, max_detections=750),
    (320, 320),
    ("face",),
)
STRIDES = (8, 16, 32)
CODING = CxcywhCoding(centre_unit="stride", size_unit="stride")
SCORES = Scores(activation="none", objectness_activation="none", class_power=0.5, objectness_power=0.5)


class YuNet(PresetFamily):
    """YuNet: for each grid, class scores, objectness, boxes and keypoints."""

    name = "yunet"
    title = "YuNet (2023)"
    preset = PRESET

    @override
    def describe(self, model: OnnxSummary, options: FamilyOptions, size: Size) -> Match | Mismatch:
        found = face_tensors(model, size, "YuNet", (STRIDES,), scores=2, anchors=1)
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
        return complete(model, options, size, Head(1, levels, CODING, SCORES, reasons), PRESET)
