"""MobileNet v1 (Howard et al. 2017), Table 1, without its classifier."""

from dataclasses import dataclass

from torch import Tensor, nn

from pocketdet.models.snet import conv_bn

# channels of each depthwise separable unit at width 32, and its stride; a map is taken where the next halves
UNITS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *(((512, 1),) * 5), (1024, 2), (1024, 1))


@dataclass(frozen=True)
class MobileNetConfig:
    """Channels of the first convolution; the others grow with it (32: MobileNet 1.0)."""

    width: int = 32

    @property
    def channels(self) -> tuple[int, int, int]:
        """Channels of the maps with strides 8, 16 and 32."""
        return 8 * self.width, 16 * self.width, 32 * self.width


def separable(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    """3x3 depthwise and 1x1, each with batch norm and ReLU."""
    return nn.Sequential(
        conv_bn(in_channels, in_channels, 3, stride=stride, groups=in_channels),
        conv_bn(in_channels, out_channels, 1),
    )


class MobileNet(nn.Module):
    """Normalised image (N, 3, H, W) -> maps with strides 8, 16, 32."""

    def __init__(self, config: MobileNetConfig) -> None:
        super().__init__()
        self.channels = config.channels
        widths = [config.width, *(c * config.width // 32 for c, _ in UNITS)]
        units = [separable(widths[i], widths[i + 1], stride) for i, (_, stride) in enumerate(UNITS)]
        self.to_8 = nn.Sequential(conv_bn(3, config.width, 3, stride=2), *units[:5])
        self.to_16 = nn.Sequential(*units[5:11])
        self.to_32 = nn.Sequential(*units[11:])

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """The three maps."""
        c3 = self.to_8(image)
        c4 = self.to_16(c3)
        return c3, c4, self.to_32(c4)
