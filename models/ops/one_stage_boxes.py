"""Anchors of a level, and raw elements to boxes: docs/reference/one-stage.md, "Anchors" and "Box coding"."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pocketdet.models.ops.boxes import exp_float64
from pocketdet.spec.one_stage import BoxCoding, CxcywhCoding, DistanceCoding, Unit, XyxyCoding


def default_boxes(
    grid: tuple[int, int],
    stride: float | tuple[float, float],
    sizes: Sequence[tuple[float, float]],
    offset: float = 0.5,
) -> Tensor:
    """Return the anchors of a level.

    Args:
        grid: (height, width) in cells.
        stride: pixels per cell, or (x, y).
        sizes: (width, height) of the A anchors of a cell in pixels.
        offset: of a cell's centre, in cells.

    Returns:
        Boxes (height * width * A, 4) in pixels, anchors innermost.
    """
    height, width = grid
    x_stride, y_stride = torch.tensor(stride, dtype=torch.float32).expand(2)
    ys = (torch.arange(height, dtype=torch.float32) + offset) * y_stride
    xs = (torch.arange(width, dtype=torch.float32) + offset) * x_stride
    centres = torch.stack([xs.expand(height, width), ys[:, None].expand(height, width)], dim=2)[:, :, None]
    half = 0.5 * torch.tensor(sizes, dtype=torch.float32)
    return torch.cat([centres - half, centres + half], dim=3).reshape(-1, 4)


def sigmoid_float64(x: Tensor) -> Tensor:
    """1 / (1 + exp(-x)) in float64, rounded to the type of `x`."""
    return (1 / (1 + (-x.double()).exp())).to(x.dtype)


def tanh_float64(x: Tensor) -> Tensor:
    """2 / (1 + exp(-2x)) - 1 in float64, rounded to the type of `x`."""
    return (2 / (1 + (-2 * x.double()).exp()) - 1).to(x.dtype)


def decode_step(
    elements: Tensor, reference: Tensor, strides: Tensor, coding: BoxCoding, size: tuple[int, int]
) -> Tensor:
    """Decode boxes, float32, not clipped.

    Args:
        elements: raw values (N, 4) or (N, 4 * bins).
        reference: boxes (N, 4) in pixels, the anchors or the boxes of the coding before.
        strides: pixels per cell along x and y (N, 2).
        coding: how the elements encode a box.
        size: the network's input (height, width).

    Returns:
        Boxes (N, 4) in pixels.
    """
    if isinstance(coding, DistanceCoding):
        sides = elements if coding.bins == 1 else _expected(elements, coding.bins)
    else:
        sides = elements
    t = sides[:, list(coding.order)] * elements.new_tensor(coding.multiplier)
    if isinstance(coding, XyxyCoding):
        return t * _unit(coding.unit, reference, strides, size).repeat(1, 2)
    if isinstance(coding, DistanceCoding):
        return _from_distances(t, reference, strides, coding, size)
    return _from_centre(t, reference, strides, coding, size)


def _from_centre(
    t: Tensor, reference: Tensor, strides: Tensor, coding: CxcywhCoding, size: tuple[int, int]
) -> Tensor:
    moved = t[:, :2]
    if coding.centre_activation == "tanh":
        moved = tanh_float64(moved)
    elif coding.centre_activation == "sigmoid":
        moved = sigmoid_float64(moved)
    moved = moved * coding.centre_gain + coding.centre_shift
    centre = moved * _unit(coding.centre_unit, reference, strides, size)
    if coding.origin == "anchor":
        centre = _centre(reference) + centre
    scale = t[:, 2:]
    if coding.size_activation == "exp":
        scale = exp_float64(scale.clamp(max=coding.max_log))
    elif coding.size_activation == "sigmoid":
        scale = sigmoid_float64(scale)
    elif coding.size_activation == "sigmoid_squared":
        doubled = 2 * sigmoid_float64(scale)
        scale = doubled * doubled
    elif coding.size_activation == "square":
        scale = scale * scale
    half = 0.5 * (_unit(coding.size_unit, reference, strides, size) * scale)
    return torch.cat([centre - half, centre + half], dim=1)


def _from_distances(
    t: Tensor, reference: Tensor, strides: Tensor, coding: DistanceCoding, size: tuple[int, int]
) -> Tensor:
    if coding.activation == "exp":
        t = exp_float64(t.clamp(max=coding.max_log))
    elif coding.activation == "relu":
        t = t.clamp(min=0)
    unit, centre = _unit(coding.unit, reference, strides, size), _centre(reference)
    return torch.cat([centre - t[:, :2] * unit, centre + t[:, 2:] * unit], dim=1)


def _expected(elements: Tensor, bins: int) -> Tensor:
    """Means of four distributions over 0 to bins - 1, (N, 4 * bins) -> (N, 4)."""
    powers = elements.reshape(-1, 4, bins).double()
    powers = (powers - powers.amax(dim=2, keepdim=True)).exp()
    places = torch.arange(bins, dtype=torch.float64, device=elements.device)
    total, weighted = powers.cumsum(dim=2)[..., -1], (powers * places).cumsum(dim=2)[..., -1]
    return (weighted / total).to(elements.dtype)


def _centre(boxes: Tensor) -> Tensor:
    return boxes[:, :2] + 0.5 * (boxes[:, 2:] - boxes[:, :2])


def _unit(unit: Unit, reference: Tensor, strides: Tensor, size: tuple[int, int]) -> Tensor:
    """(N, 2): what one is worth along x and y, in pixels."""
    if unit == "anchor":
        return reference[:, 2:] - reference[:, :2]
    if unit == "stride":
        return strides
    if unit == "input":
        return reference.new_tensor([size[1], size[0]]).expand(len(reference), 2)
    return reference.new_ones(len(reference), 2)
