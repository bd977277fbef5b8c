"""Deformable convolution, version 1 (Dai et al. 2017), from 1x1 products and one gather.

The offsets of output position (y, x) are channels `2 * (g * kh * kw + i * kw + j)` (rows) and the one after
it (columns) for tap (i, j) of offset group `g`: the order of ONNX DeformConv (opset 19) and of ncnn's
DeformableConv2D, which knows one group of either kind. A tap samples the image bilinearly at row
`y * stride - padding + i * dilation + dy`, likewise for columns; beyond the image everything is zero, and
so is a tap whose position is not a number.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CORNERS = 4


def deform_products(x: Tensor, offset: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Deformable convolution of one group, stride 1, dilation 1, with the padding that keeps the size.

    A convolution is linear, so each tap may be a 1x1 convolution first and be sampled after it: an output is
    then a weighted sum of 4 rows for each tap, one `embedding_bag`. Nothing is gathered that is wider than
    the output. The numbers of gathers before one product, up to rounding, 16 times faster to train with.

    Image (N, C, h, w), offsets (N, 2 * k * k, h, w), weight (O, C, k, k) with odd k, bias (O,) ->
    (N, O, h, w). Differentiable in all arguments. Under autocast the products are made in half, places and
    sums never: bfloat16 has no fractions beyond 128.
    """
    (n, _, h, w), (out, _, kernel, _) = x.shape, weight.shape
    taps = kernel * kernel
    products = F.conv2d(x, weight.permute(2, 3, 0, 1).reshape(taps * out, -1, 1, 1))
    table = products.permute(0, 2, 3, 1).reshape(n * h * w * taps, out)
    rows, weights = _corners(offset.to(torch.promote_types(offset.dtype, torch.float32)), kernel)
    sums = F.embedding_bag(rows, table.to(weights.dtype), per_sample_weights=weights, mode="sum")
    return (sums + bias).reshape(n, h, w, out).permute(0, 3, 1, 2)


def _corners(offset: Tensor, kernel: int) -> tuple[Tensor, Tensor]:
    """Offsets (N, 2 * k * k, h, w) -> rows of the table and bilinear weights, (N * h * w, k * k * 4)."""
    n, _, h, w = offset.shape
    taps, device = kernel * kernel, offset.device
    shifts = offset.reshape(n, taps, 2, h, w)
    place = torch.arange(kernel, device=device) - kernel // 2
    ys = shifts[:, :, 0] + place.repeat_interleave(kernel)[:, None, None]
    xs = shifts[:, :, 1] + place.repeat(kernel)[:, None, None]
    ys = _near(ys + torch.arange(h, device=device)[:, None], h)
    xs = _near(xs + torch.arange(w, device=device), w)
    low_y, low_x = ys.detach().floor(), xs.detach().floor()
    image = torch.arange(n, device=device).reshape(n, 1, 1, 1) * (h * w)
    tap = torch.arange(taps, device=device)[:, None, None]
    rows, weights = [], []
    for down in (0, 1):
        for right in (0, 1):
            y, x = low_y + down, low_x + right
            exists = (y >= 0) & (y < h) & (x >= 0) & (x < w)
            share = (1 - (ys - y).abs()) * (1 - (xs - x).abs())
            weights.append(torch.where(exists, share, torch.zeros_like(share)))
            cell = (y.clamp(0, h - 1) * w + x.clamp(0, w - 1)).to(torch.int64)
            rows.append((image + cell) * taps + tap)
    return _by_place(rows), _by_place(weights)


def _near(places: Tensor, size: int) -> Tensor:
    """Places that sample nothing, or are not a number, become -1 or `size`, which do not either."""
    return torch.where(places >= -1, places, torch.full_like(places, -1)).clamp(max=size)


def _by_place(corners: list[Tensor]) -> Tensor:
    """Four of (N, taps, h, w) -> (N * h * w, taps * 4)."""
    stacked = torch.stack(corners, dim=-1).permute(0, 2, 3, 1, 4)
    return stacked.reshape(-1, stacked.shape[3] * CORNERS)


class DeformConv2d(nn.Module):
    """A layer with its weight (out, in, k, k) and bias, stride 1, and the padding that keeps the size.

    Computed by `deform_products`; `torch.onnx.export` writes it as one DeformConv, which needs opset 19.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, kernel, kernel))
        self.bias: nn.Parameter = nn.Parameter(torch.zeros(out_channels))
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")

    def forward(self, x: Tensor, offset: Tensor) -> Tensor:
        """Image (N, in, h, w) and offsets (N, 2 * k * k, h, w) in cells of it -> (N, out, h, w)."""
        if torch.onnx.is_in_onnx_export():
            return self._onnx_operator(x, offset)
        return deform_products(x, offset, self.weight, self.bias)

    def _onnx_operator(self, x: Tensor, offset: Tensor) -> Tensor:
        k = self.kernel
        out: Tensor = torch.onnx.ops.symbolic(
            "DeformConv",
            (x, self.weight, offset, self.bias),
            {"kernel_shape": [k, k], "pads": [k // 2] * 4, "strides": [1, 1], "dilations": [1, 1]},
            dtype=x.dtype,
            shape=(x.shape[0], self.weight.shape[0], *x.shape[2:]),
            version=19,
        )
        return out
