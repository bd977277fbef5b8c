"""MimicDet (Lu et al. 2020): a one-stage head that learns from a two-stage head of the same network."""

from pocketdet.models.mimicdet.config import MimicDetConfig, mimicdet_spec
from pocketdet.models.mimicdet.detector import (
    MimicDet,
    StudentLevel,
    TeacherAnswer,
    TeacherHead,
    TrainingMaps,
)

__all__ = [
    "MimicDet",
    "MimicDetConfig",
    "StudentLevel",
    "TeacherAnswer",
    "TeacherHead",
    "TrainingMaps",
    "mimicdet_spec",
]
