"""What a MimicDet is, apart from its weights. MimicDet sections 3 and 4."""

from dataclasses import dataclass, field

from pocketdet.models.backbones import RESNET50, ResNetConfig
from pocketdet.spec.one_stage import Four, Selection

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
