"""Settings of a training run, as frozen dataclasses. The defaults are those of the papers.

One number of ThunderNet section 4.1 cannot be kept: 240 of its multi-scale {240, 320, 480} is not a multiple
of the network's stride of 32; 256 replaces it.
"""

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np

from pocketdet.datasets import DataSource
from pocketdet.models.build import AnyConfig, is_one_stage, papers_selection
from pocketdet.models.config import DetectorConfig, Parts, Suppression
from pocketdet.models.one_stage import OneStageConfig
from pocketdet.training.loss_config import (
    LossConfig,
    MimicDetLossConfig,
    PASSDLossConfig,
    Range,
    RangeChecked,
    RetinaNetLossConfig,
    ThunderNetLossConfig,
)

STRIDE = 32
Share = Annotated[float, Range(0, 1)]
HeldOut = Annotated[float, Range(0, 0.9)]


def _check_place(source: DataSource) -> None:
    if source.images is not None and source.split is not None:
        raise ValueError("expected either images (of a COCO file) or split (of a folder), found both")
    if source.images is None and source.annotations.suffix.lower() == ".json":
        raise ValueError(f"{source.annotations} needs images, the folder of its images")


@dataclass(frozen=True)
class Source(DataSource, RangeChecked):
    """One dataset of the mix."""

    share: Annotated[float, Range(1e-6, 1e6)] = 1.0
    """How often it is drawn from, relative to the shares of the other sources."""
    hold_out: HeldOut = 0.0
    """Share of its images, evenly spaced, that are not trained on but kept for [evaluation]."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_place(self)


@dataclass(frozen=True)
class Evaluation(DataSource, RangeChecked):
    """Annotated images on which the run is measured while it goes on; what is trained does not change.

    Its classes are those of the training data, or some of them.
    """

    every: Annotated[int, Range(1, 1e9)] = 1000
    """Steps between evaluations; one more follows the last step."""
    limit: Annotated[int, Range(0, 1e9)] = 200
    """Images of an evaluation, evenly spaced over the set; 0 takes all, as the last one does too."""
    hold_out: HeldOut = 0.0
    """Only these images: the share that a [[data]] table of the same annotations holds out; 0 takes all."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_place(self)

    def is_held_out_of(self, source: Source) -> bool:
        """Whether the images are those that `source` holds out."""
        return all(
            getattr(self, name) == getattr(source, name)
            for name in ("annotations", "images", "split", "hold_out")
        )


@dataclass(frozen=True)
class Schedule(RangeChecked):
    """How long, how fast, at which input sizes."""

    images: Annotated[int, Range(1, 1e10)] = 4_000_000
    """Images seen in all, repetitions included; the run has `images` / `batch` steps."""
    batch: Annotated[int, Range(1, 4096)] = 64
    """Images a step. The paper: 62,500 steps of 4 x 16 on VOC."""
    learning_rate: Annotated[float, Range(1e-9, 10)] = 0.01
    """Peak learning rate."""
    warmup_steps: Annotated[int, Range(0, 1e6)] = 500
    """Steps of linear rise from 0."""
    decay: Literal["step", "cosine"] = "step"
    """"step" divides the rate by ten at 50% and 75% of the run; "cosine" falls to zero."""
    sizes: tuple[int, ...] = (256, 320, 480)
    """Input sides in pixels, each a multiple of 32; one is drawn for each step."""
    early_sizes: tuple[int, ...] = ()
    """Input sides of the first `early_share` of the run, if there are any."""
    early_share: Share = 0.0
    """Part of the run that has `early_sizes`."""

    def __post_init__(self) -> None:
        super().__post_init__()
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
    """SGD with momentum, or AdamW; batch norms and biases are not decayed."""

    kind: Literal["sgd", "adamw"] = "sgd"
    """The rule."""
    momentum: Annotated[float, Range(0, 0.99999)] = 0.9
    """Momentum of SGD."""
    weight_decay: Share = 1e-4
    """Weight decay of kernels and matrices."""
    clip_norm: Annotated[float, Range(1e-3, 1e6)] = 10.0
    """Norm to which the gradient is clipped."""
    ema: Annotated[float, Range(0, 0.99999)] = 0.0
    """Decay of the average of the weights that is evaluated and written; 0 keeps no average."""


@dataclass(frozen=True)
class Augment(RangeChecked):
    """Which images are made of the data."""

    kind: Literal["ssd", "strong", "none"] = "ssd"
    """"ssd" is the paper's: photometric, zoom out, IoU crop, horizontal flip (SSD section 3.3). "strong" is
    for views without an up: all eight orientations, zoom in and out, colour, blur, objects pasted on other
    backgrounds, and mosaics of object crops."""
    mosaic: Share = 0.6
    """Share of mosaics ("strong")."""
    mosaic_until: Share = 0.75
    """Part of the run that has mosaics."""
    paste: Share = 0.3
    """Share of images with objects pasted on other backgrounds ("strong")."""
    bare_ground: Share = 0.15
    """Share of images without objects ("strong")."""


