"""RoI align (He et al. 2017): PSRoI align (docs/reference/definitions.md) in which bins read all channels."""

import torch
from torch import Tensor

from pocketdet.models.ops.ps_roi_align import _samples


def roi_align(
    features: Tensor, rois: Tensor, batch_index: Tensor, stride: int, pool_size: int, sampling_ratio: int = 2
) -> Tensor:
    """Features (N, C, h, w) and RoIs (R, 4) in input pixels -> (R, C, p, p), p = `pool_size`.

    `batch_index` (R,) names the image of each RoI. Differentiable with respect to `features`; a RoI with a
    non-finite coordinate gives zeros.
    """
    n, channels, height, width = features.shape
    finite = torch.isfinite(rois).all(dim=1)
    safe = torch.where(finite[:, None], rois, torch.zeros_like(rois))
    scale = 1.0 / stride
    rows = _samples(safe[:, 1], safe[:, 3], scale, pool_size, sampling_ratio, height)
    columns = _samples(safe[:, 0], safe[:, 2], scale, pool_size, sampling_ratio, width)
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
