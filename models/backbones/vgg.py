"""VGG-16 as SSD has it (Liu et al. 2016): fc6 and fc7 are convolutions, pool5 keeps the resolution."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

CONVOLUTIONS = (2, 2, 3, 3, 3)  # of each group between two pools


@dataclass(frozen=True)
class VGGConfig:
    """Channels of the first group (64: VGG-16), and batch norm for training from scratch (PASSD, Table 7)."""

    width: int = 64
    batch_norm: bool = False

    @property
    def channels(self) -> tuple[int, int]:
        """Channels of conv4_3 and fc7."""
        return 8 * self.width, 16 * self.width


class L2Norm(nn.Module):
    """Each position's channels scaled to unit length, then by a learnt factor per channel (SSD, section 3.1).

    ncnn: Normalize.
    """

    def __init__(self, channels: int, scale: float = 20.0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((channels,), scale))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        length = (x * x).sum(dim=1, keepdim=True).sqrt() + 1e-10
        return x / length * self.scale[:, None, None]


class VGG(nn.Module):
    """Normalised image (N, 3, H, W) -> conv4_3 (stride 8) and fc7 (stride 16), both after their ReLU."""

    def __init__(self, config: VGGConfig) -> None:
        super().__init__()
        self.channels = config.channels
        w = config.width
        widths = (3, w, 2 * w, 4 * w, 8 * w, 8 * w)
        groups = [
            _group(a, b, n, config.batch_norm)
            for a, b, n in zip(widths, widths[1:], CONVOLUTIONS, strict=False)
        ]
        half = nn.MaxPool2d(2, 2, ceil_mode=True)
        self.to_conv4_3 = nn.Sequential(groups[0], half, groups[1], half, groups[2], half, groups[3])
        self.to_fc7 = nn.Sequential(
            half,
            groups[4],
            nn.MaxPool2d(3, 1, 1),
            _conv(8 * w, 16 * w, config.batch_norm, kernel=3, dilation=6),
            _conv(16 * w, 16 * w, config.batch_norm, kernel=1),
        )

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """conv4_3 and fc7."""
        conv4_3 = self.to_conv4_3(image)
        return conv4_3, self.to_fc7(conv4_3)


def _group(in_channels: int, out_channels: int, count: int, batch_norm: bool) -> nn.Sequential:
    inputs = [in_channels] + [out_channels] * (count - 1)
    return nn.Sequential(*(_conv(c, out_channels, batch_norm, kernel=3) for c in inputs))


def _conv(
    in_channels: int, out_channels: int, batch_norm: bool, *, kernel: int, dilation: int = 1
) -> nn.Sequential:
    padding = kernel // 2 * dilation
    layers: list[nn.Module] = [
        nn.Conv2d(in_channels, out_channels, kernel, padding=padding, dilation=dilation, bias=not batch_norm)
    ]
    if batch_norm:
        layers.append(nn.BatchNorm2d(out_channels))
    return nn.Sequential(*layers, nn.ReLU(inplace=True))