@dataclass(frozen=True)
class TrainConfig(RangeChecked):
    """A whole run."""

    data: tuple[Source, ...]
    """The training data; all sources have the same classes."""
    out: Path
    """Folder of checkpoints and logs."""
    weights: Path | None = None
    """A checkpoint to start from, or the name of one in models/zoo; by default new weights."""
    class_names: tuple[str, ...] | None = None
    """The classes, in the order of the detector's labels; by default those that COCO and YOLO data declare,
    or all names in Pascal VOC files in alphabetical order."""
    arch: str = "thundernet-snet49"
    """The architecture."""
    input_size: tuple[int, int] = (320, 320)
    """Height and width of the trained detector's input in pixels."""
    anchor_scales: tuple[float, ...] = (32, 64, 128, 256, 512)
    """ThunderNet's anchors: square roots of their areas in pixels of the input."""
    parts: Parts = field(default_factory=Parts)
    """Parts of ThunderNet to leave out."""
    fc_channels: int = 1024
    """Width of ThunderNet's head (Table 7)."""
    seed: Annotated[int, Range(0, 2**31)] = 1
    """Seed of the initial weights and of all draws."""
    class_power: Annotated[float, Range(-2, 0)] = 0.0
    """Images are drawn with probability (class frequency) ** `class_power`; 0 draws all objects alike, -1 all
    classes alike."""
    background_bias: Annotated[float, Range(0, 20)] = 4.0
    """Start of the background score of ThunderNet's RPN."""
    nms: Suppression | None = None
    """How the trained detector suppresses overlapping boxes; by default as the paper tests, which for
    ThunderNet is soft-NMS ("gaussian")."""
    base_size: float | None = None
    """Side of a one-stage detector's smallest square prior, in strides; by default the paper's."""
    save_every: Annotated[int, Range(1, 1e9)] = 250
    """Steps between checkpoints."""
    evaluation: Evaluation | None = None
    """What the run is measured on, if anything."""
    schedule: Schedule = field(default_factory=Schedule)
    optimizer: Optimizer = field(default_factory=Optimizer)
    augment: Augment = field(default_factory=Augment)
    losses: ThunderNetLossConfig = field(default_factory=ThunderNetLossConfig)
    passd: PASSDLossConfig = field(default_factory=PASSDLossConfig)
    retinanet: RetinaNetLossConfig = field(default_factory=RetinaNetLossConfig)
    mimicdet: MimicDetLossConfig = field(default_factory=MimicDetLossConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.data:
            raise ValueError("data is empty: expected at least one source")
        names = self.class_names
        measured = self.evaluation
        if measured is not None and measured.hold_out and not any(map(measured.is_held_out_of, self.data)):
            raise ValueError(
                f"evaluation.hold_out = {measured.hold_out:g}: expected a [[data]] table with the same "
                "annotations, images, split and hold_out, so that its images are not trained on"
            )
        if names is not None and (not all(names) or len(set(names)) < max(1, len(names))):
            raise ValueError("class_names: expected at least one name, each once, none of them empty")

    @property
    def loss_table(self) -> str:
        """Name of the field with the losses of `arch`'s family."""
        family = self.arch.partition("-")[0]
        return {"passd": "passd", "retinanet": "retinanet", "lw": "retinanet", "mimicdet": "mimicdet"}.get(
            family, "losses"
        )

    @property
    def rule(self) -> LossConfig:
        """The losses of `arch`'s family."""
        rule: LossConfig = getattr(self, self.loss_table)
        return rule

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


SIZE_STREAM = 1  # keeps this use of the seed apart from others


def learning_rate(schedule: Schedule, step: int) -> float:
    """Of step number `step`, counted from 0."""
    progress = step / schedule.steps
    if schedule.decay == "cosine":
        factor = 0.5 * (1 + math.cos(math.pi * progress))
    else:
        factor = 0.1 ** ((progress >= 0.5) + (progress >= 0.75))
    warm = min(1.0, (step + 1) / schedule.warmup_steps) if schedule.warmup_steps else 1.0
    return schedule.learning_rate * warm * factor


def warmup_warning(schedule: Schedule) -> str:
    """A sentence if the run is over before its warm-up, else ""."""
    steps = schedule.steps
    if schedule.warmup_steps < steps:
        return ""
    length = f"the run has {steps} step{'s' if steps > 1 else ''}"
    return (
        f"schedule.warmup_steps is {schedule.warmup_steps} and {length} ({schedule.images} images in batches "
        f"of {schedule.batch}): the learning rate does not reach {schedule.learning_rate:g}; "
        f"set warmup_steps to {steps // 10} or so"
    )


def input_side(schedule: Schedule, seed: int, step: int) -> int:
    """The side of the images of a step, drawn from the sizes of its part of the run."""
    early = schedule.early_sizes and step < schedule.early_share * schedule.steps
    sides = schedule.early_sizes if early else schedule.sizes
    rng = np.random.default_rng((seed, SIZE_STREAM, step))
    return int(sides[int(rng.integers(len(sides)))])
