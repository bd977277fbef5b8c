"""ThunderNet (ICCV 2019): a two-stage detector light enough for a phone.

The parts of section 3.2 are the context enhancement module (CEM), the RPN, the spatial attention module (SAM)
and the light head.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketdet.errors import UsageError
from pocketdet.models.config import DetectorConfig
from pocketdet.models.snet import SNet, SNetChannels, conv_bn

RPN_CHANNELS = 256


class GlobalAveragePool(nn.Module):
    """(N, C, H, W) -> (N, C, 1, 1)."""

    def forward(self, x: Tensor) -> Tensor:
        """Mean of each channel."""
        return x.mean(dim=(2, 3), keepdim=True)


class ContextEnhancement(nn.Module):
    """CEM: C4, C5 and the pooled C5, each squeezed to `channels` by a 1x1 convolution and summed (Figure 3).

    The global branch has a bias and no batch norm: statistics of one value per image are noise.
    """

    def __init__(self, c4: int, c5: int, channels: int) -> None:
        super().__init__()
        self.c4 = conv_bn(c4, channels, 1, relu=False)
        self.c5 = conv_bn(c5, channels, 1, relu=False)
        self.upsample = nn.Upsample(scale_factor=2, mode="nearest")
        self.pool = GlobalAveragePool()
        self.glb = nn.Conv2d(c5, channels, 1)

    def forward(self, c4: Tensor, c5: Tensor) -> Tensor:
        """C4 (N, c4, h, w), C5 (N, c5, h/2, w/2) -> (N, channels, h, w)."""
        out: Tensor = self.c4(c4) + self.upsample(self.c5(c5)) + self.glb(self.pool(c5))
        return out


class SeparateMaps(nn.Module):
    """What stands in the place of CEM without it: C4 for the RPN, C5 for the RoIs, each squeezed (4.4.3).

    C5 is squeezed before it is upsampled, which gives the same values for a quarter of the work.
    """

    def __init__(self, c4: int, c5: int, channels: int) -> None:
        super().__init__()
        self.c4 = conv_bn(c4, channels, 1, relu=False)
        self.c5 = conv_bn(c5, channels, 1, relu=False)
        self.upsample = nn.Upsample(scale_factor=2, mode="nearest")

    def forward(self, c4: Tensor, c5: Tensor) -> tuple[Tensor, Tensor]:
        """C4 (N, c4, h, w), C5 (N, c5, h/2, w/2) -> maps (N, channels, h, w) for the RPN and the RoIs."""
        return self.c4(c4), self.upsample(self.c5(c5))


class RegionProposal(nn.Module):
    """RPN: 5x5 depthwise and 256-channel 1x1 convolutions, then two scores and four deltas per anchor.

    If it is not `small`, one 256-channel 3x3 convolution stands for the first two (Table 7, baseline).

    (N, channels, h, w) -> feature (N, 256, h, w), scores (N, 2A, h, w), deltas (N, 4A, h, w); the layout of
    the channels is in docs/reference/definitions.md.
    """

    def __init__(self, channels: int, anchors_per_cell: int, *, small: bool = True) -> None:
        super().__init__()
        self.small = small
        if small:
            self.depthwise = conv_bn(channels, channels, 5, groups=channels, relu=False)
            self.pointwise = conv_bn(channels, RPN_CHANNELS, 1)
        else:
            self.conv = conv_bn(channels, RPN_CHANNELS, 3)
        self.scores = nn.Conv2d(RPN_CHANNELS, 2 * anchors_per_cell, 1)
        self.deltas = nn.Conv2d(RPN_CHANNELS, 4 * anchors_per_cell, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The map of CEM, or of C4 without it -> feature, scores, deltas."""
        feature = self.pointwise(self.depthwise(x)) if self.small else self.conv(x)
        return feature, self.scores(feature), self.deltas(feature)


