"""FastestDet: one map of objectness, box and class values."""

from typing_extensions import override

from pocketdet.export.families.base import FamilyOptions, Match, Mismatch
from pocketdet.export.families.grids import Size, head_tensors, stride_of, text_of
from pocketdet.export.families.head_parts import head_parts
from pocketdet.export.families.presets import Head, Preset, PresetFamily, complete, differs, sides
from pocketdet.export.onnx_graph.summary import OnnxSummary
from pocketdet.export.reference.description import DescribedLevel
from pocketdet.models.config import Preprocessing
from pocketdet.spec.one_stage import CxcywhCoding, Scores, Selection

PRESET = Preset(
    "the demo of FastestDet",
    Preprocessing("BGR", (0, 0, 0), (255, 255, 255), "stretch", (0, 0, 0)),
    Selection(score_threshold=0.3, nms_iou=0.45, best_class_only=True),
    (352, 352),
)
STRIDE = 16
CODING = CxcywhCoding(
    centre_activation="tanh", centre_unit="stride", size_activation="sigmoid", size_unit="input"
)
SCORES = Scores(activation="none", objectness_activation="none", class_power=0.4, objectness_power=0.6)


class FastestDet(PresetFamily):
    """FastestDet: a map of sigmoid objectness, 4 raw box values and softmax classes."""

    name = "fastestdet"
    title = "FastestDet"
    preset = PRESET

    @override
    def describe(self, model: OnnxSummary, options: FamilyOptions, size: Size) -> Match | Mismatch:
        tensors = head_tensors(model)
        form = "FastestDet has one map of 1 sigmoid, 4 raw and C softmax channels"
        if len(tensors) != 1 or len(model.outputs) != 1 or tensors[0].grid is None:
            return differs(f"{form}: the outputs are {text_of(tensors)}")
        parts = head_parts(model, tensors[0].name, tensors[0].channels)
        if [p.kind for p in parts] != ["sigmoid", "raw", "softmax"] or [p.channels for p in parts[:2]] != [
            1,
            4,
        ]:
            found = ", ".join(f"{part.channels} {part.kind}" for part in parts)
            return differs(f"{form}: the channels of {tensors[0]} are {found}", 1)
        if stride_of(tensors[0], size, (STRIDE,)) is None:
            return differs(
                f"the map of FastestDet has the stride {STRIDE}: {tensors[0]} has not, for {sides(size)}", 3
            )
        level = DescribedLevel(STRIDE, output=tensors[0].name, objectness=0, boxes=1, classes=5, offset=0.0)
        reasons = (
            f"stride {STRIDE}: {tensors[0]}, channel 0 ends in a sigmoid (objectness), 1 to 4 are raw (box), "
            f"{parts[2].channels} from 5 on end in a softmax (classes)",
            "box: centre tanh(t) cells from the cell's corner, size sigmoid(t) of the input; score = "
            "objectness ^ 0.6 * class ^ 0.4: not in the file; from the demo of FastestDet",
        )
        return complete(
            model, options, size, Head(parts[2].channels, [level], CODING, SCORES, reasons), PRESET
        )
