"""CenterFace: a heatmap of face centres, with sizes and offsets in maps of their own."""

from typing_extensions import override

from pocketdet.errors import UsageError
from pocketdet.export.families.base import FamilyOptions, Match, Mismatch
from pocketdet.export.families.dfl_head import field_of
from pocketdet.export.families.grids import HeadTensor, Size, head_tensors, stride_of, text_of
from pocketdet.export.families.head_parts import head_parts
from pocketdet.export.families.presets import Head, Preset, PresetFamily, complete, differs, sides
from pocketdet.export.onnx_graph.summary import OnnxSummary
from pocketdet.export.reference.description import DescribedLevel
from pocketdet.models.config import Preprocessing
from pocketdet.spec.one_stage import CxcywhCoding, Scores, Selection

PRESET = Preset(
    "the demo of CenterFace",
    Preprocessing("RGB", (0, 0, 0), (1, 1, 1), "stretch", (0, 0, 0)),
    Selection(score_threshold=0.5, nms_iou=0.3, max_detections=1000),
    (640, 640),
    ("face",),
)
STRIDE = 4
KEYPOINT_CHANNELS = 10
LEAST_SIDE = 64  # the published file declares 32 x 32, and its demo never uses that
# values are offset y, offset x, log of the height, log of the width
CODING = CxcywhCoding(
    order=(1, 0, 3, 2), centre_unit="stride", size_activation="exp", size_unit="stride", max_log=10.0
)


class CenterFace(PresetFamily):
    """CenterFace: maps of one sigmoid score, two sizes, two offsets and perhaps keypoints."""

    name = "centerface"
    title = "CenterFace"
    preset = PRESET

    @override
    def describe(self, model: OnnxSummary, options: FamilyOptions, size: Size) -> Match | Mismatch:
        tensors = head_tensors(model)
        kinds = {t.name: [part.kind for part in head_parts(model, t.name, t.channels)] for t in tensors}
        heat = [t for t in tensors if t.channels == 1 and kinds[t.name] == ["sigmoid"]]
        pairs = [t for t in tensors if t.channels == 2 and kinds[t.name] == ["raw"]]
        points = [t for t in tensors if t.channels == KEYPOINT_CHANNELS]
        form = (
            f"CenterFace has maps of the stride {STRIDE}: 1 sigmoid score, 2 sizes, 2 offsets and perhaps "
            f"{KEYPOINT_CHANNELS} keypoint values"
        )
        found = (len(heat), len(pairs), len(model.outputs) - len(points))
        if found != (1, 2, 3) or len(points) > 1 or any(t.grid is None for t in tensors):
            return differs(
                f"{form}: the outputs are {text_of(tensors)}", int(bool(heat)) + int(len(pairs) == 2)
            )
        if any(stride_of(tensor, size, (STRIDE,)) is None for tensor in tensors):
            return differs(f"{form}: for {sides(size)} the outputs are {text_of(tensors)}", 3)
        if min(size) < LEAST_SIDE:
            raise UsageError(
                f"{model.path}: an input of {sides(size)} as declared, too small to find a face: "
                "give the size to use with --input-size, such as 480x640"
            )
        sizes, offsets, told = _sizes_and_offsets(pairs)
        level = DescribedLevel(
            STRIDE, classes=field_of(heat[0]), boxes=field_of(offsets), sizes=field_of(sizes)
        )
        reasons = [
            f"stride {STRIDE}: scores {heat[0]} end in a sigmoid; sizes {sizes}, offsets {offsets}, y before "
            f"x, told apart {told}",
            "box: centre (cell + 0.5 + offset) * 4, size exp(t) * 4: not in the file; from the demo of "
            "CenterFace",
        ]
        reasons += [f"the keypoints {tensor.name} are dropped" for tensor in points]
        return complete(
            model, options, size, Head(1, [level], CODING, Scores(activation="none"), reasons), PRESET
        )


def _sizes_and_offsets(pairs: list[HeadTensor]) -> tuple[HeadTensor, HeadTensor, str]:
    """The tensor of sizes, that of offsets, and how they were told apart: by name, or by their order."""
    named = [tensor for tensor in pairs if "off" in tensor.name.lower() or "reg" in tensor.name.lower()]
    if len(named) == 1:
        sizes = next(tensor for tensor in pairs if tensor is not named[0])
        return sizes, named[0], "by name"
    return pairs[0], pairs[1], "by their order, sizes first, as in the published file"
