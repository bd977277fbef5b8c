"""Heads of SSD detectors: class scores with a background and boxes, each of all grids in one tensor.

Default boxes are not in the files; they follow from the published rule of each detector, cell by cell, row by
row, with the anchors of a cell innermost.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pocketdet.export.families.base import Mismatch
from pocketdet.export.families.dfl_head import field_of
from pocketdet.export.families.grids import HeadTensor, Size, head_tensors, text_of
from pocketdet.export.families.head_parts import HeadPart, Kind, head_parts
from pocketdet.export.families.presets import Head, differs
from pocketdet.export.families.probe import run_on_noise
from pocketdet.export.onnx_graph.summary import OnnxSummary
from pocketdet.export.reference.description import DescribedLevel
from pocketdet.spec.one_stage import CxcywhCoding, Scores, XyxyCoding, default_grid

Sides = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class SsdGrid:
    """One feature map of an SSD.

    Attributes:
        grid: (height, width) in cells.
        stride: pixels per cell along x and y.
        anchors: (width, height) of each anchor of a cell, in pixels.
    """

    grid: Size
    stride: tuple[float, float]
    anchors: Sides

    @property
    def count(self) -> int:
        """The number of anchors."""
        return math.prod(self.grid) * len(self.anchors)


def mobilenet_ssd(size: Size) -> list[SsdGrid] | None:
    """MobileNet-SSD of pytorch-ssd: `generate_ssd_priors` with vision/ssd/config/mobilenetv1_ssd_config.py.

    Sides are at most those of the input.

    Args:
        size: (height, width) of the input.

    Returns:
        The grids, or None: the rule is for 300 x 300.
    """
    if size != (300, 300):
        return None
    specs = ((19, 16, 60, 105), (10, 32, 105, 150), (5, 64, 150, 195), (3, 100, 195, 240), (2, 150, 240, 285))
    grids = []
    for cells, stride, small, large in (*specs, (1, 300, 285, 330)):
        sides = _shapes(small, math.sqrt(small * large), (2, 3), side_limit=300.0)
        grids.append(SsdGrid((cells, cells), (float(stride), float(stride)), sides))
    return grids


def caffe_mobilenet_ssd(size: Size) -> list[SsdGrid] | None:
    """MobileNet-SSD of Caffe: the PriorBox layers of its deploy.prototxt (min_size, max_size, aspect_ratio).

    Args:
        size: (height, width) of the input.

    Returns:
        The grids, or None: the rule is for 300 x 300.
    """
    if size != (300, 300):
        return None
    specs = ((10, 105, 150), (5, 150, 195), (3, 195, 240), (2, 240, 285), (1, 285, 300))
    first = _shapes(60, None, (2,))
    grids = [SsdGrid((19, 19), (300 / 19, 300 / 19), first)]
    for cells, small, large in specs:
        sides = _shapes(small, math.sqrt(small * large), (2, 3))
        grids.append(SsdGrid((cells, cells), (300 / cells, 300 / cells), sides))
    return grids


def torchvision_ssdlite(size: Size) -> list[SsdGrid] | None:
    """SSDlite of torchvision: `DefaultBoxGenerator([[2, 3]] * 6, min_ratio=0.2, max_ratio=0.95)`.

    Six feature maps of the strides 16 to 512; scales are shares of the input, sides at most the input's.

    Args:
        size: (height, width) of the input.
    """
    scales = [0.2 + (0.95 - 0.2) * k / 5 for k in range(6)] + [1.0]
    grids = [default_grid(size, 16 << k) for k in range(6)]
    return [
        SsdGrid(grid, (size[1] / grid[1], size[0] / grid[0]), _shares(size, scales[k], scales[k + 1], (2, 3)))
        for k, grid in enumerate(grids)
    ]


def torchvision_ssd300(size: Size) -> list[SsdGrid] | None:
    """SSD300 with VGG16 of torchvision: its `DefaultBoxGenerator` with scales and steps.

    Args:
        size: (height, width) of the input.

    Returns:
        The grids, or None: the rule is for 300 x 300.
    """
    if size != (300, 300):
        return None
    scales = (0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05)
    steps = (8, 16, 32, 64, 100, 300)
    ratios: Sequence[tuple[int, ...]] = ((2,), (2, 3), (2, 3), (2, 3), (2,), (2,))
    return [
        SsdGrid(
            (cells, cells), (float(step), float(step)), _shares(size, scales[k], scales[k + 1], ratios[k])
        )
        for k, (cells, step) in enumerate(zip((38, 19, 10, 5, 3, 1), steps, strict=True))
    ]


def _shapes(
    small: float, between: float | None, ratios: Sequence[int], side_limit: float = math.inf
) -> Sides:
    """A square, perhaps a larger square, then each ratio lying and standing, in pixels."""
    sides = [(small, small)] + ([] if between is None else [(between, between)])
    for ratio in ratios:
        long, short = small * math.sqrt(ratio), small / math.sqrt(ratio)
        sides += [(long, short), (short, long)]
    return tuple((float(min(w, side_limit)), float(min(h, side_limit))) for w, h in sides)


def _shares(size: Size, scale: float, following: float, ratios: Sequence[int]) -> Sides:
    """As `_shapes`, in shares of the input's width and height, at most 1."""
    shapes = _shapes(scale, math.sqrt(scale * following), ratios, side_limit=1.0)
    return tuple((w * size[1], h * size[0]) for w, h in shapes)


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
    level = DescribedLevel(1, grid=(1, scores.count), classes=field_of(scores), boxes=field_of(boxes))
    reasons = (
        f"{scores}: softmax of {scores.channels} scores, background first",
        f"{boxes}: corners in {'shares of the input' if unit == 'input' else 'pixels'}, by a run on noise",
    )
    return Head(scores.channels - 1, [level], XyxyCoding(unit=unit), DECODED_SCORES, reasons)


def raw_head(tensors: SsdTensors, grids: Sequence[SsdGrid], scores: Scores, rule: str) -> Head:
    """The head of an SSD whose boxes are relative to anchors that the file does not have."""
    levels = [
        DescribedLevel(
            grid.stride,
            grid=grid.grid,
            anchors=grid.anchors,
            classes=field_of(tensors.scores),
            boxes=field_of(tensors.boxes),
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
