"""Annotated images: COCO json and Pascal VOC in, frozen records out, and one report of all that is wrong."""

from pocketdet.datasets.check import check_dataset, keep_sound
from pocketdet.datasets.coco import read_coco
from pocketdet.datasets.image_file import read_stored_image
from pocketdet.datasets.records import Dataset, ImageAnnotations, Problem
from pocketdet.datasets.subset import evenly_spaced
from pocketdet.datasets.voc import VOC_CLASSES, read_voc

__all__ = [
    "VOC_CLASSES",
    "Dataset",
    "ImageAnnotations",
    "Problem",
    "check_dataset",
    "evenly_spaced",
    "keep_sound",
    "read_coco",
    "read_stored_image",
    "read_voc",
]
