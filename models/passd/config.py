"""The settings of PASSD (sections 4 to 6), and how its outputs are read: two codings, one after the other
(equations 1 and 2, section 6.2).
"""

from dataclasses import dataclass, field

from pocketdet.models.backbones import MobileNetConfig, ResNetConfig, VGGConfig
from pocketdet.models.ops.one_stage_boxes import level_grids
from pocketdet.spec.one_stage import CxcywhCoding, Four, Level, OneStageSpec, OutputField, Scores, Selection

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
    for number, (grid, stride) in enumerate(
        zip(level_grids(config.input_size, config.strides), config.strides, strict=True)
    ):
        attend = f"attend_{number}"
        levels.append(
            Level(
                grid,
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
