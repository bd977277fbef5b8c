"""UltraFace (Ultra-Light-Fast-Generic-Face-Detector): RFB and slim, decoded in the graph or not."""

from typing_extensions import override

from pocketdet.export.families.base import FamilyOptions, Match, Mismatch
from pocketdet.export.families.grids import Size
from pocketdet.export.families.presets import Preset, PresetFamily, complete, differs, sides
from pocketdet.export.families.ssd_head import DECODED_SCORES, SsdGrid, decoded_head, raw_head, ssd_tensors
from pocketdet.export.onnx_graph.summary import OnnxSummary
from pocketdet.models.config import Preprocessing
from pocketdet.spec.one_stage import Selection, default_grid

PRESET = Preset(
    "the demo of UltraFace",
    Preprocessing("RGB", (127, 127, 127), (128, 128, 128), "stretch", (0, 0, 0)),
    Selection(score_threshold=0.7, nms_iou=0.3, clip=False, max_detections=1000),
    (240, 320),
    ("face",),
)
# vision/ssd/config/fd_config.py: anchor sides in pixels for each stride
_MIN_BOXES = {8: (10, 16, 24), 16: (32, 48), 32: (64, 96), 64: (128, 192, 256)}


class UltraFace(PresetFamily):
    """UltraFace: softmax scores with the background first, and boxes of four grids in one tensor each."""

    name = "ultraface"
    title = "UltraFace (RFB, slim)"
    preset = PRESET

    @override
    def describe(self, model: OnnxSummary, options: FamilyOptions, size: Size) -> Match | Mismatch:
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
            head = decoded_head(model, found, "UltraFace")
            return head if isinstance(head, Mismatch) else complete(model, options, size, head, PRESET)
        rule = (
            "anchors: not in the file; squares of "
            + ", ".join(map(str, _MIN_BOXES.values()))
            + " pixels at the strides "
            "8, 16, 32, 64, from fd_config.py of UltraFace"
        )
        return complete(model, options, size, raw_head(found, grids, DECODED_SCORES, rule), PRESET)


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
