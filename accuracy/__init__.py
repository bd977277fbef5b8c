"""How well detections match labelled pictures: COCO and VOC average precision, curves, misses."""
