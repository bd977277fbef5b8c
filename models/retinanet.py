"""RetinaNet (Lin et al. 2017) and Light-Weight RetinaNet (Li and Ren 2019).

The latter has light branches at its finest level (Table 2, Figures 4 and 5). The outputs are read with a
sigmoid, nine anchors of a cell and Faster R-CNN's box coding.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor, nn

from pocketdet.models.backbones import RESNET50, ResNet, ResNetConfig
from pocketdet.models.necks import FeaturePyramid
from pocketdet.models.one_stage import OneStageDetector, Predictor, PredictorKind
from pocketdet.spec.one_stage import (
    CxcywhCoding,
    Level,
    OneStageSpec,
    OutputField,
    Scores,
    Selection,
    default_grid,
)

STRIDES = (8, 16, 32, 64, 128)  # of P3 to P7
Block = Literal["original", "v1", "v2", "v3"]


@dataclass(frozen=True)
class LightBranches:
    """The block that each branch of D3 is made of; one that is not "original" has weights of its own."""

    classes: Block = "original"
    boxes: Block = "original"


@dataclass(frozen=True)
class RetinaNetConfig:
    """ResNet, pyramid P3 to P7, and two branches of `depth` convolutions of `width` channels.

    Anchors: `base_size` times the stride times each of `scales`, by `ratios` (height / width), scales
    outermost.
    """

    num_classes: int = 80
    input_size: tuple[int, int] = (800, 800)  # (height, width)
    backbone: ResNetConfig = RESNET50
    width: int = 256
    depth: int = 4
    light: LightBranches = field(default_factory=LightBranches)
    base_size: float = 4.0
    scales: tuple[float, ...] = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    selection: Selection = field(
        default_factory=lambda: Selection(score_threshold=0.05, top_n_per_level=1000, nms_iou=0.5)
    )

    @property
    def anchors(self) -> int:
        """Anchors of a cell."""
        return len(self.scales) * len(self.ratios)


RETINANET = LightBranches()
LW_RETINANET: MappingProxyType[str, LightBranches] = MappingProxyType(
    {
        "v1": LightBranches(classes="v2"),
        "v2": LightBranches(classes="v3"),
        "v3": LightBranches(classes="v3", boxes="v3"),
    }
)


def retinanet_spec(config: RetinaNetConfig) -> OneStageSpec:
    """The description of `config`'s outputs for its input size."""
    levels = []
    for number, stride in enumerate(STRIDES, 3):
        grid = default_grid(config.input_size, stride)
        side = config.base_size * stride
        anchors = tuple(
            (side * s / math.sqrt(r), side * s * math.sqrt(r)) for s in config.scales for r in config.ratios
        )
        classes = OutputField(f"classes_{number}", anchor_channels=config.num_classes)
        levels.append(
            Level(grid, stride, anchors, classes, (OutputField(f"boxes_{number}", anchor_channels=4),))
        )
    return OneStageSpec(
        input_size=config.input_size,
        num_classes=config.num_classes,
        levels=tuple(levels),
        codings=(CxcywhCoding(),),
        scores=Scores("sigmoid"),
        selection=config.selection,
    )


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
