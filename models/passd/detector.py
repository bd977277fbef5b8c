"""PASSD: default boxes are adjusted, and the convolution that classifies each samples the adjusted box."""

import torch
from torch import Tensor, nn

from pocketdet.models.one_stage import OneStageDetector, Predictor
from pocketdet.models.ops.deform_conv import DeformConv2d
from pocketdet.models.passd.attend import KERNEL, attend_offsets
from pocketdet.models.passd.config import PASSDConfig
from pocketdet.models.passd.decode import default_sides, passd_spec
from pocketdet.models.passd.features import PASSDFeatures
from pocketdet.spec.one_stage import OneStageSpec


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
