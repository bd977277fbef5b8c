"""What a detector is, apart from its weights: one frozen dataclass per concern.

These travel inside every checkpoint (as JSON) and, through the exporter, into the bundle's manifest.
Numerical meaning of each field: docs/DEFINITIONS.md.
"""

import math
from dataclasses import dataclass, field
from typing import Literal

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)


@dataclass(frozen=True)
class Preprocessing:
    """From a picture to the network's input; mean and std in 0..255 units, in `channel_order`."""

    channel_order: Literal["RGB", "BGR"] = "RGB"
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    resize: Literal["stretch", "letterbox"] = "stretch"
    pad: tuple[int, int, int] = (124, 116, 104)


@dataclass(frozen=True)
class Anchors:
    """Anchor scales (square root of the area, pixels) and ratios (height / width). ThunderNet section 3.2."""

    stride: int = 16
    scales: tuple[float, ...] = (32, 64, 128, 256, 512)
    ratios: tuple[float, ...] = (1 / 2, 3 / 4, 1, 4 / 3, 2)

    def sizes(self) -> tuple[tuple[float, float], ...]:
        """The (width, height) of each anchor of a cell, scales outermost."""
        return tuple((s / math.sqrt(r), s * math.sqrt(r)) for s in self.scales for r in self.ratios)


@dataclass(frozen=True)
class Proposals:
    """From RPN maps to RoIs. 200 RoIs at test time: ThunderNet section 4.1."""

    pre_nms_top_n: int = 1000
    post_nms_top_n: int = 200
    nms_iou: float = 0.7
    min_size: float = 1.0


@dataclass(frozen=True)
class RoIHead:
    """PSRoI align and the light head. alpha = 5, p = 7, a 1024-d fc: ThunderNet section 3.2."""

    alpha: int = 5
    pool_size: int = 7
    sampling_ratio: int = 2
    fc_channels: int = 1024
    delta_std: tuple[float, float, float, float] = (0.1, 0.1, 0.2, 0.2)

    @property
    def channels(self) -> int:
        """Channels of the thin feature map, alpha * p * p (245)."""
        return self.alpha * self.pool_size**2


@dataclass(frozen=True)
class Postprocessing:
    """From head outputs to detections. Soft-NMS at test: ThunderNet section 4.1."""

    score_threshold: float = 0.05
    nms: Literal["hard", "linear", "gaussian"] = "hard"
    nms_iou: float = 0.5
    sigma: float = 0.5
    max_detections: int = 100


@dataclass(frozen=True)
class DetectorConfig:
    """Everything that, with the weights, defines a two-stage detector."""

    arch: str
    class_names: tuple[str, ...]
    input_size: tuple[int, int] = (320, 320)  # (height, width), multiples of 32
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    anchors: Anchors = field(default_factory=Anchors)
    proposals: Proposals = field(default_factory=Proposals)
    head: RoIHead = field(default_factory=RoIHead)
    postprocessing: Postprocessing = field(default_factory=Postprocessing)

    @property
    def num_classes(self) -> int:
        """Classifier outputs: the named classes plus background."""
        return len(self.class_names) + 1
