"""RetinaNet (Lin et al. 2017) with or without light branches at its finest level (Light-Weight RetinaNet,
Figures 4 and 5).
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pocketdet.models.backbones import ResNet
from pocketdet.models.necks import FeaturePyramid
from pocketdet.models.one_stage import OneStageDetector, Predictor, PredictorKind
from pocketdet.models.retinanet.config import Block, RetinaNetConfig, retinanet_spec
from pocketdet.spec.one_stage import OneStageSpec

PRIOR_PROBABILITY = 0.01  # of an object at the start of training (Lin et al. 2017, section 4.1)


def branch(block: Block, width: int, depth: int, outputs: int) -> nn.Sequential:
    """`depth` convolutions with ReLU and one that predicts.

    "original": 3x3; "v1": 3x3 depthwise and 1x1; "v2": 1x1 and 3x3 by turns, and a 3x3 that predicts; "v3":
    1x1. Only so do the GFLOPs come to Table 3: v3's prediction is a 1x1, v2's a 3x3.
    """
    layers: list[nn.Module] = []
    for index in range(depth):
        layers += [*_layer(block, width, width, index), nn.ReLU(inplace=True)]
    last = depth if block != "v2" else 1
    return nn.Sequential(*layers, *_layer(block, width, outputs, last))


def _layer(block: Block, in_channels: int, out_channels: int, index: int) -> list[nn.Module]:
    if block == "v1":
        depthwise = nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels)
        return [depthwise, nn.ReLU(inplace=True), nn.Conv2d(in_channels, out_channels, 1)]
    pointwise = block == "v3" or (block == "v2" and index % 2 == 0)
    kernel = 1 if pointwise else 3
    return [nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2)]


class Branch(nn.Module):
    """One branch on all levels: `shared` on all, or `light` on the finest and `shared` on the others."""

    def __init__(self, block: Block, width: int, depth: int, outputs: int) -> None:
        super().__init__()
        self.shared = branch("original", width, depth, outputs)
        self.light = None if block == "original" else branch(block, width, depth, outputs)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """(N, width, h_l, w_l) per level, finest first -> (N, outputs, h_l, w_l) per level."""
        first = self.shared if self.light is None else self.light
        return [first(maps[0]), *(self.shared(x) for x in maps[1:])]

    def last_layers(self) -> list[nn.Conv2d]:
        """The convolutions that predict: the shared one, and the light one where there is one."""
        found = [layers[-1] for layers in (self.shared, self.light) if layers is not None]
        return [layer for layer in found if isinstance(layer, nn.Conv2d)]

    @torch.no_grad()
    def set_prior(self, probability: float) -> None:
        """Bias of the predictions so that a fresh branch answers `probability` after a sigmoid."""
        for last in self.last_layers():
            assert last.bias is not None
            last.bias.fill_(-math.log((1 - probability) / probability))


class RetinaNet(OneStageDetector):
    """Normalised image (N, 3, H, W) -> raw maps by name, "classes_l" and "boxes_l" for l = 3 to 7.

    Classes are (N, anchors * classes, h, w) logits of a sigmoid, boxes (N, anchors * 4, h, w), each with the
    anchor outermost; `retinanet_spec` says so to the decode.
    """

    def __init__(self, config: RetinaNetConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = ResNet(config.backbone)
        self.neck = FeaturePyramid(self.backbone.channels[1:], config.width)
        outputs = config.anchors * config.num_classes
        self.classes = Branch(config.light.classes, config.width, config.depth, outputs)
        self.boxes = Branch(config.light.boxes, config.width, config.depth, config.anchors * 4)
        self.classes.set_prior(PRIOR_PROBABILITY)

    def spec(self) -> OneStageSpec:
        """`retinanet_spec` of the configuration."""
        return retinanet_spec(self.config)

    def predictors(self) -> list[Predictor]:
        """The layers whose outputs the decode reads."""
        parts: list[tuple[PredictorKind, Branch]] = [("sigmoid", self.classes), ("deltas", self.boxes)]
        return [Predictor(kind, layer) for kind, part in parts for layer in part.last_layers()]

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """All levels' maps."""
        maps = self.neck(self.backbone(image)[1:])
        found = {f"classes_{i}": x for i, x in enumerate(self.classes(maps), 3)}
        return found | {f"boxes_{i}": x for i, x in enumerate(self.boxes(maps), 3)}
