"""How well detections match labelled pictures: COCO and VOC average precision, curves, misses."""

from pocketdet.accuracy.coco import ClassAccuracy, CocoAccuracy, coco_accuracy
from pocketdet.accuracy.curves import write_curves
from pocketdet.accuracy.found import Found
from pocketdet.accuracy.gallery import write_gallery
from pocketdet.accuracy.misses import Miss, MissKind, worst_misses
from pocketdet.accuracy.trade_off import Cost, write_trade_off
from pocketdet.accuracy.voc import VocAccuracy, VocClass, voc_accuracy

__all__ = [
    "ClassAccuracy",
    "CocoAccuracy",
    "Cost",
    "Found",
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
