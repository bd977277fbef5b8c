"""What a training run is, as frozen dataclasses. The defaults are ThunderNet section 4.1.

One number of the paper cannot be kept: 240 of its multi-scale {240, 320, 480} is no multiple of the
network's stride of 32; 256 stands in its place.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from pocketdet.models.build import AnyConfig, is_one_stage
from pocketdet.models.build_one_stage import papers_selection
from pocketdet.models.config import DetectorConfig, Parts, Suppression
from pocketdet.models.one_stage_config import OneStageConfig
from pocketdet.training.one_stage_rules import MimicDetLosses, PASSDLosses, RetinaNetLosses
from pocketdet.training.ranges import Ranged

STRIDE = 32


@dataclass(frozen=True)
class Source(Ranged):
    """One data set of the mix.

    Attributes:
        annotations: a COCO json file, or the root of a Pascal VOC folder.
        images: the folder of the pictures (COCO).
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
class Evaluation(Ranged):
    """Labelled pictures on which the run is measured while it goes on; what is trained does not change.

    Attributes:
        annotations, images, split: as in `Source`; its classes are those of the training data, or some.
        every: steps between evaluations; one more follows the last step.
        limit: pictures of an evaluation, evenly spaced over the set; 0 takes all, as the last one does too.
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
class Schedule(Ranged):
    """How long, how fast, at which input sizes.

    Attributes:
        images: pictures seen in all; the schedule is counted in them.
        batch: pictures a step. The paper: 62,500 steps of 4 x 16 on VOC.
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
class Optimizer(Ranged):
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
class Augment(Ranged):
    """Which pictures are made of the data.

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
class Losses(Ranged):
    """Sampling and weights of the RPN and R-CNN losses.

    Attributes:
        rpn_positive, rpn_negative: IoU from which an anchor is an object, and below which it is ground.
        rpn_hard, rpn_random: ground anchors of each picture: those with the highest score, and drawn.
        pre_nms, proposals: candidates before and after NMS at 0.7 (the paper trains with 2000).
        rois: RoIs of each picture that go through the head, at most half of them objects.
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


Rule = Losses | PASSDLosses | RetinaNetLosses | MimicDetLosses


@dataclass(frozen=True)
class TrainConfig(Ranged):
    """A whole run.

    Attributes:
        data: the sources; all name the same classes.
        out: folder of checkpoints and log.
        weights: a checkpoint to start from, or the name of one in models/zoo; fresh weights without it.
        class_power: pictures are drawn with probability (class frequency) ** class_power; 0 is uniform.
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
    losses: Losses = field(default_factory=Losses)
    passd: PASSDLosses = field(default_factory=PASSDLosses)
    retinanet: RetinaNetLosses = field(default_factory=RetinaNetLosses)
    mimicdet: MimicDetLosses = field(default_factory=MimicDetLosses)

    def __post_init__(self) -> None:
        if not self.data:
            raise ValueError("data is empty: expected at least one source")
        self._range(0, 2**31, "seed")
        self._range(-2, 0, "class_power")
        self._range(0, 20, "background_bias")
        self._range(1, 1e9, "save_every")

    @property
    def rule(self) -> Rule:
        """The table of the losses of `arch`'s family."""
        families: dict[str, Rule] = {
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
