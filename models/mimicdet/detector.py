"""MimicDet: backbone, staggered pyramid, refinement, S-head; in training also P2 and the T-head."""

from dataclasses import dataclass
from typing import Self

from torch import Tensor, nn

from pocketdet.errors import UsageError
from pocketdet.models.backbones import ResNet
from pocketdet.models.mimicdet.config import STRIDES, MimicDetConfig
from pocketdet.models.mimicdet.decode import mimicdet_spec
from pocketdet.models.mimicdet.heads import Refinement, StudentHead, StudentLevel, TeacherAnswer, TeacherHead
from pocketdet.models.necks import FeaturePyramid
from pocketdet.models.one_stage import OneStageDetector, Predictor
from pocketdet.models.ops.roi_align import roi_align
from pocketdet.spec.one_stage import OneStageSpec


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
