"""Sampling and weights of the one-stage detectors' losses; the defaults are their papers'."""

from dataclasses import dataclass

from pocketdet.training.ranges import Ranged


class _ByIoU(Ranged):
    """Priors are objects from one IoU on, and ground below another."""

    positive_iou: float
    negative_iou: float

    def _check_ious(self) -> None:
        self._range(0.05, 0.95, "positive_iou", "negative_iou")
        if self.negative_iou > self.positive_iou:
            raise ValueError("negative_iou must not be above positive_iou")


@dataclass(frozen=True)
class PASSDLosses(_ByIoU):
    """PASSD sections 5 and 6.1.

    Attributes:
        positive_iou, negative_iou: from which a default box, as it is and once adjusted, is an object, and
            below which it is ground (the paper: all that are no objects).
        negatives: ground boxes in the classification losses for each object, the hardest.
        class_weight, box_weight: of the attending losses and of both box losses.
        label_smoothing: of the attending classification.
        box_beta: where smooth L1 turns linear, in deltas (the paper is silent; as Faster R-CNN's RPN).
    """

    positive_iou: float = 0.5
    negative_iou: float = 0.5
    negatives: float = 3.0
    class_weight: float = 1.0
    box_weight: float = 1.0
    label_smoothing: float = 0.0
    box_beta: float = 1 / 9

    def __post_init__(self) -> None:
        self._check_ious()
        self._range(0.1, 1000, "negatives")
        self._range(0, 100, "class_weight", "box_weight")
        self._range(0, 0.9, "label_smoothing")
        self._range(1e-3, 10, "box_beta")


@dataclass(frozen=True)
class RetinaNetLosses(_ByIoU):
    """Lin et al. 2017, sections 3 and 4.

    Attributes:
        positive_iou, negative_iou: IoU from which an anchor is an object, and below which it is ground.
        alpha, gamma: of the focal loss.
        box_weight: of the box loss.
        box_beta: where smooth L1 turns linear, in deltas.
    """

    positive_iou: float = 0.5
    negative_iou: float = 0.4
    alpha: float = 0.25
    gamma: float = 2.0
    box_weight: float = 1.0
    box_beta: float = 1 / 9

    def __post_init__(self) -> None:
        self._check_ious()
        self._range(0, 1, "alpha")
        self._range(0, 10, "gamma")
        self._range(0, 100, "box_weight")
        self._range(1e-3, 10, "box_beta")


@dataclass(frozen=True)
class MimicDetLosses(Ranged):
    """MimicDet sections 3 and 4.1.

    Attributes:
        shrink: part of an object's sides within which an anchor's centre makes it an object.
        proposals, proposal_iou: adjusted anchors after NMS at that IoU.
        positive_iou: from which a proposal is an object.
        samples: proposals for the T-head, a quarter of them objects; and for the S-head's classification.
        regressed: objects among the proposals for the S-head's boxes, at most.
        teacher: whether the T-head is trained; the mimic loss needs it.
        mimic_weight: of equation 1; 0 leaves it out.
    """

    shrink: float = 0.3
    proposals: int = 2000
    proposal_iou: float = 0.8
    positive_iou: float = 0.6
    samples: int = 128
    regressed: int = 64
    teacher: bool = True
    mimic_weight: float = 1.0

    def __post_init__(self) -> None:
        self._range(0.01, 1, "shrink")
        self._range(1, 1e5, "proposals", "samples", "regressed")
        self._range(0.05, 1, "proposal_iou", "positive_iou")
        self._range(0, 100, "mimic_weight")
        if self.mimic_weight and not self.teacher:
            raise ValueError("mimic_weight is above 0 without a teacher: set it to 0")
