"""How well detections match labelled pictures: COCO and VOC average precision, curves, misses."""

from pocketdet.accuracy.coco import ClassAccuracy, CocoAccuracy, coco_accuracy
from pocketdet.accuracy.found import Found
from pocketdet.accuracy.voc import VocAccuracy, VocClass, voc_accuracy

__all__ = [
    "ClassAccuracy",
    "CocoAccuracy",
    "Found",
    "VocAccuracy",
    "VocClass",
    "coco_accuracy",
    "voc_accuracy",
]
