"""One-stage detectors: their configuration, and raw maps by name with a specification that decodes them.

As `DetectorConfig` for two stages, `OneStageConfig` travels inside every checkpoint, as JSON.
"""

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Literal, Self

from torch import Tensor, nn

from pocketdet.errors import UsageError
from pocketdet.models.config import Preprocessing, check_class_names
from pocketdet.models.ops.deform_conv import DeformConv2d
from pocketdet.spec.one_stage import OneStageSpec, Selection
from pocketdet.spec.validated import ValidatedConfig


@dataclass(frozen=True)
class OneStageConfig(ValidatedConfig):
    """Everything that, with the weights, defines a one-stage detector of a known architecture.

    Attributes:
        arch: a name in `build.ONE_STAGE`.
        class_names: without background.
        input_size: (height, width); any, maps of odd sides are rounded up.
        base_size: side of the smallest square prior of a cell, in strides; the paper's where it is `None`.
        selection: which candidates become detections; the paper's where it is `None`.
    """

    arch: str
    class_names: tuple[str, ...]
    input_size: tuple[int, int] = (320, 320)
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    base_size: float | None = None
    selection: Selection | None = None

    def __post_init__(self) -> None:
        check_class_names(self)
        self._within(1, 4096, "input_size")
        if self.base_size is not None:
            self._within(0.1, 64, "base_size")


PredictorKind = Literal["sigmoid", "softmax", "objectness", "deltas"]


@dataclass(frozen=True)
class Predictor:
    """A layer whose output channels `start` to `stop` the decode reads as of this kind.

    `period`: of a softmax, the channels of each prior, background first.
    """

    kind: PredictorKind
    layer: nn.Conv2d | DeformConv2d
    start: int = 0
    stop: int | None = None
    period: int = 0


class OneStageDetector(nn.Module, ABC):
    """A network whose forward gives everything that `spec` describes, and nothing is left to code."""

    built_from: OneStageConfig | None = None  # what `build_detector` made it from

    @property
    def settings(self) -> OneStageConfig:
        """Names, sizes and preprocessing. Raises `UsageError` if `build_detector` did not make it."""
        if self.built_from is None:
            raise UsageError(f"this {type(self).__name__} was built without class names: use build_detector")
        return self.built_from

    @abstractmethod
    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Normalised image (N, 3, H, W) -> raw maps (N, channels, h, w) by name."""

    @abstractmethod
    def spec(self) -> OneStageSpec:
        """How the maps of one image of the configured size become detections."""

    @abstractmethod
    def predictors(self) -> list[Predictor]:
        """The layers whose outputs are decoded, those first that others depend on."""

    def for_inference(self) -> Self:
        """A copy in eval mode that answers the same, without what only training needs."""
        return copy.deepcopy(self).eval()
