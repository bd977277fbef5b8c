"""What a PASSD is, apart from its weights. PASSD sections 4 to 6."""

from dataclasses import dataclass, field

from pocketdet.models.backbones import MobileNetConfig, ResNetConfig, VGGConfig
from pocketdet.spec.one_stage import Four, Selection

FINEST_STRIDE = 8
VOC_SCALES = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))
COCO_SCALES = (2 ** (-1 / 3), 1.0, 2 ** (1 / 3))
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
