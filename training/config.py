"""Settings of a training run, as frozen dataclasses. The defaults are those of the papers.

One number of ThunderNet section 4.1 cannot be kept: 240 of its multi-scale {240, 320, 480} is not a multiple
of the network's stride of 32; 256 replaces it.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import ConfigDict

from pocketdet.models.build import AnyConfig, is_one_stage
from pocketdet.models.build_one_stage import papers_selection
from pocketdet.models.config import DetectorConfig, Parts, Suppression
from pocketdet.models.one_stage_config import OneStageConfig


class RangeChecked:
    """No unknown fields; `ValueError` for a number out of its range, which the reader of the file names."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    def _range(self, low: float, high: float, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} is {value}: expected {low:g} to {high:g}")


class _ByIoU(RangeChecked):
    """Priors are objects from one IoU on, and ground below another."""

    positive_iou: float
    negative_iou: float

    def _check_ious(self) -> None:
        self._range(0.05, 0.95, "positive_iou", "negative_iou")
        if self.negative_iou > self.positive_iou:
            raise ValueError("negative_iou must not be above positive_iou")


@dataclass(frozen=True)
class PASSDLossConfig(_ByIoU):
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
class RetinaNetLossConfig(_ByIoU):
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
class MimicDetLossConfig(RangeChecked):
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


STRIDE = 32


@dataclass(frozen=True)
class Source(RangeChecked):
    """One dataset of the mix.

    Attributes:
        annotations: a COCO json file, or the root of a Pascal VOC folder.
        images: the folder of the images (COCO).
        split: the list in ImageSets/Main (VOC).
        share: how often it is drawn from, against the shares of the other sources.
    """

    annotations: Path
    images: Path | None = None
    split: str | None = None
    share: float = 1.0

    def __post_init__(self) -> None:
        self._range(1e-6, 1e6, "share")
        if (self.images is None) == (self.split is None):
            raise ValueError("a source names either images (COCO) or split (Pascal VOC)")


@dataclass(frozen=True)
class Evaluation(RangeChecked):
    """Sample images on which the run is measured while it goes on; what is trained does not change.

    Attributes:
        annotations, images, split: as in `Source`; its classes are those of the training data, or some.
        every: steps between evaluations; one more follows the last step.
        limit: images of an evaluation, evenly spaced over the set; 0 takes all, as the last one does too.
    """

    annotations: Path
    images: Path | None = None
    split: str | None = None
    every: int = 1000
    limit: int = 200

    def __post_init__(self) -> None:
        self._range(1, 1e9, "every")
        self._range(0, 1e9, "limit")
        if (self.images is None) == (self.split is None):
            raise ValueError("an evaluation names either images (COCO) or split (Pascal VOC)")


