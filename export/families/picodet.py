"""PicoDet (PaddleDetection), exported without its post-processing."""

from typing_extensions import override

from pocketdet.export.families.base import FamilyOptions, Match, Mismatch
from pocketdet.export.families.dfl_head import CODING, POINTS, SCORES, dfl_levels
from pocketdet.export.families.grids import Size
from pocketdet.export.families.nanodet import is_picodet
from pocketdet.export.families.presets import (
    BGR_IMAGENET_MEAN,
    BGR_IMAGENET_STD,
    Head,
    Preset,
    PresetFamily,
    complete,
    differs,
)
from pocketdet.export.onnx_graph.summary import OnnxSummary
from pocketdet.models.config import Preprocessing
from pocketdet.spec.one_stage import Selection

PRESET = Preset(
    "the demos of PicoDet",
    Preprocessing("BGR", BGR_IMAGENET_MEAN, BGR_IMAGENET_STD, "letterbox", (0, 0, 0)),
    Selection(score_threshold=0.35, nms_iou=0.6, best_class_only=True),
    (320, 320),
)
STRIDES = (8, 16, 32, 64)


class PicoDet(PresetFamily):
    """PicoDet: a class tensor and a box tensor for each of four grids."""

    name = "picodet"
    title = "PicoDet"
    preset = PRESET

    @override
    def describe(self, model: OnnxSummary, options: FamilyOptions, size: Size) -> Match | Mismatch:
        levels = dfl_levels(model, size, "PicoDet", (STRIDES,))
        if isinstance(levels, Mismatch):
            return levels
        if not options.forced and not is_picodet(model):
            return differs(
                "PicoDet is written by Paddle, or has hard swish: this graph has neither, as NanoDet", 4
            )
        reasons = [level.reason() for level in levels]
        reasons.append(POINTS)
        described = [level.described() for level in levels]
        head = Head(levels[0].classes.channels, described, CODING, SCORES, reasons)
        return complete(model, options, size, head, PRESET)
