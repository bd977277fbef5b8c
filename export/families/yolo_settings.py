"""Preprocessing and suppression of the YOLO families. No file contains them.

They suppress boxes first and clip them to the image last: the clipped parts count in the IoU.
"""

from pocketdet.models.config import Preprocessing
from pocketdet.spec.one_stage import Selection

_GREY = (114, 114, 114)
RGB_LETTERBOX = Preprocessing("RGB", (0, 0, 0), (255, 255, 255), "letterbox", _GREY)
BGR_255_LETTERBOX = Preprocessing("BGR", (0, 0, 0), (1, 1, 1), "letterbox", _GREY)

SUPPRESSED = Selection(
    score_threshold=0.25, best_class_only=True, clip=False, nms_iou=0.7, max_detections=300
)
YOLOV5_SELECTION = Selection(
    score_threshold=0.25, best_class_only=True, clip=False, nms_iou=0.45, max_detections=300
)
YOLOX_SELECTION = Selection(
    score_threshold=0.3, best_class_only=True, clip=False, nms_iou=0.45, max_detections=300
)
END_TO_END = Selection(score_threshold=0.25, top_n=300, clip=False, nms="none", max_detections=300)