@dataclass(frozen=True)
class Schedule(RangeChecked):
    """How long, how fast, at which input sizes.

    Attributes:
        images: images seen in all; the schedule is counted in them.
        batch: images a step. The paper: 62,500 steps of 4 x 16 on VOC.
        learning_rate: its peak.
        warmup_steps: steps of linear rise from 0.
        decay: "step" divides by ten at 50% and 75%; "cosine" falls to zero.
        sizes: input sides, a multiple of 32 each; one is drawn for each step.
        early_sizes: the sides of the first `early_share` of the run, if there are any.
    """

    images: int = 4_000_000
    batch: int = 64
    learning_rate: float = 0.01
    warmup_steps: int = 500
    decay: Literal["step", "cosine"] = "step"
    sizes: tuple[int, ...] = (256, 320, 480)
    early_sizes: tuple[int, ...] = ()
    early_share: float = 0.0

    def __post_init__(self) -> None:
        self._range(1, 1e10, "images")
        self._range(1, 4096, "batch")
        self._range(1e-9, 10, "learning_rate")
        self._range(0, 1e6, "warmup_steps")
        self._range(0, 1, "early_share")
        if not self.sizes:
            raise ValueError("sizes is empty: expected at least one input side")
        for side in (*self.sizes, *self.early_sizes):
            if side < STRIDE or side % STRIDE:
                raise ValueError(
                    f"input side {side} does not fit the network: expected a multiple of {STRIDE}"
                )

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole run."""
        return max(1, self.images // self.batch)


@dataclass(frozen=True)
class Optimizer(RangeChecked):
    """SGD with momentum, or AdamW; batch norms and biases are not decayed. `ema` 0 keeps no average."""

    kind: Literal["sgd", "adamw"] = "sgd"
    momentum: float = 0.9
    weight_decay: float = 1e-4
    clip_norm: float = 10.0
    ema: float = 0.0

    def __post_init__(self) -> None:
        self._range(0, 0.99999, "momentum", "ema")
        self._range(0, 1, "weight_decay")
        self._range(1e-3, 1e6, "clip_norm")


@dataclass(frozen=True)
class Augment(RangeChecked):
    """Which images are made of the data.

    "ssd" is the paper's: photometric, zoom out, IoU crop, horizontal flip (SSD section 3.3). "strong" is
    for views without an up: all eight orientations, zoom in and out, colour, blur, objects pasted on other
    grounds, and mosaics of object crops, of which `mosaic` is the share until `mosaic_until` of the run.
    """

    kind: Literal["ssd", "strong", "none"] = "ssd"
    mosaic: float = 0.6
    mosaic_until: float = 0.75
    paste: float = 0.3
    bare_ground: float = 0.15

    def __post_init__(self) -> None:
        self._range(0, 1, "mosaic", "mosaic_until", "paste", "bare_ground")


@dataclass(frozen=True)
class ThunderNetLossConfig(RangeChecked):
    """Sampling and weights of the RPN and R-CNN losses.

    Attributes:
        rpn_positive, rpn_negative: IoU from which an anchor is an object, and below which it is ground.
        rpn_hard, rpn_random: ground anchors of each image: those with the highest score, and drawn.
        pre_nms, proposals: candidates before and after NMS at 0.7 (the paper trains with 2000).
        rois: RoIs of each image that go through the head, at most half of them objects.
        ohem: how many of them the loss keeps, the hardest (Shrivastava et al. 2016); 0 keeps all.
        jitter: shaken copies of the true boxes among the RoIs, for each object.
        label_smoothing: of the head's classification.
        class_weight: weight of the head's classification.
        box_weight: weight of the box terms of the RPN and of the head; objectness has 1.
        box_beta: where the head's smooth L1 turns linear, in deltas divided by their std; small is near L1.
    """

    rpn_positive: float = 0.7
    rpn_negative: float = 0.3
    rpn_hard: int = 128
    rpn_random: int = 128
    pre_nms: int = 4000
    proposals: int = 2000
    rois: int = 2000
    ohem: int = 128
    jitter: int = 1
    label_smoothing: float = 0.0
    class_weight: float = 1.0
    box_weight: float = 1.0
    box_beta: float = 1.0

    def __post_init__(self) -> None:
        self._range(0, 1, "rpn_positive", "rpn_negative", "label_smoothing")
        self._range(0, 1e5, "rpn_hard", "rpn_random", "ohem", "jitter")
        self._range(1, 1e5, "pre_nms", "proposals")
        self._range(2, 1e5, "rois")
        self._range(0, 100, "class_weight", "box_weight")
        self._range(1e-3, 10, "box_beta")
        if self.rpn_negative > self.rpn_positive:
            raise ValueError("rpn_negative must not be above rpn_positive")


LossConfig = ThunderNetLossConfig | PASSDLossConfig | RetinaNetLossConfig | MimicDetLossConfig


@dataclass(frozen=True)
class TrainConfig(RangeChecked):
    """A whole run.

    Attributes:
        data: the sources; all name the same classes.
        out: folder of checkpoints and log.
        weights: a checkpoint to start from, or the name of one in models/zoo; fresh weights without it.
        class_power: images are drawn with probability (class frequency) ** class_power; 0 is uniform.
        parts, fc_channels: parts of the detector to leave out, and the width of its head (Table 7).
        background_bias: start of the RPN's background score.
        nms: how the trained detector suppresses overlapping boxes; without it as the paper tests, which for
            ThunderNet is soft-NMS.
        base_size: of a one-stage detector, the smallest square prior's side in strides, if not the paper's.
        save_every: steps between checkpoints.
        evaluation: what the run is measured on, if anything.
        losses, passd, retinanet, mimicdet: of the family that `arch` is of; `losses` are ThunderNet's.
    """

    data: tuple[Source, ...]
    out: Path
    weights: Path | None = None
    arch: str = "thundernet-snet49"
    input_size: tuple[int, int] = (320, 320)
    anchor_scales: tuple[float, ...] = (32, 64, 128, 256, 512)
    parts: Parts = field(default_factory=Parts)
    fc_channels: int = 1024
    seed: int = 1
    class_power: float = 0.0
    background_bias: float = 4.0
    nms: Suppression | None = None
    base_size: float | None = None
    save_every: int = 250
    evaluation: Evaluation | None = None
    schedule: Schedule = field(default_factory=Schedule)
    optimizer: Optimizer = field(default_factory=Optimizer)
    augment: Augment = field(default_factory=Augment)
    losses: ThunderNetLossConfig = field(default_factory=ThunderNetLossConfig)
    passd: PASSDLossConfig = field(default_factory=PASSDLossConfig)
    retinanet: RetinaNetLossConfig = field(default_factory=RetinaNetLossConfig)
    mimicdet: MimicDetLossConfig = field(default_factory=MimicDetLossConfig)

    def __post_init__(self) -> None:
        if not self.data:
            raise ValueError("data is empty: expected at least one source")
        self._range(0, 2**31, "seed")
        self._range(-2, 0, "class_power")
        self._range(0, 20, "background_bias")
        self._range(1, 1e9, "save_every")

    @property
    def rule(self) -> LossConfig:
        """The table of the losses of `arch`'s family."""
        families: dict[str, LossConfig] = {
            "passd": self.passd,
            "retinanet": self.retinanet,
            "lw": self.retinanet,
            "mimicdet": self.mimicdet,
        }
        return families.get(self.arch.partition("-")[0], self.losses)

    def detector(self, class_names: tuple[str, ...]) -> AnyConfig:
        """The detector that this run trains. Raises `UsageError` if it cannot be."""
        if is_one_stage(self.arch):
            return self._one_stage(class_names)
        base = DetectorConfig(self.arch, class_names, self.input_size)
        return replace(
            base,
            anchors=replace(base.anchors, scales=self.anchor_scales),
            head=replace(base.head, fc_channels=self.fc_channels),
            parts=self.parts,
            postprocessing=replace(base.postprocessing, nms=self.nms or "gaussian"),
        )

    def _one_stage(self, class_names: tuple[str, ...]) -> OneStageConfig:
        base = OneStageConfig(self.arch, class_names, self.input_size, base_size=self.base_size)
        if self.nms is None:
            return base
        return replace(base, selection=replace(papers_selection(base), nms=self.nms))
