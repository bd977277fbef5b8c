"""PASSD's pyramid: a backbone, extra levels to the coarsest stride, one top-down path. PASSD section 4."""

from collections.abc import Callable
from itertools import pairwise

from torch import Tensor, nn

from pocketdet.models.backbones import (
    VGG,
    Bottleneck,
    L2Norm,
    MobileNet,
    MobileNetConfig,
    ResNet,
    ResNetConfig,
    VGGConfig,
)
from pocketdet.models.backbones.mobilenet import separable
from pocketdet.models.backbones.resnet import EXPANSION
from pocketdet.models.necks import TopDown
from pocketdet.models.passd.config import PASSDConfig


def _ssd_extra(in_channels: int, out_channels: int) -> nn.Sequential:
    """SSD's conv8 and conv9: 1x1 to half the channels, 3x3 of stride 2."""
    middle = out_channels // 2
    return nn.Sequential(
        nn.Conv2d(in_channels, middle, 1),
        nn.ReLU(inplace=True),
        nn.Conv2d(middle, out_channels, 3, 2, 1),
        nn.ReLU(inplace=True),
    )


def _residual_extra(in_channels: int, out_channels: int) -> Bottleneck:
    """res6: a bottleneck of stride 2."""
    return Bottleneck(in_channels, out_channels, out_channels // EXPANSION, 2)


def _separable_extra(in_channels: int, out_channels: int) -> nn.Sequential:
    """A depthwise convolution of stride 2 and its 1x1."""
    return separable(in_channels, out_channels, 2)


def _base(
    config: VGGConfig | ResNetConfig | MobileNetConfig,
) -> tuple[nn.Module, tuple[int, ...], Callable[[int, int], nn.Module]]:
    """Backbone, the channels of its maps from stride 8 on, and what makes an extra level."""
    if isinstance(config, VGGConfig):
        return VGG(config), config.channels, _ssd_extra
    if isinstance(config, ResNetConfig):
        return ResNet(config), config.channels[1:], _residual_extra
    return MobileNet(config), config.channels, _separable_extra


class PASSDFeatures(nn.Module):
    """Normalised image -> one map of `width` channels per level, finest (stride 8) first."""

    def __init__(self, config: PASSDConfig) -> None:
        super().__init__()
        self.backbone, channels, make_extra = _base(config.backbone)
        self.skipped = 1 if isinstance(config.backbone, ResNetConfig) else 0  # C2
        self.norm = L2Norm(channels[0]) if isinstance(config.backbone, VGGConfig) else None
        missing = config.levels - len(channels)
        widths = [channels[-1], *(config.extra_width >> i for i in range(missing))]
        self.extras = nn.ModuleList(make_extra(a, b) for a, b in pairwise(widths))
        # without the coarsest level's 3x3 the parameters are those of Tables 1 and 3 to 6, with it more
        self.top_down = TopDown((*channels, *widths[1:]), config.width, smooth_top=False)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """(N, 3, H, W) -> (N, width, H / stride, W / stride) per level."""
        maps = list(self.backbone(image))[self.skipped :]
        coarsest = maps[-1]
        for extra in self.extras:
            coarsest = extra(coarsest)
            maps.append(coarsest)
        if self.norm is not None:
            maps[0] = self.norm(maps[0])
        out: tuple[Tensor, ...] = self.top_down(maps)
        return out
