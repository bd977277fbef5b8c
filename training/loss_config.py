"""Settings of the losses, one record for each family of detectors. The defaults are those of the papers.

A number declares its range at the field; it is checked when a record is made and printed in the
documentation.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, get_args, get_type_hints

from pydantic import ConfigDict, GetJsonSchemaHandler
from pydantic_core import CoreSchema


@dataclass(frozen=True)
class Range:
    """Metadata of an `Annotated` number: the lowest and the highest value."""

    low: float
    high: float

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "minimum": self.low, "maximum": self.high}


class RangeChecked:
    """No unknown fields; `ValueError` for a number out of its `Range`, which the reader of the file names.

    The text below a field is its description in the documentation and in recipes.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    def __post_init__(self) -> None:
        for name, limits in _ranges(type(self)).items():
            value = getattr(self, name)
            if not limits.low <= value <= limits.high:
                raise ValueError(f"{name} is {value}: expected {limits.low:g} to {limits.high:g}")


def _ranges(record: type) -> Mapping[str, Range]:
    hints = get_type_hints(record, include_extras=True)
    found = ((name, part) for name, hint in hints.items() for part in get_args(hint)[1:])
    return {name: part for name, part in found if isinstance(part, Range)}


BoxBeta = Annotated[float, Range(1e-3, 10)]
Count = Annotated[int, Range(0, 1e5)]
IoU = Annotated[float, Range(0.05, 0.95)]
Smoothing = Annotated[float, Range(0, 0.9)]
Weight = Annotated[float, Range(0, 100)]


class _ByIoU(RangeChecked):
    """Priors are objects from one IoU on, and ground below another."""

    positive_iou: float
    negative_iou: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.negative_iou > self.positive_iou:
            raise ValueError("negative_iou must not be above positive_iou")


@dataclass(frozen=True)
class PASSDLossConfig(_ByIoU):
    """Losses of `passd-*` (PASSD sections 5 and 6.1)."""

    positive_iou: IoU = 0.5
    """IoU from which a default box, as it is and once adjusted, is an object."""
    negative_iou: IoU = 0.5
    """IoU below which it is background (the paper: all that are no objects)."""
    negatives: Annotated[float, Range(0.1, 1000)] = 3.0
    """Background boxes in the classification losses for each object, the hardest."""
    class_weight: Weight = 1.0
    """Weight of the attending losses."""
    box_weight: Weight = 1.0
    """Weight of both box losses."""
    label_smoothing: Smoothing = 0.0
    """Label smoothing of the attending classification."""
    box_beta: BoxBeta = 1 / 9
    """Where smooth L1 becomes linear, in deltas (the paper is silent; as Faster R-CNN's RPN)."""


@dataclass(frozen=True)
class RetinaNetLossConfig(_ByIoU):
    """Losses of `retinanet-*` and `lw-retinanet-*` (Lin et al. 2017, sections 3 and 4)."""

    positive_iou: IoU = 0.5
    """IoU from which an anchor is an object."""
    negative_iou: IoU = 0.4
    """IoU below which it is background."""
    alpha: Annotated[float, Range(0, 1)] = 0.25
    """alpha of the focal loss."""
    gamma: Annotated[float, Range(0, 10)] = 2.0
    """gamma of the focal loss."""
    box_weight: Weight = 1.0
    """Weight of the box loss."""
    box_beta: BoxBeta = 1 / 9
    """Where smooth L1 becomes linear, in deltas."""


@dataclass(frozen=True)
class MimicDetLossConfig(RangeChecked):
    """Losses of `mimicdet-*` (MimicDet sections 3 and 4.1)."""

    shrink: Annotated[float, Range(0.01, 1)] = 0.3
    """Part of an object's sides within which an anchor's centre makes it an object."""
    proposals: Annotated[int, Range(1, 1e5)] = 2000
    """Adjusted anchors that NMS keeps."""
    proposal_iou: Annotated[float, Range(0.05, 1)] = 0.8
    """IoU of that NMS."""
    positive_iou: Annotated[float, Range(0.05, 1)] = 0.6
    """IoU from which a proposal is an object."""
    samples: Annotated[int, Range(1, 1e5)] = 128
    """Proposals for the T-head, a quarter of them objects, and for the S-head's classification."""
    regressed: Annotated[int, Range(1, 1e5)] = 64
    """Objects among the proposals for the S-head's boxes, at most."""
    teacher: bool = True
    """Whether the T-head is trained; the mimic loss needs it."""
    mimic_weight: Weight = 1.0
    """Weight of the mimic loss (equation 1); 0 leaves it out."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mimic_weight and not self.teacher:
            raise ValueError("mimic_weight is above 0 without a teacher: set it to 0")


@dataclass(frozen=True)
class ThunderNetLossConfig(RangeChecked):
    """Sampling and weights of the RPN and R-CNN losses of `thundernet-*`."""

    rpn_positive: Annotated[float, Range(0, 1)] = 0.7
    """IoU from which an anchor is an object."""
    rpn_negative: Annotated[float, Range(0, 1)] = 0.3
    """IoU below which it is background."""
    rpn_hard: Count = 128
    """Background anchors of each image with the highest score."""
    rpn_random: Count = 128
    """Background anchors of each image that are drawn."""
    pre_nms: Annotated[int, Range(1, 1e5)] = 4000
    """Candidates before NMS."""
    proposals: Annotated[int, Range(1, 1e5)] = 2000
    """Candidates after NMS at an IoU of 0.7."""
    rois: Annotated[int, Range(2, 1e5)] = 2000
    """RoIs of each image that go through the head, at most half of them objects."""
    ohem: Count = 128
    """RoIs of each image that the loss keeps, the hardest (Shrivastava et al. 2016); 0 keeps all."""
    jitter: Count = 1
    """Shaken copies of each true box among the RoIs."""
    label_smoothing: Annotated[float, Range(0, 1)] = 0.0
    """Label smoothing of the head's classification."""
    class_weight: Weight = 1.0
    """Weight of the head's classification."""
    box_weight: Weight = 1.0
    """Weight of the box terms of the RPN and of the head; objectness has 1."""
    box_beta: BoxBeta = 1.0
    """Where the head's smooth L1 becomes linear, in deltas divided by their std; a small one is nearly L1."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rpn_negative > self.rpn_positive:
            raise ValueError("rpn_negative must not be above rpn_positive")


LossConfig = ThunderNetLossConfig | PASSDLossConfig | RetinaNetLossConfig | MimicDetLossConfig
