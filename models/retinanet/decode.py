"""How RetinaNet's outputs are read: sigmoid, nine anchors of a cell, Faster R-CNN's box coding."""

import math

from pocketdet.models.ops.default_boxes import level_grids
from pocketdet.models.retinanet.config import STRIDES, RetinaNetConfig
from pocketdet.spec.one_stage import CxcywhCoding, Level, OneStageSpec, OutputField, Scores


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
