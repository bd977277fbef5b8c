"""NanoDet (2020), NanoDet-Plus (2021), and PicoDet (PaddleDetection) without its post-processing."""

from dataclasses import replace

from typing_extensions import override

from pocketdet.export.families.base import FamilyOptions, Mismatch
from pocketdet.export.families.dfl_head import BINS, BOX_CHANNELS, CODING, SCORES, dfl_head, dfl_levels
from pocketdet.export.families.grids import HeadTensor, Size, head_tensors, strides_of_rows, text_of
from pocketdet.export.families.head_parts import head_parts
from pocketdet.export.families.presets import (
    BGR_IMAGENET_MEAN,
    BGR_IMAGENET_STD,
    Head,
    Preset,
    PresetFamily,
    differs,
    sides,
)
from pocketdet.export.onnx_graph.summary import OnnxSummary
from pocketdet.export.reference.description import DescribedLevel
from pocketdet.models.config import Preprocessing
from pocketdet.spec.one_stage import Selection

_CHOICES = ((8, 16, 32), (8, 16, 32, 64))


class NanoDet(PresetFamily):
    """NanoDet: two tensors for each grid, or all of them in one."""

    name = "nanodet"
    title = "NanoDet, NanoDet-Plus"
    preset = Preset(
        "the demos of NanoDet",
        Preprocessing("BGR", BGR_IMAGENET_MEAN, BGR_IMAGENET_STD, "letterbox", (0, 0, 0)),
        Selection(score_threshold=0.35, nms_iou=0.6, best_class_only=True),
        (320, 320),
    )

    @override
    def describe(self, model: OnnxSummary, options: FamilyOptions, size: Size) -> Head | Mismatch:
        tensors = head_tensors(model)
        if len(tensors) == len(model.outputs) == 1:
            return self._joined(model, size, tensors[0])
        if not options.forced and is_picodet(model):
            return differs("NanoDet has no hard swish: this graph has one, as PicoDet", 2)
        levels = dfl_levels(model, size, "NanoDet", _CHOICES)
        return levels if isinstance(levels, Mismatch) else dfl_head(levels)

    def _joined(self, model: OnnxSummary, size: Size, rows: HeadTensor) -> Head | Mismatch:
        """NanoDet 1.x and NanoDet-Plus: rows of class scores and bins."""
        parts = head_parts(model, rows.name, rows.channels)
        kinds = [part.kind for part in parts]
        if rows.grid or kinds != ["sigmoid", "raw"]:
            return differs(
                f"NanoDet-Plus has rows of sigmoid scores and {BOX_CHANNELS} raw box values: the output is "
                f"{text_of([rows])} with {', '.join(f'{p.channels} {p.kind}' for p in parts)}"
            )
        if parts[1].channels != BOX_CHANNELS:
            return differs(f"NanoDet-Plus has 4 x {BINS} box values: these rows have {parts[1].channels}", 2)
        strides = strides_of_rows(rows.count, size, _CHOICES)
        if strides is None:
            return differs(
                f"NanoDet-Plus has a row for each cell of the strides {_CHOICES[0]} or {_CHOICES[1]} of an "
                f"input of {sides(size)}: the output has {rows.count}",
                3,
            )
        plus, classes = len(strides) == 4, parts[0].channels
        offset = 0.0 if plus else 0.5  # get_single_level_center_priors; GFLHead.get_single_level_center_point
        levels = [
            DescribedLevel(stride, classes=0, boxes=classes, output=rows.name, layout="rows", offset=offset)
            for stride in strides
        ]
        reasons = (
            f"{rows}: {classes} sigmoid scores, then 4 x {BINS} bins, in rows of the strides {strides}",
            f"points at the {'corner' if plus else 'centre'} of each cell, as in "
            f"{'NanoDet-Plus (four strides)' if plus else 'NanoDet 1.x (three strides)'}: not in the file; "
            "offset replaces it",
        )
        return Head(classes, levels, CODING, SCORES, reasons)


def is_picodet(model: OnnxSummary) -> bool:
    """Whether the graph is of PicoDet rather than NanoDet: from Paddle, or with a hard swish or sigmoid."""
    hard = ("HardSwish", "HardSigmoid")
    return "paddle" in model.producer.lower() or any(name in model.operators for name in hard)


PICODET_STRIDES = (8, 16, 32, 64)


class PicoDet(PresetFamily):
    """PicoDet: a class tensor and a box tensor for each of four grids."""

    name = "picodet"
    title = "PicoDet"
    preset = replace(NanoDet.preset, source="the demos of PicoDet")

    @override
    def describe(self, model: OnnxSummary, options: FamilyOptions, size: Size) -> Head | Mismatch:
        levels = dfl_levels(model, size, "PicoDet", (PICODET_STRIDES,))
        if isinstance(levels, Mismatch):
            return levels
        if not options.forced and not is_picodet(model):
            return differs(
                "PicoDet is written by Paddle, or has hard swish: this graph has neither, as NanoDet", 4
            )
        return dfl_head(levels)
