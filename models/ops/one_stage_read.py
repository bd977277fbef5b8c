"""Gather each anchor's values from the outputs: docs/reference/one-stage.md, "Output fields"."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pocketdet.errors import UsageError
from pocketdet.models.ops.default_boxes import default_boxes
from pocketdet.spec.one_stage import BoxCoding, Level, OneStageSpec, OutputField, box_elements


@dataclass(frozen=True)
class RawAnchors:
    """Values by anchor, P in all.

    Attributes:
        boxes: the anchors (P, 4) in pixels.
        strides: pixels per cell along x and y (P, 2).
        levels: number of the level (P,).
        classes, objectness, codes: raw elements (P, count); `codes` for each coding.
    """

    boxes: Tensor
    strides: Tensor
    levels: Tensor
    classes: Tensor
    objectness: Tensor | None
    codes: tuple[Tensor, ...]

    def finite(self) -> Tensor:
        """(P,): whether every element of an anchor is."""
        parts = [self.classes, *self.codes]
        if self.objectness is not None:
            parts.append(self.objectness)
        return torch.isfinite(torch.cat(parts, dim=1)).all(dim=1)


def read_anchors(spec: OneStageSpec, outputs: Mapping[str, Tensor]) -> RawAnchors:
    """Outputs of one image (no batch dimension) by name -> all anchors, level by level.

    Raises `UsageError` for an output that is missing or does not have its field's shape.
    """
    levels = [_read_level(spec, number, level, outputs) for number, level in enumerate(spec.levels)]
    return RawAnchors(
        boxes=torch.cat([x.boxes for x in levels]),
        strides=torch.cat([x.strides for x in levels]),
        levels=torch.cat([x.levels for x in levels]),
        classes=torch.cat([x.classes for x in levels]),
        objectness=torch.cat([x.objectness for x in levels if x.objectness is not None])
        if spec.uses_objectness
        else None,
        codes=tuple(torch.cat(step) for step in zip(*(x.codes for x in levels), strict=True)),
    )


def _read_level(spec: OneStageSpec, number: int, level: Level, outputs: Mapping[str, Tensor]) -> RawAnchors:
    objectness = None
    if spec.uses_objectness and level.objectness is not None:
        objectness = _elements(outputs, level.objectness, level, spec.objectness_elements)
    return RawAnchors(
        boxes=default_boxes(level.grid, level.stride, level.anchors, level.offset),
        strides=torch.tensor(level.strides, dtype=torch.float32).expand(level.count, 2),
        levels=torch.full((level.count,), number),
        classes=_elements(outputs, level.classes, level, spec.class_elements),
        objectness=objectness,
        codes=tuple(_codes(outputs, level, index, coding) for index, coding in enumerate(spec.codings)),
    )


def _codes(outputs: Mapping[str, Tensor], level: Level, index: int, coding: BoxCoding) -> Tensor:
    """The elements of one coding, (level.count, 4) or (level.count, 4 * bins)."""
    count, sizes = box_elements(coding), level.size_field(index)
    if sizes is None:
        return _elements(outputs, level.boxes[index], level, count)
    halves = [_elements(outputs, field, level, count // 2) for field in (level.boxes[index], sizes)]
    return torch.cat(halves, dim=1)


def _elements(outputs: Mapping[str, Tensor], field: OutputField, level: Level, count: int) -> Tensor:
    """Elements 0 to count - 1 of the level's anchors: (level.count, count), float32."""
    tensor = outputs.get(field.output)
    if tensor is None:
        raise UsageError(f"no output {field.output!r}: the network gave {', '.join(outputs) or 'none'}")
    problem = level.shape_error(field, count, tensor.shape)
    if problem:
        raise UsageError(problem)
    cell = torch.arange(level.cells)[:, None, None]
    anchor = torch.arange(len(level.anchors))[:, None]
    channel = field.first + anchor * field.anchor_channels + torch.arange(count) * field.element_step
    if field.layout == "map":
        values = tensor.flatten(1)[channel, cell]
    else:
        row = field.first_row + cell * level.cell_step(field) + anchor * field.anchor_step
        values = tensor[row, channel] if field.layout == "rows" else tensor[channel, row]
    return values.reshape(-1, count).float()
