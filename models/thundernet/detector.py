"""ThunderNet (ICCV 2019): a two-stage detector light enough for a phone."""

from torch import Tensor, nn

from pocketdet.errors import UsageError
from pocketdet.models.config import DetectorConfig
from pocketdet.models.snet import SNet, SNetChannels
from pocketdet.models.thundernet.modules import (
    ContextEnhancement,
    LightHead,
    RegionProposal,
    SeparateMaps,
    SpatialAttention,
)

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
