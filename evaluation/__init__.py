"""How well detections match annotated images: COCO and VOC average precision, curves, misses."""

from pocketdet.evaluation.coco import ClassAccuracy, CocoAccuracy, coco_accuracy, write_curves
from pocketdet.evaluation.detections import Detections
from pocketdet.evaluation.figures import Cost, write_trade_off
from pocketdet.evaluation.misses import Miss, MissKind, worst_misses, write_gallery
from pocketdet.evaluation.voc import VocAccuracy, VocClass, voc_accuracy

__all__ = [
    "ClassAccuracy",
    "CocoAccuracy",
    "Cost",
    "Detections",
    "Miss",
    "MissKind",
    "VocAccuracy",
    "VocClass",
    "coco_accuracy",
    "voc_accuracy",
    "worst_misses",
    "write_curves",
    "write_gallery",
    "write_trade_off",
]
