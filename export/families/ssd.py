"""SSD detectors with several classes: decoded in the graph, or with anchors of a published rule."""

from collections.abc import Callable
from dataclasses import dataclass

from typing_extensions import override

from pocketdet.export.families.base import FamilyOptions, Mismatch
from pocketdet.export.families.grids import Size
from pocketdet.export.families.head_parts import Kind
from pocketdet.export.families.presets import Head, Preset, PresetFamily, differs, sides
from pocketdet.export.families.ssd_head import (
    DECODED_SCORES,
    RAW_SCORES,
    SsdGrid,
    caffe_mobilenet_ssd,
    decoded_head,
    mobilenet_ssd,
    raw_head,
    ssd_tensors,
    torchvision_ssd300,
    torchvision_ssdlite,
)
from pocketdet.export.onnx_graph.summary import OnnxSummary
from pocketdet.models.config import Preprocessing
from pocketdet.spec.one_stage import Selection, default_grid

# vision/ssd/config/fd_config.py: anchor sides in pixels for each stride
_MIN_BOXES = {8: (10, 16, 24), 16: (32, 48), 32: (64, 96), 64: (128, 192, 256)}


class UltraFace(PresetFamily):
    """UltraFace: softmax scores with the background first, and boxes of four grids in one tensor each."""

    name = "ultraface"
    title = "UltraFace (RFB, slim)"
    preset = Preset(
        "the demo of UltraFace",
        Preprocessing("RGB", (127, 127, 127), (128, 128, 128), "stretch", (0, 0, 0)),
        Selection(score_threshold=0.7, nms_iou=0.3, clip=False, max_detections=1000),
        (240, 320),
        ("face",),
    )

    @override
    def describe(self, model: OnnxSummary, options: FamilyOptions, size: Size) -> Head | Mismatch:
        found = ssd_tensors(model, "UltraFace", ("softmax",))
        if isinstance(found, Mismatch):
            return found
        grids = ultraface_anchors(size)
        count = sum(grid.count for grid in grids)
        if found.scores.channels != 2 or found.scores.count != count:
            return differs(
                f"UltraFace has 2 scores for each of {count} anchors of an input of {sides(size)}: found "
                f"{found.scores}",
                2,
            )
        if found.decoded:
            return decoded_head(model, found, "UltraFace")
        rule = (
            "anchors: not in the file; squares of "
            + ", ".join(map(str, _MIN_BOXES.values()))
            + " pixels at the strides "
            "8, 16, 32, 64, from fd_config.py of UltraFace"
        )
        return raw_head(found, grids, DECODED_SCORES, rule)


def ultraface_anchors(size: Size) -> list[SsdGrid]:
    """The anchors of UltraFace: `generate_priors` of its vision/utils/box_utils.py.

    Cells divide the input equally, so that a cell is not square where a side is no multiple of the stride.
    The sides of an anchor are at most those of the input.

    Args:
        size: (height, width) of the input.
    """
    grids = []
    for stride, lengths in _MIN_BOXES.items():
        height, width = default_grid(size, stride)
        cell = (size[1] / width, size[0] / height)
        anchors = tuple((float(min(side, size[1])), float(min(side, size[0]))) for side in lengths)
        grids.append(SsdGrid((height, width), cell, anchors))
    return grids


Rule = Callable[[Size], list[SsdGrid] | None]

