"""Plain torch operators: the reference of all others. Definitions: docs/reference/definitions.md."""

from pocketdet.models.ops.boxes import (
    box_area,
    box_iou,
    clip_boxes,
    decode_boxes,
    encode_boxes,
    nms,
    soft_nms,
)
from pocketdet.models.ops.resize import (
    normalise,
    nv21_to_rgb,
    resize_bilinear,
    resize_geometry,
    resize_image,
    to_original,
)
from pocketdet.models.ops.roi_align import ps_roi_align
from pocketdet.models.ops.two_stage import Detections, detect, make_anchors, propose

__all__ = [
    "Detections",
    "box_area",
    "box_iou",
    "clip_boxes",
    "decode_boxes",
    "detect",
    "encode_boxes",
    "make_anchors",
    "nms",
    "normalise",
    "nv21_to_rgb",
    "propose",
    "ps_roi_align",
    "resize_bilinear",
    "resize_geometry",
    "resize_image",
    "soft_nms",
    "to_original",
]
