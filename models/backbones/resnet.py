"""ResNet (He et al. 2016) and ResNeXt (Xie et al. 2017) with bottleneck blocks, for detection."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from pocketdet.models.snet import conv_bn

EXPANSION = 4  # channels out of a block, relative to its planes


@dataclass(frozen=True)
class ResNetConfig:
    """Blocks of stages 2 to 5, planes of stage 2, and how the 3x3 of a block is grouped.

    Attributes:
        group_width: channels of each group for every 64 planes (ResNeXt-101-64x4d: 64 groups of 4).
        stride_in_1x1: stride 2 in the first 1x1 of a stage, as the paper has it; else in the 3x3, which the
            GFLOPs of Light-Weight RetinaNet count (149.2 at 800 pixels; 146.2 the other way).
    """

    blocks: tuple[int, int, int, int]
    width: int = 64
    groups: int = 1
    group_width: int = 64
    stride_in_1x1: bool = False

    @property
    def channels(self) -> tuple[int, int, int, int]:
        """Channels of C2 to C5."""
        c2 = EXPANSION * self.width
        return c2, 2 * c2, 4 * c2, 8 * c2


RESNET50 = ResNetConfig((3, 4, 6, 3))
RESNET101 = ResNetConfig((3, 4, 23, 3))
RESNEXT101_64X4D = ResNetConfig((3, 4, 23, 3), groups=64, group_width=4)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1, and a shortcut that is a 1x1 where the shape changes."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        middle: int,
        stride: int,
        *,
        groups: int = 1,
        stride_in_1x1: bool = False,
    ) -> None:
        super().__init__()
        first, second = (stride, 1) if stride_in_1x1 else (1, stride)
        self.branch = nn.Sequential(
            conv_bn(in_channels, middle, 1, stride=first),
            conv_bn(middle, middle, 3, stride=second, groups=groups),
            conv_bn(middle, out_channels, 1, relu=False),
        )
        same = stride == 1 and in_channels == out_channels
        self.shortcut = None if same else conv_bn(in_channels, out_channels, 1, stride=stride, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) -> (N, out, ceil(H / stride), ceil(W / stride))."""
        passed = x if self.shortcut is None else self.shortcut(x)
        return F.relu(self.branch(x) + passed)


class ResNet(nn.Module):
    """Normalised image (N, 3, H, W) -> C2, C3, C4, C5 with strides 4, 8, 16, 32."""

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        self.channels = config.channels
        self.stem = conv_bn(3, config.width, 7, stride=2)
        self.pool = nn.MaxPool2d(3, 2, 1)
        inputs = (config.width, *config.channels)
        self.stages = nn.ModuleList(_stage(config, i, inputs[i], inputs[i + 1]) for i in range(4))

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """C2 to C5."""
        x, maps = self.pool(self.stem(image)), []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return tuple(maps)


def _stage(config: ResNetConfig, index: int, in_channels: int, out_channels: int) -> nn.Sequential:
    planes = config.width << index
    middle = planes * config.group_width // 64 * config.groups

    def block(channels: int, stride: int) -> Bottleneck:
        return Bottleneck(
            channels, out_channels, middle, stride, groups=config.groups, stride_in_1x1=config.stride_in_1x1
        )

    first = block(in_channels, 2 if index else 1)
    return nn.Sequential(first, *(block(out_channels, 1) for _ in range(config.blocks[index] - 1)))