_PYTORCH_SSD = Preset(
    "pytorch-ssd and its demo",
    Preprocessing("RGB", (127, 127, 127), (128, 128, 128), "stretch", (0, 0, 0)),
    Selection(score_threshold=0.4, nms_iou=0.45, clip=False),
    (300, 300),
)
_CAFFE = Preset(
    "MobileNet-SSD of Caffe and its demo",
    Preprocessing("BGR", (127.5, 127.5, 127.5), (127.5, 127.5, 127.5), "stretch", (0, 0, 0)),
    Selection(score_threshold=0.25, nms_iou=0.45, clip=False),
    (300, 300),
)
_SSDLITE = Preset(
    "ssdlite320_mobilenet_v3_large of torchvision, with a score threshold for use instead of 0.001",
    Preprocessing("RGB", (127.5, 127.5, 127.5), (127.5, 127.5, 127.5), "stretch", (0, 0, 0)),
    Selection(score_threshold=0.3, nms_iou=0.55, max_detections=300),
    (320, 320),
)
_SSD300 = Preset(
    "ssd300_vgg16 of torchvision, with a score threshold for use instead of 0.01",
    Preprocessing("RGB", (123.00375, 116.99775, 104.0043), (1, 1, 1), "stretch", (0, 0, 0)),
    Selection(score_threshold=0.3, nms_iou=0.45, max_detections=200),
    (300, 300),
)


class SsdDecoded(PresetFamily):
    """An SSD whose graph decodes boxes to corners."""

    name = "ssd-decoded"
    title = "SSD decoded in the graph (pytorch-ssd)"
    preset = _PYTORCH_SSD

    @override
    def describe(self, model: OnnxSummary, options: FamilyOptions, size: Size) -> Head | Mismatch:
        found = ssd_tensors(model, self.title, ("softmax",))
        if isinstance(found, Mismatch):
            return found
        if not found.decoded:
            return differs(f"{self.title}: the boxes {found.boxes} are raw values", 2)
        faces = sum(grid.count for grid in ultraface_anchors(size))
        if not options.forced and (found.scores.count, found.scores.channels) == (faces, 2):
            return differs(f"{self.title}: {faces} anchors of one class are UltraFace's", 2)
        return decoded_head(model, found, self.title)


@dataclass(frozen=True)
class SsdRaw(PresetFamily):
    """An SSD whose boxes are relative to anchors that the file does not have.

    Attributes:
        name, title: of the family.
        preset: the settings that are not in the file.
        rule: input size -> anchors.
        kind: how its class scores end.
        like: the family of equal form at 300 x 300, between which only the caller can choose.
    """

    name: str
    title: str
    preset: Preset
    rule: Rule
    kind: Kind
    like: str = ""

    @override
    def describe(self, model: OnnxSummary, options: FamilyOptions, size: Size) -> Head | Mismatch:
        kinds: tuple[Kind, ...] = ("raw", "softmax") if options.forced else (self.kind,)
        found = ssd_tensors(model, self.title, kinds)
        if isinstance(found, Mismatch):
            return found
        if found.decoded:
            return differs(f"{self.title} has raw box values: those of {found.boxes} are computed", 2)
        grids = self.rule(size)
        if grids is None:
            return differs(
                f"the anchors of {self.title} are known for {self.preset.input_size}: the input is {size}", 2
            )
        count = sum(grid.count for grid in grids)
        if found.scores.count != count:
            return differs(f"{self.title} has {count} anchors for {sides(size)}: found {found.scores}", 2)
        if not options.forced and self.like and size == (300, 300):
            return differs(
                f"{self.title} has the same form as {self.like} at {sides(size)}: give --preset", 4
            )
        rule = f"anchors: not in the file; {count} by the rule of {self.preset.source.split(',')[0]}"
        scores = DECODED_SCORES if found.softmax else RAW_SCORES
        return raw_head(found, grids, scores, rule)


SSD_FAMILIES = (
    SsdDecoded(),
    SsdRaw("ssd-mobilenet", "MobileNet-SSD of pytorch-ssd", _PYTORCH_SSD, mobilenet_ssd, "softmax"),
    SsdRaw("ssd-mobilenet-caffe", "MobileNet-SSD of Caffe", _CAFFE, caffe_mobilenet_ssd, "softmax"),
    SsdRaw(
        "ssdlite-torchvision",
        "SSDlite of torchvision",
        _SSDLITE,
        torchvision_ssdlite,
        "raw",
        "MobileNet-SSD of pytorch-ssd",
    ),
    SsdRaw("ssd300-torchvision", "SSD300 of torchvision", _SSD300, torchvision_ssd300, "raw"),
)
