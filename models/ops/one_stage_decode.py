"""One-stage outputs to detections: docs/reference/one-stage.md, "Output fields" and steps 1 to 8."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pocketdet.errors import UsageError
from pocketdet.models.ops.boxes import argsort_descending, clip_boxes, nms, soft_nms, softmax_float64
from pocketdet.models.ops.one_stage_boxes import decode_step, default_boxes, sigmoid_float64
from pocketdet.spec.one_stage import (
    Activation,
    BoxCoding,
    Level,
    OneStageSpec,
    OutputField,
    Scores,
    Selection,
    box_elements,
)


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


@dataclass(frozen=True)
class OneStageDetections:
    """Best first: boxes (N, 4) in network pixels, scores (N,), labels (N,) from 0, anchors by index (N,)."""

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    anchors: Tensor


@torch.no_grad()
def one_stage_decode(spec: OneStageSpec, outputs: Mapping[str, Tensor]) -> OneStageDetections:
    """Float32 outputs of one image (no batch dimension) by name -> detections.

    Raises `UsageError` for an output that is missing or does not have its field's shape.
    """
    raw, rule = read_anchors(spec, outputs), spec.selection
    alive = raw.finite().nonzero()[:, 0]
    objectness = None
    if raw.objectness is not None:
        objectness = _activate(raw.objectness, spec.scores.objectness_activation)[:, -1]
        alive = _by_objectness(alive, objectness, rule)
    scores = _scores(raw.classes[alive], None if objectness is None else objectness[alive], spec.scores)
    row, label = _candidates(scores, raw.levels[alive], rule)
    anchor, score = alive[row], scores[row, label]
    boxes = raw.boxes[anchor]
    for coding, codes in zip(spec.codings, raw.codes, strict=True):
        boxes = decode_step(codes[anchor], boxes, raw.strides[anchor], coding, spec.input_size)
    boxes = clip_boxes(boxes, spec.input_size) if rule.clip else boxes
    sides = boxes[:, 2:] - boxes[:, :2]
    sound = torch.isfinite(boxes).all(dim=1) & ((sides > 0) & (sides >= rule.min_size)).all(dim=1)
    return _suppressed(boxes[sound], score[sound], label[sound], anchor[sound], rule)


def _activate(x: Tensor, activation: Activation) -> Tensor:
    if activation == "sigmoid":
        return sigmoid_float64(x)
    return softmax_float64(x) if activation == "softmax" else x


def _by_objectness(alive: Tensor, objectness: Tensor, rule: Selection) -> Tensor:
    """The anchors that pass the objectness limits, by index."""
    if rule.objectness_threshold is not None:
        alive = alive[objectness[alive] > rule.objectness_threshold]
    if rule.top_n_objectness is not None:
        alive = alive[argsort_descending(objectness[alive])[: rule.top_n_objectness]].sort().values
    return alive


def _scores(classes: Tensor, objectness: Tensor | None, rule: Scores) -> Tensor:
    """Scores (N, C) of each class without background."""
    values = _activate(classes, rule.activation)
    if rule.background != "none":
        values = values[:, 1:] if rule.background == "first" else values[:, :-1]
    scores = _power(values, rule.class_power)
    if objectness is not None and rule.objectness_power:
        scores = scores * _power(objectness, rule.objectness_power)[:, None]
    return scores


def _power(x: Tensor, exponent: float) -> Tensor:
    """`x` to a power in float64, rounded to float32."""
    return x if exponent == 1 else x.double().pow(exponent).float()


def _candidates(scores: Tensor, levels: Tensor, rule: Selection) -> tuple[Tensor, Tensor]:
    """Rows of `scores` (N, C) and labels of the candidates, by anchor, then label."""
    if rule.best_class_only:
        known = scores.masked_fill(scores.isnan(), -torch.inf)  # sorting would put NaN first
        label = torch.sort(known, dim=1, descending=True, stable=True).indices[:, 0]
        row = torch.arange(len(scores))
        above = scores[row, label] > rule.score_threshold
        row, label = row[above], label[above]
    else:
        row, label = (scores > rule.score_threshold).nonzero(as_tuple=True)
    chosen = torch.arange(len(row))
    values = scores[row, label]
    if rule.top_n_per_level is not None:
        parts = []
        for level in sorted(set(levels.tolist())):
            own = chosen[levels[row] == level]
            parts.append(own[argsort_descending(values[own])[: rule.top_n_per_level]].sort().values)
        chosen = torch.cat(parts) if parts else chosen
    if rule.top_n is not None:
        chosen = chosen[argsort_descending(values[chosen])[: rule.top_n]].sort().values
    return row[chosen], label[chosen]


def _suppressed(
    boxes: Tensor, scores: Tensor, labels: Tensor, anchors: Tensor, rule: Selection
) -> OneStageDetections:
    groups = [(labels == label).nonzero()[:, 0] for label in sorted(set(labels.tolist()))]
    if not rule.per_class:
        groups = [torch.arange(len(labels))]
    kept, kept_scores = [torch.zeros(0, dtype=torch.int64)], [scores[:0]]
    for group in groups:
        keep, values = _suppress(boxes[group], scores[group], rule)
        kept.append(group[keep])
        kept_scores.append(values)
    index, values = torch.cat(kept), torch.cat(kept_scores)
    order = sorted(
        range(len(index)), key=lambda i: (-float(values[i]), int(labels[index[i]]), int(anchors[index[i]]))
    )
    best = torch.tensor(order[: rule.max_detections], dtype=torch.int64)
    index = index[best]
    return OneStageDetections(boxes[index], values[best], labels[index], anchors[index])


def _suppress(boxes: Tensor, scores: Tensor, rule: Selection) -> tuple[Tensor, Tensor]:
    if rule.nms == "none":
        return torch.arange(len(boxes)), scores
    if rule.nms == "hard":
        keep = nms(boxes, scores, rule.nms_iou)
        return keep, scores[keep]
    return soft_nms(boxes, scores, rule.nms, rule.nms_iou, rule.sigma, rule.score_threshold)
