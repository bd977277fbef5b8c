"""The values of every prior, gathered from a network's outputs. Definition: docs/ONE_STAGE.md, "Slots"."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pocketdet.errors import UsageError
from pocketdet.models.ops.default_boxes import default_boxes
from pocketdet.one_stage_spec import DistanceCoding, Level, OneStageSpec, Slot


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
    per_class = spec.num_classes + (spec.scores.background != "none")
    objectness = None
    if spec.uses_objectness and level.objectness is not None:
        elements = 2 if spec.scores.objectness_activation == "softmax" else 1
        objectness = _elements(outputs, level.objectness, level, elements)
    codes = []
    for slot, coding in zip(level.boxes, spec.codings, strict=True):
        bins = coding.bins if isinstance(coding, DistanceCoding) else 1
        codes.append(_elements(outputs, slot, level, 4 * bins))
    return RawPriors(
        boxes=default_boxes(level.grid, level.stride, level.priors, level.offset),
        strides=torch.full((level.count,), float(level.stride)),
        levels=torch.full((level.count,), number),
        classes=_elements(outputs, level.classes, level, per_class),
        objectness=objectness,
        codes=tuple(codes),
    )


def _elements(outputs: Mapping[str, Tensor], slot: Slot, level: Level, count: int) -> Tensor:
    """Elements 0 to count - 1 of the level's priors: (level.count, count), float32."""
    tensor = outputs.get(slot.output)
    if tensor is None:
        raise UsageError(f"no output {slot.output!r}: the network gave {', '.join(outputs) or 'none'}")
    each = len(level.priors)
    last = slot.first + (each - 1) * slot.prior_step + (count - 1) * slot.element_step
    rows = slot.first_row + level.count
    wanted = {"map": (last + 1, *level.grid), "rows": (rows, last + 1), "columns": (last + 1, rows)}[
        slot.layout
    ]
    shape = tuple(tensor.shape)
    exact = slice(1, 3) if slot.layout == "map" else slice(0, 0)
    fits = len(shape) == len(wanted) and all(a >= b for a, b in zip(shape, wanted, strict=True))
    if not fits or shape[exact] != wanted[exact]:
        raise UsageError(f"output {slot.output!r} is {shape}: its slot needs {wanted} ({slot.layout})")
    element = torch.arange(count) * slot.element_step + slot.first
    if slot.layout == "map":
        channel = torch.arange(each)[:, None] * slot.prior_step + element
        values = tensor[channel.reshape(-1)].reshape(each, count, -1)
        return values.permute(2, 0, 1).reshape(-1, count).float()
    table = tensor if slot.layout == "rows" else tensor.transpose(0, 1)
    return table[slot.first_row : rows][:, element].float()
