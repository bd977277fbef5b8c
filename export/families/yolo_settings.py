"""Preprocessing and suppression of the YOLO families. No file contains them.

They suppress boxes first and clip them to the image last: the clipped parts count in the IoU.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pocketdet.export.onnx_graph.summary import OnnxSummary
from pocketdet.export.reference.description import DescribedLevel, Description
from pocketdet.models.config import Preprocessing
from pocketdet.spec.one_stage import BoxCoding, Scores, Selection


@dataclass(frozen=True)
class YoloSettings:
    """The settings of a family that are not in its files.

    Attributes:
        selection: thresholds and suppression.
        preprocessing: of the image.
    """

    selection: Selection
    preprocessing: Preprocessing

    def describe(
        self,
        model: OnnxSummary,
        names: tuple[str, ...],
        levels: Sequence[DescribedLevel],
        coding: BoxCoding,
        scores: Scores,
    ) -> Description:
        """The description of a file whose outputs are known."""
        size = model.input_size or (0, 0)
        return Description(size, names, tuple(levels), (coding,), scores, self.selection, self.preprocessing)

    def lines(self, preset: str) -> tuple[str, str]:
        """Lines about suppression and preprocessing, for the reasons of a match."""
        chosen, image = self.selection, self.preprocessing
        suppression = (
            f"suppression: none, the file keeps the best {chosen.top_n} scores"
            if chosen.nms == "none"
            else f"suppression of the preset {preset}: scores above {chosen.score_threshold:g}, IoU "
            f"{chosen.nms_iou:g} for each class"
        )
        mean, std = (", ".join(f"{n:g}" for n in values) for values in (image.mean, image.std))
        padded = f" with {image.pad}" if image.resize != "stretch" else ""
        return suppression, (
            f"preprocessing of the preset {preset}, no file contains it: {image.channel_order}, mean "
            f"{mean}, std {std}, {image.resize}{padded}"
        )


_GREY = (114, 114, 114)
_RGB_LETTERBOX = Preprocessing("RGB", (0, 0, 0), (255, 255, 255), "letterbox", _GREY)


def _suppressed(score_threshold: float, nms_iou: float) -> Selection:
    return Selection(
        score_threshold=score_threshold,
        best_class_only=True,
        clip=False,
        nms_iou=nms_iou,
        max_detections=300,
    )


ULTRALYTICS = YoloSettings(_suppressed(0.25, 0.7), _RGB_LETTERBOX)
END_TO_END = YoloSettings(
    Selection(score_threshold=0.25, top_n=300, clip=False, nms="none", max_detections=300), _RGB_LETTERBOX
)
YOLOV5 = YoloSettings(_suppressed(0.25, 0.45), _RGB_LETTERBOX)
YOLOX = YoloSettings(_suppressed(0.3, 0.45), Preprocessing("BGR", (0, 0, 0), (1, 1, 1), "letterbox", _GREY))
