"""Gather each anchor's values from the outputs: docs/reference/one-stage.md, "Output fields"."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pocketdet.errors import UsageError
from pocketdet.models.ops.default_boxes import default_boxes
from pocketdet.spec.one_stage import Level, OneStageSpec, OutputField, box_elements


@dataclass(frozen=True)
class RawPriors:
    """By prior (P of them): its own box (P, 4), stride and number of its level (P,), and the raw elements."""

    boxes: Tensor
    strides: Tensor
    levels: Tensor
    classes: Tensor
    objectness: Tensor | None
    codes: tuple[Tensor, ...]

    def finite(self) -> Tensor:
        """(P,): whether every element of a prior is."""
        parts = [self.classes, *self.codes]
        if self.objectness is not None:
            parts.append(self.objectness)
        return torch.isfinite(torch.cat(parts, dim=1)).all(dim=1)


def read_priors(spec: OneStageSpec, outputs: Mapping[str, Tensor]) -> RawPriors:
    """Outputs of one image (no batch dimension) by name -> all priors, level by level.

    Raises `UsageError` for an output that is missing or does not have its slot's shape.
    """
    levels = [_read_level(spec, number, level, outputs) for number, level in enumerate(spec.levels)]
    return RawPriors(
        boxes=torch.cat([x.boxes for x in levels]),
        strides=torch.cat([x.strides for x in levels]),
        levels=torch.cat([x.levels for x in levels]),
        classes=torch.cat([x.classes for x in levels]),
        objectness=torch.cat([x.objectness for x in levels if x.objectness is not None])
        if spec.uses_objectness
        else None,
        codes=tuple(torch.cat(step) for step in zip(*(x.codes for x in levels), strict=True)),
    )


def _read_level(spec: OneStageSpec, number: int, level: Level, outputs: Mapping[str, Tensor]) -> RawPriors:
    objectness = None
    if spec.uses_objectness and level.objectness is not None:
        objectness = _elements(outputs, level.objectness, level, spec.objectness_elements)
    pairs = zip(level.boxes, spec.codings, strict=True)
    codes = [_elements(outputs, slot, level, box_elements(coding)) for slot, coding in pairs]
    return RawPriors(
        boxes=default_boxes(level.grid, level.stride, level.priors, level.offset),
        strides=torch.full((level.count,), float(level.stride)),
        levels=torch.full((level.count,), number),
        classes=_elements(outputs, level.classes, level, spec.class_elements),
        objectness=objectness,
        codes=tuple(codes),
    )


def _elements(outputs: Mapping[str, Tensor], slot: OutputField, level: Level, count: int) -> Tensor:
    """Elements 0 to count - 1 of the level's priors: (level.count, count), float32."""
    tensor = outputs.get(slot.output)
    if tensor is None:
        raise UsageError(f"no output {slot.output!r}: the network gave {', '.join(outputs) or 'none'}")
    problem = level.shape_error(slot, count, tensor.shape)
    if problem:
        raise UsageError(problem)
    each, rows = len(level.priors), slot.first_row + level.count
    element = torch.arange(count) * slot.element_step + slot.first
    if slot.layout == "map":
        channel = torch.arange(each)[:, None] * slot.prior_step + element
        values = tensor[channel.reshape(-1)].reshape(each, count, -1)
        return values.permute(2, 0, 1).reshape(-1, count).float()
    table = tensor if slot.layout == "rows" else tensor.transpose(0, 1)
    return table[slot.first_row : rows][:, element].float()
