"""Deformable convolution from gathers and one product, the reference of `models/ops/deform_conv.py`."""

import torch
from torch import Tensor

from pocketdet.errors import UsageError


def deform_conv2d(
    x: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
) -> Tensor:
    """Image (N, C, H, W) and offsets (N, 2 * G * kh * kw, h, w) -> (N, O, h, w).

    `weight` is (O, C / groups, kh, kw). The G offset groups share the channels of `x` evenly, as the groups
    of `weight` do. Differentiable in all arguments. Raises `UsageError` where the shapes do not fit.
    """
    _check(x, offset, weight, stride, padding, dilation)
    kernel, out = (weight.shape[2], weight.shape[3]), (offset.shape[2], offset.shape[3])
    columns = _columns(x, offset, kernel, (stride, padding, dilation))
    groups = x.shape[1] // weight.shape[1]
    grouped = columns.reshape(len(x), groups, -1, out[0] * out[1])
    filters = weight.reshape(groups, weight.shape[0] // groups, -1)
    result = (filters @ grouped).reshape(len(x), weight.shape[0], *out)
    return result if bias is None else result + bias[:, None, None]


def _columns(x: Tensor, offset: Tensor, kernel: tuple[int, int], geometry: tuple[int, int, int]) -> Tensor:
    """Every tap's sample: (N, C, kh * kw, h, w)."""
    n, channels, height, width = x.shape
    taps, (h, w) = kernel[0] * kernel[1], offset.shape[2:]
    shifts = offset.reshape(n, -1, taps, 2, h, w)
    groups = shifts.shape[1]
    base_y, base_x = _grid(kernel, (h, w), geometry, offset)
    ys, xs = shifts[:, :, :, 0] + base_y, shifts[:, :, :, 1] + base_x
    inside = (ys > -1) & (ys < height) & (xs > -1) & (xs < width)
    outside = torch.full_like(ys, -1)  # there both neighbours weigh nothing
    ys, xs = torch.where(inside, ys, outside), torch.where(inside, xs, outside)
    low_y, low_x = ys.detach().floor(), xs.detach().floor()
    planes = x.reshape(n, groups, channels // groups, height * width)
    total = x.new_zeros(n, groups, channels // groups, taps * h * w)
    for down in (0, 1):
        for right in (0, 1):
            row, column = low_y + down, low_x + right
            weight = (1 - (ys - row).abs()) * (1 - (xs - column).abs())
            exists = inside & (row >= 0) & (row < height) & (column >= 0) & (column < width)
            weight = torch.where(exists, weight, torch.zeros_like(weight))
            cell = row.clamp(0, height - 1) * width + column.clamp(0, width - 1)
            index = cell.to(torch.int64).reshape(n, groups, 1, -1).expand(-1, -1, planes.shape[2], -1)
            total = total + planes.gather(3, index) * weight.reshape(n, groups, 1, -1)
    return total.reshape(n, channels, taps, h, w)


def _grid(
    kernel: tuple[int, int], out: tuple[int, int], geometry: tuple[int, int, int], like: Tensor
) -> tuple[Tensor, Tensor]:
    """Row and column of each tap without offsets, (kh * kw, h, 1) and (kh * kw, 1, w)."""
    stride, padding, dilation = geometry
    (kh, kw), (h, w) = kernel, out
    rows = torch.arange(kh, device=like.device).repeat_interleave(kw) * dilation
    columns = torch.arange(kw, device=like.device).repeat(kh) * dilation
    ys = rows[:, None, None] + (torch.arange(h, device=like.device) * stride - padding)[None, :, None]
    xs = columns[:, None, None] + (torch.arange(w, device=like.device) * stride - padding)[None, None, :]
    return ys.to(like.dtype), xs.to(like.dtype)


def _check(x: Tensor, offset: Tensor, weight: Tensor, stride: int, padding: int, dilation: int) -> None:
    taps = weight.shape[2] * weight.shape[3]
    sizes = (
        (side + 2 * padding - dilation * (k - 1) - 1) // stride + 1
        for side, k in zip(x.shape[2:], weight.shape[2:], strict=True)
    )
    expected = (len(x), *sizes)
    if (offset.shape[0], *offset.shape[2:]) != expected:
        raise UsageError(f"offsets of shape {tuple(offset.shape)}: expected (N, ., h, w) = {expected}")
    groups, rest = divmod(offset.shape[1], 2 * taps)
    if rest or not groups or x.shape[1] % groups:
        raise UsageError(
            f"{offset.shape[1]} offset channels for {taps} taps and {x.shape[1]} channels: "
            f"expected {2 * taps} times a divisor of the channels"
        )
    if x.shape[1] % weight.shape[1] or weight.shape[0] % (x.shape[1] // weight.shape[1]):
        raise UsageError(
            f"weight of shape {tuple(weight.shape)} does not divide {x.shape[1]} channels evenly"
        )
