"""The settings of MimicDet (sections 3 and 4), and how its outputs are read: one square anchor of a cell,
regressed twice (sections 3.2 and 4.2).
"""

from dataclasses import dataclass, field

from pocketdet.models.backbones import RESNET50, ResNetConfig
from pocketdet.models.ops.one_stage_boxes import level_grids
from pocketdet.spec.one_stage import CxcywhCoding, Four, Level, OneStageSpec, OutputField, Scores, Selection

STRIDES = (8, 16, 32, 64, 128)  # of P3 to P7
# section 4.2
SELECTION = Selection(score_threshold=0.005, top_n_objectness=1000, nms_iou=0.6, max_detections=100)


@dataclass(frozen=True)
class MimicDetConfig:
    """ResNet, pyramid of `width` channels, heads of `feature_width`.

    Attributes:
        base_size: the one square anchor of a cell has `base_size` times the stride pixels (S_l = 4 * 2^l).
        offset_widths: inner channels of the micro-network that computes the offsets.
        finest_kernel, kernel: of the guided deformable convolution on P3, and on P4 to P7.
        student_std: multiplier of the second regression (the paper: as Faster R-CNN).
        pool_size, teacher_depth: RoI align's bins, and the convolutions of the teacher's regression.
    """

    num_classes: int = 80
    input_size: tuple[int, int] = (800, 800)  # (height, width)
    backbone: ResNetConfig = RESNET50
    width: int = 256
    feature_width: int = 1024
    base_size: float = 4.0
    offset_widths: tuple[int, int] = (64, 128)
    finest_kernel: int = 3
    kernel: int = 5
    pool_size: int = 7
    teacher_depth: int = 4
    student_std: Four = (0.1, 0.1, 0.2, 0.2)
    selection: Selection = field(default_factory=lambda: SELECTION)


def mimicdet_spec(config: MimicDetConfig) -> OneStageSpec:
    """The description of `config`'s outputs for its input size."""
    levels = []
    grids = level_grids(config.input_size, STRIDES)
    for number, (grid, stride) in enumerate(zip(grids, STRIDES, strict=True), 3):
        side = config.base_size * stride
        levels.append(
            Level(
                grid,
                stride,
                ((side, side),),
                classes=OutputField(f"classes_{number}"),
                boxes=(OutputField(f"refine_{number}"), OutputField(f"boxes_{number}")),
                objectness=OutputField(f"objectness_{number}"),
            )
        )
    return OneStageSpec(
        input_size=config.input_size,
        num_classes=config.num_classes,
        levels=tuple(levels),
        codings=(CxcywhCoding(), CxcywhCoding(multiplier=config.student_std)),
        scores=Scores("softmax", "first"),
        selection=config.selection,
    )
