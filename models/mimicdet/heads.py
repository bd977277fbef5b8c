"""MimicDet's three heads. Section 3.2 (refinement), 3.3 and Figure 2 (S-head, T-head)."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from pocketdet.models.mimicdet.config import MimicDetConfig
from pocketdet.models.ops.deform_conv import DeformConv2d


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