class SpatialAttention(nn.Module):
    """SAM, equation 1: F_CEM * sigmoid(theta(F_RPN)), theta a 1x1 convolution with batch norm."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.theta = conv_bn(RPN_CHANNELS, channels, 1, relu=False)
        self.gate = nn.Sigmoid()

    def forward(self, cem: Tensor, rpn: Tensor) -> Tensor:
        """Map for the RoIs (N, channels, h, w), RPN feature (N, 256, h, w) -> (N, channels, h, w)."""
        out: Tensor = cem * self.gate(self.theta(rpn))
        return out


class LightHead(nn.Module):
    """R-CNN subnet: one fc layer, then classes (background first) and class-agnostic deltas.

    (R, channels) -> logits (R, classes), deltas (R, 4).
    """

    def __init__(self, channels: int, fc_channels: int, classes: int) -> None:
        super().__init__()
        self.fc = nn.Linear(channels, fc_channels)
        self.scores = nn.Linear(fc_channels, classes)
        self.deltas = nn.Linear(fc_channels, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """RoI features -> logits, deltas."""
        hidden = F.relu(self.fc(x))
        return self.scores(hidden), self.deltas(hidden)

    def merged(self) -> nn.Linear:
        """Both predictors as one layer (R, fc) -> (R, classes + 4): one matrix product instead of two."""
        both = nn.Linear(self.fc.out_features, self.scores.out_features + 4)
        with torch.no_grad():
            both.weight.copy_(torch.cat([self.scores.weight, self.deltas.weight]))
            both.bias.copy_(torch.cat([self.scores.bias, self.deltas.bias]))
        return both


STRIDE = 32  # of C5, the coarsest map
MAP_STRIDE = 16  # of C4, and of the maps that RPN, SAM and PSRoI align work on


class ThunderNet(nn.Module):
    """The two networks of the detector; what lies between them is in `models/ops`.

    `config.parts` leaves parts out, for the ablation of Table 7. Raises `UsageError` if the input size is
    not a multiple of 32 or the anchors' stride is not 16.
    """

    def __init__(self, config: DetectorConfig, channels: SNetChannels) -> None:
        super().__init__()
        _check_input_size(config.input_size)
        if config.anchors.stride != MAP_STRIDE:
            raise UsageError(f"anchor stride {config.anchors.stride}: ThunderNet's maps have {MAP_STRIDE}")
        self.config = config
        thin, parts = config.head.channels, config.parts
        self.backbone = SNet(channels)
        if parts.context_enhancement:
            self.cem = ContextEnhancement(channels.c4, channels.c5, thin)
        else:
            self.maps = SeparateMaps(channels.c4, channels.c5, thin)
        self.rpn = RegionProposal(thin, len(config.anchors.sizes()), small=parts.small_rpn)
        if parts.spatial_attention:
            self.sam = SpatialAttention(thin)
        self.head = LightHead(thin, config.head.fc_channels, config.num_classes)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Image (N, 3, H, W) -> RPN scores (N, 2A, h, w), RPN deltas (N, 4A, h, w), SAM map (N, 245, h, w).

        The image is normalised; h = H/16, w = W/16. The first exported graph; the second is `HeadGraph`.
        Without SAM the third is the map that SAM would have read.
        """
        parts, (c4, c5) = self.config.parts, self.backbone(image)
        if parts.context_enhancement:
            for_rpn = for_rois = self.cem(c4, c5)
        else:
            for_rpn, for_rois = self.maps(c4, c5)
        feature, scores, deltas = self.rpn(for_rpn)
        return scores, deltas, self.sam(for_rois, feature) if parts.spatial_attention else for_rois


class HeadGraph(nn.Module):
    """The second exported graph: both predictors of the head in one matrix product."""

    def __init__(self, model: ThunderNet) -> None:
        super().__init__()
        self.fc = model.head.fc
        self.relu = nn.ReLU()
        self.scores_and_deltas = model.head.merged()

    def forward(self, roi_features: Tensor) -> Tensor:
        """RoI features (R, 245) -> (R, classes + 4): logits, background first, then the four deltas."""
        out: Tensor = self.scores_and_deltas(self.relu(self.fc(roi_features)))
        return out


def _check_input_size(size: tuple[int, int]) -> None:
    for name, side in zip(("height", "width"), size, strict=True):
        if side <= 0 or side % STRIDE:
            nearest = max(STRIDE, round(side / STRIDE) * STRIDE)
            raise UsageError(
                f"input {name} {side} does not fit the network: expected a multiple of {STRIDE}, "
                f"the nearest is {nearest}"
            )
