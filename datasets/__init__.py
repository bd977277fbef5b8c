"""Annotated images: COCO, Pascal VOC and YOLO in, frozen records out, and one report of all that is wrong."""

from pocketdet.datasets.coco import read_coco
from pocketdet.datasets.image_file import read_stored_image
from pocketdet.datasets.layout import DataSource, first_split, read_source, read_sources
from pocketdet.datasets.records import (
    Dataset,
    ImageAnnotations,
    Problem,
    check_dataset,
    evenly_spaced,
    keep_sound,
)
from pocketdet.datasets.voc import VOC_CLASSES, read_voc

__all__ = [
    "VOC_CLASSES",
    "DataSource",
    "Dataset",
    "ImageAnnotations",
    "Problem",
    "check_dataset",
    "evenly_spaced",
    "first_split",
    "keep_sound",
    "read_coco",
    "read_source",
    "read_sources",
    "read_stored_image",
    "read_voc",
]
