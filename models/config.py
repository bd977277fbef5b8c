"""What a detector is, apart from its weights: one frozen dataclass per concern.

These travel inside every checkpoint (as JSON) and, through the exporter, into the bundle's manifest.
Numerical meaning of each field: docs/reference/definitions.md. A value out of range raises `UsageError`.
"""

import math
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol, get_args

from pydantic import ConfigDict, StrictBool

from pocketdet.errors import UsageError
from pocketdet.spec.one_stage import Suppression as AnySuppression
from pocketdet.spec.validated import ValidatedConfig

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)

ChannelOrder = Literal["RGB", "BGR"]
ResizeRule = Literal["stretch", "letterbox", "letterbox_top_left"]
Suppression = Literal["hard", "linear", "gaussian"]

# Bounds keep every number finite, and every divisor above zero, as the float32 it becomes.
_LARGE, _TINY = 1e6, 1e-6
MAX_CLASSES = 10_000


@dataclass(frozen=True)
class Preprocessing(ValidatedConfig):
    """From an image to the network's input; mean and std in 0..255 units, in `channel_order`."""

    channel_order: ChannelOrder = "RGB"
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    resize: ResizeRule = "stretch"
    pad: tuple[int, int, int] = (124, 116, 104)

    def __post_init__(self) -> None:
        self._one_of("channel_order", get_args(ChannelOrder))
        self._one_of("resize", get_args(ResizeRule))
        self._within(-_LARGE, _LARGE, "mean")
        self._within(_TINY, _LARGE, "std")
        self._within(0, 255, "pad")


@dataclass(frozen=True)
class Anchors(ValidatedConfig):
    """Anchor scales (square root of the area, pixels) and ratios (height / width). ThunderNet section 3.2."""

    stride: int = 16
    scales: tuple[float, ...] = (32, 64, 128, 256, 512)
    ratios: tuple[float, ...] = (1 / 2, 3 / 4, 1, 4 / 3, 2)

    def __post_init__(self) -> None:
        self._within(1, 256, "stride")
        self._counts(16, "scales", "ratios")
        self._within(1, 4096, "scales")
        self._within(0.01, 100, "ratios")

    def sizes(self) -> tuple[tuple[float, float], ...]:
        """The (width, height) of each anchor of a cell, scales outermost."""
        return tuple((s / math.sqrt(r), s * math.sqrt(r)) for s in self.scales for r in self.ratios)


@dataclass(frozen=True)
class Proposals(ValidatedConfig):
    """From RPN maps to RoIs. 200 RoIs at test time: ThunderNet section 4.1."""

    pre_nms_top_n: int = 1000
    post_nms_top_n: int = 200
    nms_iou: float = 0.7
    min_size: float = 1.0

    def __post_init__(self) -> None:
        self._within(1, 100_000, "pre_nms_top_n")
        self._within(1, 10_000, "post_nms_top_n")
        self._within(0, 1, "nms_iou")
        self._within(0, 4096, "min_size")


@dataclass(frozen=True)
class RoIHead(ValidatedConfig):
    """PSRoI align and the light head. alpha = 5, p = 7, a 1024-d fc: ThunderNet section 3.2."""

    alpha: int = 5
    pool_size: int = 7
    sampling_ratio: int = 2
    fc_channels: int = 1024
    delta_std: tuple[float, float, float, float] = (0.1, 0.1, 0.2, 0.2)

    def __post_init__(self) -> None:
        self._within(1, 64, "alpha")
        self._within(1, 32, "pool_size")
        self._within(1, 8, "sampling_ratio")
        self._within(1, 65_536, "fc_channels")
        self._within(_TINY, _LARGE, "delta_std")

    @property
    def channels(self) -> int:
        """Channels of the thin feature map, alpha * p * p (245)."""
        return self.alpha * self.pool_size**2


@dataclass(frozen=True)
class Postprocessing(ValidatedConfig):
    """From head outputs to detections. Soft-NMS at test: ThunderNet section 4.1.

    `nms` is "none" only where it describes a one-stage detector. `per_class`: boxes only suppress those of
    their own class.
    """

    score_threshold: float = 0.05
    nms: AnySuppression = "hard"
    nms_iou: float = 0.5
    sigma: float = 0.5
    max_detections: int = 100
    per_class: bool = True

    def __post_init__(self) -> None:
        self._one_of("nms", get_args(AnySuppression))
        self._within(0, 1, "score_threshold", "nms_iou")
        self._within(_TINY, _LARGE, "sigma")
        self._within(1, 10_000, "max_detections")


@dataclass(frozen=True)
class Parts(ValidatedConfig):
    """What ThunderNet adds to the compressed Light-Head R-CNN of its Table 7, each to be left out.

    The fourth, the small R-CNN subnet, is `fc_channels` of the head: 1024, or 2048 without it.
    """

    # a table of a training configuration too, and TOML comes as a dict: strict by field, not as a record
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    small_rpn: StrictBool = True
    """A 5x5 depthwise and a 1x1 convolution in place of a 3x3 convolution."""
    context_enhancement: StrictBool = True
    """CEM, the context enhancement module; without it the RPN reads C4, and RoIs come from upsampled C5."""
    spatial_attention: StrictBool = True
    """SAM, the spatial attention module."""


@dataclass(frozen=True)
class DetectorConfig(ValidatedConfig):
    """Everything that, with the weights, defines a two-stage detector."""

    arch: str
    class_names: tuple[str, ...]
    input_size: tuple[int, int] = (320, 320)  # (height, width), multiples of 32
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    anchors: Anchors = field(default_factory=Anchors)
    proposals: Proposals = field(default_factory=Proposals)
    head: RoIHead = field(default_factory=RoIHead)
    postprocessing: Postprocessing = field(default_factory=Postprocessing)
    parts: Parts = field(default_factory=Parts)

    def __post_init__(self) -> None:
        check_class_names(self)
        self._within(1, 4096, "input_size")
        if self.postprocessing.nms == "none":
            choices = ", ".join(get_args(Suppression))
            raise UsageError(f"DetectorConfig.postprocessing.nms is 'none': expected one of {choices}")

    @property
    def num_classes(self) -> int:
        """Classifier outputs: the named classes plus background."""
        return len(self.class_names) + 1


class _Named(Protocol):
    @property
    def class_names(self) -> tuple[str, ...]: ...


def check_class_names(record: _Named) -> None:
    """Raises `UsageError` unless there are 1 to `MAX_CLASSES` names of 1 to 200 characters."""
    label, count = f"{type(record).__name__}.class_names", len(record.class_names)
    if not 1 <= count <= MAX_CLASSES:
        raise UsageError(f"{label} has {count} entries: expected 1 to {MAX_CLASSES}")
    for name in record.class_names:
        if not 1 <= len(name) <= 200:
            raise UsageError(f"class name {name[:40]!r} has {len(name)} characters: expected 1 to 200")
