"""The mobile and face detectors among the families, in the order in which they are tried."""

from pocketdet.export.families.blazeface import BlazeFace
from pocketdet.export.families.centerface import CenterFace
from pocketdet.export.families.fastestdet import FastestDet
from pocketdet.export.families.nanodet import NanoDet
from pocketdet.export.families.picodet import PicoDet
from pocketdet.export.families.presets import PresetFamily
from pocketdet.export.families.rtmdet import RtmDet
from pocketdet.export.families.scrfd import Scrfd
from pocketdet.export.families.ssd import SSD_FAMILIES
from pocketdet.export.families.ultraface import UltraFace
from pocketdet.export.families.yolo_fastestv2 import YoloFastestV2
from pocketdet.export.families.yunet import YuNet

MOBILE_FAMILIES: tuple[PresetFamily, ...] = (
    NanoDet(),
    PicoDet(),
    RtmDet(),
    FastestDet(),
    YoloFastestV2(),
    UltraFace(),
    *SSD_FAMILIES,
    YuNet(),
    Scrfd(),
    BlazeFace(),
    CenterFace(),
)
