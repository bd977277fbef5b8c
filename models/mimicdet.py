"""MimicDet (Lu et al. 2020): a one-stage head that learns from a two-stage head of the same network.

Backbone, staggered pyramid, refinement (section 3.2), S-head; in training also P2 and the T-head (section 3.3
and Figure 2). The outputs are read with one square anchor of a cell, regressed twice (sections 3.2 and 4.2).
"""

from dataclasses import dataclass, field
from typing import Self

import torch.nn.functional as F
from torch import Tensor, nn

from pocketdet.errors import UsageError
from pocketdet.models.backbones import RESNET50, ResNet, ResNetConfig
from pocketdet.models.necks import FeaturePyramid
from pocketdet.models.one_stage import OneStageDetector, Predictor
from pocketdet.models.ops.deform_conv import DeformConv2d
from pocketdet.models.ops.roi_align import roi_align
from pocketdet.spec.one_stage import (
    CxcywhCoding,
    Four,
    Level,
    OneStageSpec,
    OutputField,
    Scores,
    Selection,
    default_grid,
)

STRIDES = (8, 16, 32, 64, 128)  # of P3 to P7
# section 4.2
SELECTION = Selection(score_threshold=0.005, top_n_objectness=1000, nms_iou=0.6, max_detections=100)


@dataclass(frozen=True)
class MimicDetConfig:
    """ResNet, pyramid of `width` channels, heads of `feature_width`.

    Attributes:
        base_size: the one square anchor of a cell has `base_size` times the stride pixels (S_l = 4 * 2^l).
        offset_widths: inner channels of the micro-network that computes the offsets.
        finest_kernel, kernel: of the guided deformable convolution on P3, and on P4 to P7.
        student_std: multiplier of the second regression (the paper: as Faster R-CNN).
        pool_size, teacher_depth: RoI align's bins, and the convolutions of the teacher's regression.
    """

    num_classes: int = 80
    input_size: tuple[int, int] = (800, 800)  # (height, width)
    backbone: ResNetConfig = RESNET50
    width: int = 256
    feature_width: int = 1024
    base_size: float = 4.0
    offset_widths: tuple[int, int] = (64, 128)
    finest_kernel: int = 3
    kernel: int = 5
    pool_size: int = 7
    teacher_depth: int = 4
    student_std: Four = (0.1, 0.1, 0.2, 0.2)
    selection: Selection = field(default_factory=lambda: SELECTION)


def mimicdet_spec(config: MimicDetConfig) -> OneStageSpec:
    """The description of `config`'s outputs for its input size."""
    levels = []
    for number, stride in enumerate(STRIDES, 3):
        side = config.base_size * stride
        levels.append(
            Level(
                default_grid(config.input_size, stride),
                stride,
                ((side, side),),
                classes=OutputField(f"classes_{number}"),
                boxes=(OutputField(f"refine_{number}"), OutputField(f"boxes_{number}")),
                objectness=OutputField(f"objectness_{number}"),
            )
        )
    return OneStageSpec(
        input_size=config.input_size,
        num_classes=config.num_classes,
        levels=tuple(levels),
        codings=(CxcywhCoding(), CxcywhCoding(multiplier=config.student_std)),
        scores=Scores("softmax", "first"),
        selection=config.selection,
    )


class Refinement(nn.Module):
    """One 3x3 and two 1x1: is there an object, and how the anchor moves. Shared by P3 to P7."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)
        self.objectness = nn.Conv2d(width, 1, 1)
        self.deltas = nn.Conv2d(width, 4, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, width, h, w) -> objectness logit (N, 1, h, w) and deltas (N, 4, h, w)."""
        x = F.relu(self.conv(x))
        return self.objectness(x), self.deltas(x)


