"""Labelled pictures: COCO json and Pascal VOC in, frozen records out, and one report of all that is wrong."""

from pocketdet.datasets.check import check_dataset, keep_sound
from pocketdet.datasets.coco import read_coco
from pocketdet.datasets.pictures import read_picture
from pocketdet.datasets.records import Annotated, Dataset, Problem
from pocketdet.datasets.subset import evenly_spaced
from pocketdet.datasets.voc import VOC_CLASSES, read_voc

__all__ = [
    "VOC_CLASSES",
    "Annotated",
    "Dataset",
    "Problem",
    "check_dataset",
    "evenly_spaced",
    "keep_sound",
    "read_coco",
    "read_picture",
    "read_voc",
]
