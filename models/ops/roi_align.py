"""RoI align (He et al. 2017) and its position-sensitive form (ThunderNet, section 3.2).

Definition: docs/reference/definitions.md, "PSRoI align"; the bins of RoI align read all channels.
"""

import torch
from torch import Tensor

_Samples = tuple[Tensor, Tensor, Tensor, Tensor]


def ps_roi_align(
    features: Tensor, rois: Tensor, batch_index: Tensor, stride: int, pool_size: int, sampling_ratio: int
) -> Tensor:
    """Features (N, C, h, w) and RoIs (R, 4) in input pixels -> (R, C) with C = alpha * p * p.

    `batch_index` (R,) names the image of each RoI. Differentiable with respect to `features`; a RoI with a
    non-finite coordinate gives zeros.
    """
    height, width = features.shape[2:]
    finite, rows, columns = _samples_of(rois, stride, pool_size, sampling_ratio, (height, width))
    (y_low, y_high, y_frac, y_in), (x_low, x_high, x_frac, x_in) = rows, columns

    # (R, p, n) indices and weights per axis; bin (i, j) of channel group c reads plane (c * p + i) * p + j
    planes = features.reshape(len(features), -1, pool_size, pool_size, height * width)
    total = features.new_zeros(len(rois), planes.shape[1], pool_size, pool_size)
    for ky in range(sampling_ratio):
        for kx in range(sampling_ratio):
            sample = torch.zeros_like(total)
            for y, wy in ((y_low, 1 - y_frac), (y_high, y_frac)):
                for x, wx in ((x_low, 1 - x_frac), (x_high, x_frac)):
                    weight = wy[:, :, None, ky] * wx[:, None, :, kx]
                    cell = y[:, :, None, ky] * width + x[:, None, :, kx]
                    sample = sample + _gather(planes, batch_index, cell) * weight[:, None]
            inside = y_in[:, None, :, None, ky] & x_in[:, None, None, :, kx]
            total = total + torch.where(inside, sample, torch.zeros_like(sample))
    mean = torch.where(finite[:, None, None, None], total, torch.zeros_like(total)) / sampling_ratio**2
    return mean.reshape(len(rois), features.shape[1])


def roi_align(
    features: Tensor, rois: Tensor, batch_index: Tensor, stride: int, pool_size: int, sampling_ratio: int = 2
) -> Tensor:
    """Features (N, C, h, w) and RoIs (R, 4) in input pixels -> (R, C, p, p), p = `pool_size`.

    `batch_index` (R,) names the image of each RoI. Differentiable with respect to `features`; a RoI with a
    non-finite coordinate gives zeros.
    """
    n, channels, height, width = features.shape
    finite, rows, columns = _samples_of(rois, stride, pool_size, sampling_ratio, (height, width))
    (y_low, y_high, y_frac, y_in), (x_low, x_high, x_frac, x_in) = (
        tuple(t.flatten(1) for t in axis) for axis in (rows, columns)
    )
    flat = features.permute(0, 2, 3, 1).reshape(n * height * width, channels)
    total = features.new_zeros(len(rois), y_low.shape[1], x_low.shape[1], channels)
    for y, wy in ((y_low, 1 - y_frac), (y_high, y_frac)):
        for x, wx in ((x_low, 1 - x_frac), (x_high, x_frac)):
            cell = (batch_index[:, None, None] * height + y[:, :, None]) * width + x[:, None, :]
            total = total + flat[cell] * (wy[:, :, None] * wx[:, None, :])[..., None]
    inside = y_in[:, :, None] & x_in[:, None, :] & finite[:, None, None]
    total = torch.where(inside[..., None], total, torch.zeros_like(total))
    bins = total.reshape(len(rois), pool_size, sampling_ratio, pool_size, sampling_ratio, channels)
    return bins.mean(dim=(2, 4)).permute(0, 3, 1, 2)


def _samples_of(
    rois: Tensor, stride: int, bins: int, samples: int, size: tuple[int, int]
) -> tuple[Tensor, _Samples, _Samples]:
    """Which RoIs (R,) are finite, and `_samples` along y and along x of a map (height, width)."""
    finite = torch.isfinite(rois).all(dim=1)
    safe = torch.where(finite[:, None], rois, torch.zeros_like(rois))
    scale = 1.0 / stride
    rows = _samples(safe[:, 1], safe[:, 3], scale, bins, samples, size[0])
    columns = _samples(safe[:, 0], safe[:, 2], scale, bins, samples, size[1])
    return finite, rows, columns


def _samples(low: Tensor, high: Tensor, scale: float, bins: int, samples: int, size: int) -> _Samples:
    """One axis, each (R, p, n): lower and upper neighbour, fraction between them, whether a sample counts."""
    start, end = low * scale - 0.5, high * scale - 0.5
    bin_size = (end - start) / bins
    j = torch.arange(bins, dtype=low.dtype, device=low.device)[None, :, None]
    k = torch.arange(samples, dtype=low.dtype, device=low.device)[None, None, :]
    at = start[:, None, None] + j * bin_size[:, None, None] + (k + 0.5) * bin_size[:, None, None] / samples
    inside = (at >= -1) & (at <= size)
    at = torch.where(inside, at, torch.zeros_like(at)).clamp(min=0)
    lower = at.floor().clamp(max=size - 1)
    fraction = torch.where(lower >= size - 1, torch.zeros_like(at), at - lower)
    index = lower.long()
    return index, (index + 1).clamp(max=size - 1), fraction, inside


def _gather(planes: Tensor, batch_index: Tensor, cell: Tensor) -> Tensor:
    """Planes (N, alpha, p, p, h*w) at cell (R, p, p) of image batch_index (R,) -> (R, alpha, p, p)."""
    p = torch.arange(planes.shape[2], device=cell.device)
    picked: Tensor = planes.permute(0, 2, 3, 4, 1)[
        batch_index[:, None, None], p[None, :, None], p[None, None, :], cell
    ]
    return picked.permute(0, 3, 1, 2)
