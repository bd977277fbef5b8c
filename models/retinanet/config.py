"""The settings of RetinaNet (Light-Weight RetinaNet, Table 2), and how its outputs are read: sigmoid, nine
anchors of a cell, Faster R-CNN's box coding.
"""

import math
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from pocketdet.models.backbones import RESNET50, ResNetConfig
from pocketdet.models.ops.one_stage_boxes import level_grids
from pocketdet.spec.one_stage import CxcywhCoding, Level, OneStageSpec, OutputField, Scores, Selection

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
    grids = level_grids(config.input_size, STRIDES)
    for number, (grid, stride) in enumerate(zip(grids, STRIDES, strict=True), 3):
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
