"""From proposed offsets to where the attending convolution samples. PASSD equations 1, 2 and 4."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pocketdet.models.ops.one_stage_spec import MAX_LOG_SCALE, Four

KERNEL = 3


def attend_offsets(deltas: Tensor, sides: Sequence[float], stride: int, std: Four) -> list[Tensor]:
    """Proposed deltas (N, 4 * A, h, w) of default boxes with `sides` pixels -> A offset fields (N, 18, h, w).

    Deltas lie as (dx, dy, dw, dh) of each default box; offsets are in cells of the map, as `deform_conv2d`
    takes them. The nine taps move to the centres of the thirds of the adjusted box: with taps R = -1, 0, 1,
    box height b and centre shift d in cells, `R * (b / 3) + d - R` (equation 4), where the shift is clipped
    to half a cell by `tanh(delta) / 2` (equation 2, times the box size as equation 4 has it).
    """
    fields = []
    taps = torch.arange(KERNEL, dtype=deltas.dtype, device=deltas.device) - KERNEL // 2
    rows, columns = taps.repeat_interleave(KERNEL), taps.repeat(KERNEL)
    grid = torch.stack([rows, columns], dim=1).reshape(1, -1, 1, 1)  # y first
    for index, side in enumerate(sides):
        dx, dy, dw, dh = (deltas[:, 4 * index + k, None] * std[k] for k in range(4))
        shift = torch.cat([torch.tanh(dy), torch.tanh(dx)], dim=1) * 0.5
        log_scale = torch.cat([dh, dw], dim=1).clamp(max=MAX_LOG_SCALE)
        third = torch.exp(log_scale) * (side / stride / KERNEL)
        pairs = KERNEL * KERNEL
        fields.append(grid * third.repeat(1, pairs, 1, 1) + shift.repeat(1, pairs, 1, 1) - grid)
    return fields
