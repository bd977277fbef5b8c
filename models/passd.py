"""PASSD, the propose-and-attend single shot detector (Jang et al. 2020).

Default boxes are adjusted, and the convolution that classifies each samples the adjusted box. Section 4 has
the pyramid: a backbone, extra levels to the coarsest stride, one top-down path. The outputs are read by two
codings, one after the other (equations 1 and 2, section 6.2).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import torch
import torch.nn.functional as F
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
from pocketdet.models.one_stage import OneStageDetector, Predictor
from pocketdet.models.ops.deform_conv import DeformConv2d
from pocketdet.spec.one_stage import (
    MAX_LOG_SCALE,
    CxcywhCoding,
    Four,
    Level,
    OneStageSpec,
    OutputField,
    Scores,
    Selection,
    default_grid,
)

FINEST_STRIDE = 8
VOC_SCALES = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))
# section 6.2; soft-NMS for COCO is `nms="gaussian"`
VOC_SELECTION = Selection(score_threshold=0.01, top_n=200, nms_iou=0.45, max_detections=200)


@dataclass(frozen=True)
class PASSDConfig:
    """Backbone, pyramid and default boxes: `base_size` times the stride times each of `scales`, all square.

    Attributes:
        levels: 4 (strides 8 to 64), or 5 with stride 128 (input 768).
        extra_width: channels of the first extra level; each further one has half of them.
        attend_std: multiplier of the second box regression (the paper gives none: equation 1).
    """

    backbone: VGGConfig | ResNetConfig | MobileNetConfig
    num_classes: int = 20
    input_size: tuple[int, int] = (320, 320)  # (height, width)
    levels: int = 4
    extra_width: int = 512
    width: int = 256
    base_size: float = 4.0
    scales: tuple[float, ...] = VOC_SCALES
    attend_std: Four = (1.0, 1.0, 1.0, 1.0)
    selection: Selection = field(default_factory=lambda: VOC_SELECTION)

    @property
    def strides(self) -> tuple[int, ...]:
        """Stride of each level, finest first."""
        return tuple(FINEST_STRIDE << i for i in range(self.levels))


def default_sides(config: PASSDConfig, stride: int) -> tuple[float, ...]:
    """Sides of the default boxes of a level, in pixels."""
    return tuple(config.base_size * stride * scale for scale in config.scales)


def passd_spec(config: PASSDConfig) -> OneStageSpec:
    """The description of `config`'s outputs for its input size.

    Objectness has its slots, but the paper's inference does not use it; `config.selection` can.
    """
    step = config.num_classes + 5
    levels = []
    for number, stride in enumerate(config.strides):
        attend = f"attend_{number}"
        levels.append(
            Level(
                default_grid(config.input_size, stride),
                stride,
                tuple((side, side) for side in default_sides(config, stride)),
                classes=OutputField(attend, anchor_channels=step),
                boxes=(
                    OutputField(f"propose_{number}", anchor_channels=4),
                    OutputField(attend, first=config.num_classes + 1, anchor_channels=step),
                ),
                objectness=OutputField(f"objectness_{number}", anchor_channels=2),
            )
        )
    propose = CxcywhCoding(centre_activation="tanh", centre_gain=0.5, centre_unit="stride")
    return OneStageSpec(
        input_size=config.input_size,
        num_classes=config.num_classes,
        levels=tuple(levels),
        codings=(propose, CxcywhCoding(multiplier=config.attend_std)),
        scores=Scores("softmax", "first", "softmax"),
        selection=config.selection,
    )


KERNEL = 3
CHANNELS = 2 * KERNEL * KERNEL  # of an offset field


def attend_offsets(deltas: Tensor, sides: Sequence[float], stride: int) -> list[Tensor]:
    """Proposed deltas (N, 4 * A, h, w) of default boxes with `sides` pixels -> A offset fields (N, 18, h, w).

    Deltas lie as (dx, dy, dw, dh) of each default box; offsets are in cells of the map, as `DeformConv2d`
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


class PASSD(OneStageDetector):
    """Normalised image (N, 3, H, W) -> raw maps by name, for level l of `config.strides`, A default boxes.

    "objectness_l" (N, 2 * A, h, w), background first; "propose_l" (N, 4 * A, h, w); "attend_l"
    (N, A * (C + 4), h, w): of each default box, C logits with background first, then four deltas relative
    to the adjusted box. One convolution per default box gives all C + 4, since both branches of the paper
    sample alike; its parameters and products are theirs. All are shared by the levels.
    """

    def __init__(self, config: PASSDConfig) -> None:
        super().__init__()
        self.config = config
        boxes, classes = len(config.scales), config.num_classes + 1
        self.features = PASSDFeatures(config)
        self.objectness = nn.Conv2d(config.width, 2 * boxes, KERNEL, padding=KERNEL // 2)
        self.propose = nn.Conv2d(config.width, 4 * boxes, KERNEL, padding=KERNEL // 2)
        self.attend = nn.ModuleList(DeformConv2d(config.width, classes + 4, KERNEL) for _ in range(boxes))

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """All levels' maps."""
        out = {}
        for level, x in enumerate(self.features(image)):
            deltas = self.propose(x)
            stride = self.config.strides[level]
            sides = default_sides(self.config, stride)
            fields = attend_offsets(deltas.detach(), sides, stride)  # no gradient, as two stages' proposals
            attended = [attend(x, field) for attend, field in zip(self.attend, fields, strict=True)]
            out[f"objectness_{level}"] = self.objectness(x)
            out[f"propose_{level}"] = deltas
            out[f"attend_{level}"] = torch.cat(attended, dim=1)
        return out

    def spec(self) -> OneStageSpec:
        """`passd_spec` of the configuration."""
        return passd_spec(self.config)

    def predictors(self) -> list[Predictor]:
        """Propose before attend, which samples where it says."""
        classes = self.config.num_classes + 1
        found = [Predictor("objectness", self.objectness), Predictor("deltas", self.propose)]
        for attend in self.attend:
            assert isinstance(attend, DeformConv2d)
            found.append(Predictor("softmax", attend, 0, classes, period=classes))
            found.append(Predictor("deltas", attend, classes))
        return found
