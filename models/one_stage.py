"""What all one-stage detectors share: raw maps by name, and a description by which they are decoded."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from pocketdet.models.ops.deform_conv import DeformConv2d
from pocketdet.one_stage_spec import OneStageSpec

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

    @abstractmethod
    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Normalised image (N, 3, H, W) -> raw maps (N, channels, h, w) by name."""

    @abstractmethod
    def spec(self) -> OneStageSpec:
        """How the maps of one image of the configured size become detections."""

    @abstractmethod
    def predictors(self) -> list[Predictor]:
        """The layers whose outputs are decoded, those first that others depend on."""