class Alignment(nn.Module):
    """Guided deformable convolution: its offsets come from the refinement's regression alone."""

    def __init__(self, width: int, kernel: int, inner: tuple[int, int]) -> None:
        super().__init__()
        self.offsets = nn.Sequential(
            nn.Conv2d(4, inner[0], 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(inner[0], inner[1], 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(inner[1], 2 * kernel * kernel, 1),
        )
        self.conv = DeformConv2d(width, width, kernel)

    def forward(self, x: Tensor, deltas: Tensor) -> Tensor:
        """(N, width, h, w) and (N, 4, h, w) -> (N, width, h, w)."""
        return F.relu(self.conv(x, self.offsets(deltas)))


@dataclass(frozen=True)
class StudentLevel:
    """The S-head on one level: logits (N, C, h, w), background first, and deltas (N, 4, h, w).

    Deltas are relative to the adjusted anchor. Both come from features (N, feature_width, h, w).
    """

    logits: Tensor
    deltas: Tensor
    class_features: Tensor
    box_features: Tensor


class StudentHead(nn.Module):
    """S-head. The finest level has an alignment of its own, with a smaller kernel; the rest is shared."""

    def __init__(self, config: MimicDetConfig) -> None:
        super().__init__()
        width, features = config.width, config.feature_width
        self.finest = Alignment(width, config.finest_kernel, config.offset_widths)
        self.others = Alignment(width, config.kernel, config.offset_widths)
        self.class_features = nn.Conv2d(width, features, 1)
        self.box_features = nn.Conv2d(width, features, 1)
        self.classes = nn.Conv2d(features, config.num_classes + 1, 1)
        self.boxes = nn.Conv2d(features, 4, 1)

    def forward(self, x: Tensor, deltas: Tensor, level: int) -> StudentLevel:
        """Map (N, width, h, w) and the refinement's deltas (N, 4, h, w); level 0 is the finest."""
        aligned = (self.others if level else self.finest)(x, deltas)
        class_features = F.relu(self.class_features(aligned))
        box_features = F.relu(self.box_features(aligned))
        return StudentLevel(
            self.classes(class_features), self.boxes(box_features), class_features, box_features
        )


@dataclass(frozen=True)
class TeacherAnswer:
    """The T-head on R RoIs: logits (R, C), background first, deltas (R, 4), features (R, feature_width).

    What the S-head imitates: the paper names the logits and the box features (section 3.3), and class
    features (section 3.4). All are here.
    """

    logits: Tensor
    deltas: Tensor
    class_features: Tensor
    box_features: Tensor


class TeacherHead(nn.Module):
    """T-head: two paths from RoI align's (R, width, p, p). For training only."""

    def __init__(self, config: MimicDetConfig) -> None:
        super().__init__()
        width, features = config.width, config.feature_width
        flat = width * config.pool_size**2
        self.class_fc1, self.class_fc2 = nn.Linear(flat, features), nn.Linear(features, features)
        layers: list[nn.Module] = []
        for _ in range(config.teacher_depth):
            layers += [nn.Conv2d(width, width, 3, padding=1), nn.ReLU(inplace=True)]
        self.box_convs = nn.Sequential(*layers)
        self.box_fc = nn.Linear(flat, features)
        self.classes = nn.Linear(features, config.num_classes + 1)
        self.boxes = nn.Linear(features, 4)

    def forward(self, pooled: Tensor) -> TeacherAnswer:
        """(R, width, p, p) -> what the S-head is to imitate, and the T-head's own answer."""
        class_features = F.relu(self.class_fc2(F.relu(self.class_fc1(pooled.flatten(1)))))
        box_features = F.relu(self.box_fc(self.box_convs(pooled).flatten(1)))
        return TeacherAnswer(
            self.classes(class_features), self.boxes(box_features), class_features, box_features
        )


@dataclass(frozen=True)
class TrainingMaps:
    """What the losses read, by level P3 to P7; `staggered` are P2 to P6, which the T-head pools from."""

    objectness: tuple[Tensor, ...]
    refine: tuple[Tensor, ...]
    student: tuple[StudentLevel, ...]
    staggered: tuple[Tensor, ...]


class MimicDet(OneStageDetector):
    """Normalised image (N, 3, H, W) -> raw maps by name, for level l = 3 to 7.

    "objectness_l" (N, 1, h, w) and "refine_l" (N, 4, h, w) adjust the one anchor of a cell; "classes_l"
    (N, C, h, w), background first, and "boxes_l" (N, 4, h, w) refine the adjusted one.
    """

    def __init__(self, config: MimicDetConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = ResNet(config.backbone)
        self.neck = FeaturePyramid(self.backbone.channels, config.width)
        self.refinement = Refinement(config.width)
        self.student = StudentHead(config)
        self.teacher: TeacherHead | None = TeacherHead(config)

    @property
    def complete(self) -> bool:
        """Whether P2 and the T-head are still there."""
        return self.teacher is not None

    def for_inference(self) -> Self:
        """Without P2 and the T-head (section 4.2)."""
        bare = super().for_inference()
        if bare.complete:
            top_down = bare.neck.top_down
            top_down.lateral = nn.ModuleList(list(top_down.lateral)[1:])
            top_down.smooth = nn.ModuleList(list(top_down.smooth)[1:])
            bare.teacher = None
        return bare

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """All levels' maps. P2 takes no part in them."""
        maps = self._pyramid(image)[-len(STRIDES) :]
        out: dict[str, Tensor] = {}
        for level, x in enumerate(maps):
            objectness, deltas = self.refinement(x)
            student = self.student(x, deltas, level)
            name = level + 3
            out[f"objectness_{name}"], out[f"refine_{name}"] = objectness, deltas
            out[f"classes_{name}"], out[f"boxes_{name}"] = student.logits, student.deltas
        return out

    def training_maps(self, image: Tensor) -> TrainingMaps:
        """Everything the losses read. Raises `UsageError` on a network made for inference."""
        self._teacher()
        pyramid = self._pyramid(image)
        refined = [self.refinement(x) for x in pyramid[1:]]
        student = [
            self.student(x, deltas, i)
            for i, (x, (_, deltas)) in enumerate(zip(pyramid[1:], refined, strict=True))
        ]
        return TrainingMaps(
            tuple(objectness for objectness, _ in refined),
            tuple(deltas for _, deltas in refined),
            tuple(student),
            pyramid[: len(STRIDES)],
        )

    def teach(self, maps: TrainingMaps, rois: Tensor, image_index: Tensor, levels: Tensor) -> TeacherAnswer:
        """The T-head on adjusted anchors (R, 4) in input pixels, of images (R,) and levels (R,), 0 for P3.

        An anchor of P_l is pooled from P_(l-1). Raises `UsageError` on a network made for inference.
        """
        teacher, size = self._teacher(), self.config.pool_size
        pooled = rois.new_zeros(len(rois), self.config.width, size, size)
        for level, (x, stride) in enumerate(zip(maps.staggered, STRIDES, strict=True)):
            own = (levels == level).nonzero()[:, 0]
            taken = roi_align(x, rois[own], image_index[own], stride // 2, size)
            pooled = pooled.index_copy(0, own, taken)
        answer: TeacherAnswer = teacher(pooled)
        return answer

    def spec(self) -> OneStageSpec:
        """`mimicdet_spec` of the configuration."""
        return mimicdet_spec(self.config)

    def predictors(self) -> list[Predictor]:
        """The refinement before the S-head, which samples where it says."""
        classes = self.config.num_classes + 1
        offsets = [a.offsets[-1] for a in (self.student.finest, self.student.others)]
        return [
            Predictor("objectness", self.refinement.objectness),
            Predictor("deltas", self.refinement.deltas),
            *(Predictor("objectness", layer) for layer in offsets if isinstance(layer, nn.Conv2d)),
            Predictor("softmax", self.student.classes, period=classes),
            Predictor("deltas", self.student.boxes),
        ]

    def _pyramid(self, image: Tensor) -> tuple[Tensor, ...]:
        maps = self.backbone(image)
        out: tuple[Tensor, ...] = self.neck(maps if self.complete else maps[1:])
        return out

    def _teacher(self) -> TeacherHead:
        if self.teacher is None:
            raise UsageError("this MimicDet was made for inference: it has no T-head to learn from")
        return self.teacher
