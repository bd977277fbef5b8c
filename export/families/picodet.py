"""PicoDet (PaddleDetection), exported without its post-processing."""

from dataclasses import replace

from typing_extensions import override

from pocketdet.export.families.base import FamilyOptions, Match, Mismatch
from pocketdet.export.families.dfl_head import dfl_levels, dfl_match
from pocketdet.export.families.grids import Size
from pocketdet.export.families.nanodet import PRESET as NANODET
from pocketdet.export.families.nanodet import is_picodet
from pocketdet.export.families.presets import PresetFamily, differs
from pocketdet.export.onnx_graph.summary import OnnxSummary

PRESET = replace(NANODET, source="the demos of PicoDet")
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
        return dfl_match(model, options, size, levels, PRESET)
