"""From proposed offsets to where the attending convolution samples. PASSD equations 1, 2 and 4."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from pocketdet.spec.one_stage import MAX_LOG_SCALE

KERNEL = 3
CHANNELS = 2 * KERNEL * KERNEL  # of an offset field


def attend_offsets(deltas: Tensor, sides: Sequence[float], stride: int) -> list[Tensor]:
    """Proposed deltas (N, 4 * A, h, w) of default boxes with `sides` pixels -> A offset fields (N, 18, h, w).

    Deltas lie as (dx, dy, dw, dh) of each default box; offsets are in cells of the map, as `deform_conv2d`
    takes them. The nine taps move to the centres of the ninths of the adjusted box: with taps R = -1, 0, 1,
    box height b and centre shift d in cells, `R * (b / 3) + d - R` (equation 4), where the shift is clipped
    to half a cell by `tanh(delta) / 2` (equation 2, times the box size as equation 4 has it). All fields are
    linear in tanh and exp of the deltas, so they are one 1x1 convolution with constant weights.
    """
    weight, bias = _linear_map(sides, stride)
    grown = torch.exp(deltas.clamp(max=MAX_LOG_SCALE))
    fields = F.conv2d(torch.cat([torch.tanh(deltas), grown], dim=1), weight.to(deltas), bias.to(deltas))
    return list(fields.chunk(len(sides), dim=1))


def _linear_map(sides: Sequence[float], stride: int) -> tuple[Tensor, Tensor]:
    """Weight (18 * A, 8 * A, 1, 1) and bias of the convolution: tanh of all deltas first, then exp of all."""
    boxes = len(sides)
    rows = [[0.0] * (8 * boxes) for _ in range(CHANNELS * boxes)]
    bias = []
    for box, side in enumerate(sides):
        for tap in range(KERNEL * KERNEL):
            place = [i - KERNEL // 2 for i in divmod(tap, KERNEL)]  # row, column
            for axis, delta in ((0, 1), (1, 0)):  # y first; dy and dh follow dx and dw
                row = rows[box * CHANNELS + 2 * tap + axis]
                row[4 * box + delta] = 0.5
                row[4 * (boxes + box) + 2 + delta] = place[axis] * side / stride / KERNEL
                bias.append(-float(place[axis]))
    return torch.tensor(rows)[:, :, None, None], torch.tensor(bias)
