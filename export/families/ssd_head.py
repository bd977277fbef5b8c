"""Heads of SSD detectors: class scores with a background and boxes, each of all grids in one tensor."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pocketdet.export.families.base import Mismatch
from pocketdet.export.families.dfl_head import slot_of
from pocketdet.export.families.grids import HeadTensor, head_tensors, text_of
from pocketdet.export.families.head_parts import HeadPart, Kind, head_parts
from pocketdet.export.families.presets import Head, differs
from pocketdet.export.families.probe import run_on_noise
from pocketdet.export.families.ssd_anchors import SsdGrid
from pocketdet.export.onnx_graph.summary import OnnxSummary
from pocketdet.export.reference.description import DescribedLevel
from pocketdet.spec.one_stage import CxcywhCoding, Scores, XyxyCoding

VARIANCES = (0.1, 0.1, 0.2, 0.2)
DECODED_SCORES = Scores(activation="none", background="first")
RAW_SCORES = Scores(activation="softmax", background="first")


@dataclass(frozen=True)
class SsdTensors:
    """The two outputs of an SSD.

    Attributes:
        scores: (anchors, classes and background).
        boxes: (anchors, 4).
        decoded: whether the graph makes boxes out of their values.
        softmax: whether the scores end in a softmax.
    """

    scores: HeadTensor
    boxes: HeadTensor
    decoded: bool
    softmax: bool


def ssd_tensors(model: OnnxSummary, title: str, kinds: tuple[Kind, ...]) -> SsdTensors | Mismatch:
    """The outputs of an SSD.

    Args:
        model: the file, with shapes for a size.
        title: of the family, for the differences.
        kinds: how its class scores end, "softmax" or "raw".
    """
    tensors = head_tensors(model)
    form = f"{title} has two outputs of rows: {' or '.join(kinds)} scores with a background, and 4 box values"
    if len(tensors) != 2 or len(model.outputs) != 2 or any(tensor.grid for tensor in tensors):
        return differs(f"{form}: the outputs are {text_of(tensors)}")
    found = {t.name: _only_kind(head_parts(model, t.name, t.channels)) for t in tensors}
    boxes = [t for t in tensors if t.channels == 4 and found[t.name] in ("raw", "computed")]
    if len(boxes) == 2:  # of a background and three classes: a decoded tensor is the one of boxes
        boxes = [box for box in boxes if found[box.name] == "computed"]
    scores = [t for t in tensors if t not in boxes and found[t.name] in kinds]
    if len(boxes) != 1 or len(scores) != 1 or scores[0].channels < 2:
        text = ", ".join(f"{t} {found[t.name] or 'mixed'}" for t in tensors)
        return differs(f"{form}: the outputs are {text}", int(bool(boxes)) + int(bool(scores)))
    if scores[0].count != boxes[0].count:
        return differs(f"{form} of the same anchors: the outputs are {text_of(tensors)}", 2)
    return SsdTensors(
        scores[0], boxes[0], found[boxes[0].name] == "computed", found[scores[0].name] == "softmax"
    )


def decoded_head(model: OnnxSummary, tensors: SsdTensors, title: str) -> Head | Mismatch:
    """The head of an SSD whose graph decodes boxes to corners."""
    scores, boxes = tensors.scores, tensors.boxes
    unit = _corner_unit(run_on_noise(model, [boxes.name])[boxes.name])
    if unit is None:
        return differs(f"{title} decodes boxes to corners (x1, y1, x2, y2): those of {boxes} are not", 3)
    level = DescribedLevel(
        1,
        grid=(1, scores.count),
        classes=slot_of(scores),
        boxes=slot_of(boxes),
    )
    reasons = (
        f"{scores}: softmax of {scores.channels} scores, background first",
        f"{boxes}: corners in {'shares of the input' if unit == 'input' else 'pixels'}, by a run on noise",
    )
    return Head(scores.channels - 1, [level], XyxyCoding(unit=unit), DECODED_SCORES, reasons)


def raw_head(tensors: SsdTensors, grids: Sequence[SsdGrid], scores: Scores, rule: str) -> Head:
    """The head of an SSD whose boxes are relative to anchors that the file does not have.

    Args:
        tensors: the outputs.
        grids: the anchors.
        scores: of the family.
        rule: the line about the anchors.
    """
    levels = [
        DescribedLevel(
            grid.stride,
            grid=grid.grid,
            anchors=grid.anchors,
            classes=slot_of(tensors.scores),
            boxes=slot_of(tensors.boxes),
        )
        for grid in grids
    ]
    sizes = ", ".join(f"{grid.grid[0]} x {grid.grid[1]} x {len(grid.anchors)}" for grid in grids)
    reasons = (
        f"{tensors.scores} and {tensors.boxes}: rows of the grids {sizes} (height x width x anchors)",
        rule,
        f"box variances {VARIANCES}, background first: not in the file; those of SSD",
    )
    classes = tensors.scores.channels - 1
    return Head(classes, levels, CxcywhCoding(multiplier=VARIANCES), scores, reasons)


def _only_kind(parts: Sequence[HeadPart]) -> Kind | None:
    """How all channels are computed; None if not alike."""
    kinds: set[Kind] = {part.kind for part in parts}
    return kinds.pop() if len(kinds) == 1 else None


def _corner_unit(
    boxes: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
) -> Literal["input", "pixel"] | None:
    """The unit of corners; None if these are no corners."""
    if not np.isfinite(boxes).all() or not (boxes[:, 2:] >= boxes[:, :2]).all():
        return None
    centres = (boxes[:, 2:] + boxes[:, :2]) / 2
    return "input" if np.percentile(np.abs(centres), 90) <= 2 else "pixel"
