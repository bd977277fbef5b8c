"""SNet: ShuffleNetV2 with 5x5 depthwise convolutions, for detection. ThunderNet section 3.1 and Table 1.

Every convolution is followed by its batch norm, so that all of them fold. C4 is the output of stage 3
(stride 16), C5 that of stage 4, or of Conv5 where there is one (stride 32).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class SNetChannels:
    """Output channels of Conv1, of stages 2 to 4, and of Conv5 (`None`: no Conv5)."""

    conv1: int
    stages: tuple[int, int, int]
    conv5: int | None

    @property
    def c4(self) -> int:
        """Channels of C4."""
        return self.stages[1]

    @property
    def c5(self) -> int:
        """Channels of C5."""
        return self.conv5 or self.stages[2]


SNET49 = SNetChannels(24, (60, 120, 240), 512)
# Table 1 as printed; it gives 160.6 MFLOPs at 224x224 where the name says 146.
SNET146 = SNetChannels(24, (132, 264, 528), None)
SNET535 = SNetChannels(48, (248, 496, 992), None)

UNITS_PER_STAGE = (4, 8, 4)


def conv_bn(
    in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, groups: int = 1, relu: bool = True
) -> nn.Sequential:
    """Convolution without bias, batch norm and, where wanted, ReLU; the padding keeps ceil(size / stride)."""
    conv = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False)
    layers: list[nn.Module] = [conv, nn.BatchNorm2d(out_channels)]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if relu else nn.Sequential(*layers)


class ChannelShuffle(nn.Module):
    """Interleave two channel groups: (N, 2C, H, W) -> (N, 2C, H, W). ncnn: ShuffleChannel."""

    def forward(self, x: Tensor) -> Tensor:
        """Channels 0, C, 1, C + 1, ... of `x`."""
        n, c, h, w = x.shape
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


def _branch(in_channels: int, width: int, stride: int) -> nn.Sequential:
    """1x1, 5x5 depthwise, 1x1: the branch that computes."""
    return nn.Sequential(
        conv_bn(in_channels, width, 1),
        conv_bn(width, width, 5, stride=stride, groups=width, relu=False),
        conv_bn(width, width, 1),
    )


class BasicUnit(nn.Module):
    """ShuffleNetV2 unit of stride 1: half of the channels pass, half are computed."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch = _branch(channels // 2, channels // 2, 1)
        self.shuffle = ChannelShuffle()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        passed, computed = x.chunk(2, dim=1)
        out: Tensor = self.shuffle(torch.cat([passed, self.branch(computed)], dim=1))
        return out


class DownUnit(nn.Module):
    """ShuffleNetV2 unit of stride 2: both branches compute."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        width = channels // 2
        self.shortcut = nn.Sequential(
            conv_bn(in_channels, in_channels, 5, stride=2, groups=in_channels, relu=False),
            conv_bn(in_channels, width, 1),
        )
        self.branch = _branch(in_channels, width, 2)
        self.shuffle = ChannelShuffle()

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) -> (N, C, H/2, W/2), halves rounded up."""
        out: Tensor = self.shuffle(torch.cat([self.shortcut(x), self.branch(x)], dim=1))
        return out


class SNet(nn.Module):
    """The backbone: (N, 3, H, W) -> C4 (N, c4, H/16, W/16) and C5 (N, c5, H/32, W/32)."""

    def __init__(self, channels: SNetChannels) -> None:
        super().__init__()
        self.channels = channels
        self.conv1 = conv_bn(3, channels.conv1, 3, stride=2)
        self.pool = nn.MaxPool2d(3, 2, 1)
        widths = (channels.conv1, *channels.stages)
        self.stage2, self.stage3, self.stage4 = (
            nn.Sequential(DownUnit(a, b), *(BasicUnit(b) for _ in range(units - 1)))
            for a, b, units in zip(widths, widths[1:], UNITS_PER_STAGE, strict=False)
        )
        self.conv5 = conv_bn(widths[-1], channels.conv5, 1) if channels.conv5 else None

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised image -> C4, C5."""
        x = self.stage2(self.pool(self.conv1(x)))
        c4 = self.stage3(x)
        c5 = self.stage4(c4)
        return c4, self.conv5(c5) if self.conv5 is not None else c5
