"""PSRoI align as matrix products: the same numbers as `ops.ps_roi_align`, with a gradient that is cheap.

Bilinear sampling is separable: bin (i, j) of a RoI is `wy[i] @ plane @ wx[j]` with one row of weights for
each axis. All RoIs of a picture share one product, so neither direction gathers or scatters.
"""

import torch
from torch import Tensor


def dense_ps_roi_align(
    features: Tensor, rois: Tensor, stride: int, pool_size: int, sampling_ratio: int
) -> Tensor:
    """Features (N, alpha*p*p, h, w), RoIs (N, R, 4) finite, input pixels -> (N*R, alpha*p*p).

    Differentiable with respect to `features` only. Definition: docs/reference/definitions.md, "PSRoI align".
    """
    n, channels, h, w = features.shape
    count, p = rois.shape[1], pool_size
    alpha = channels // (p * p)
    boxes = rois.detach().reshape(-1, 4)
    wy = axis_weights(boxes[:, 1], boxes[:, 3], stride, p, sampling_ratio, h)
    wx = axis_weights(boxes[:, 0], boxes[:, 2], stride, p, sampling_ratio, w)
    wy = wy.reshape(n, count, p, h).permute(0, 2, 3, 1)  # n i h R
    wx = wx.reshape(n, count, p, w).permute(0, 2, 3, 1)  # n j w R

    planes = features.reshape(n, alpha, p, p, h, w).permute(0, 2, 3, 1, 5, 4)  # n i j alpha w h
    rows = wy[:, :, None].expand(n, p, p, h, count).reshape(n * p * p, h, count)
    columns = torch.bmm(planes.reshape(n * p * p, alpha * w, h), rows)
    columns = columns.reshape(n, p, p, alpha, w, count)
    bins = (columns * wx[:, None, :, None]).sum(dim=4)  # n i j alpha R
    return bins.permute(0, 4, 3, 1, 2).reshape(n * count, channels)


def axis_weights(low: Tensor, high: Tensor, stride: int, bins: int, samples: int, size: int) -> Tensor:
    """Starts and ends (R,) of one axis in pixels -> the weight (R, bins, size) of each cell in each bin."""
    scale = 1.0 / stride
    start, end = low * scale - 0.5, high * scale - 0.5
    bin_size = ((end - start) / bins)[:, None, None]
    j = torch.arange(bins, device=low.device)[None, :, None]
    k = torch.arange(samples, device=low.device)[None, None, :]
    at = start[:, None, None] + j * bin_size + (k + 0.5) * bin_size / samples
    inside = (at >= -1) & (at <= size)
    cells = torch.arange(size, device=low.device)
    tent = (1 - (at.clamp(0, size - 1)[..., None] - cells).abs()).clamp(min=0)
    return (tent * inside[..., None]).mean(dim=2)
