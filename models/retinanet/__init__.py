"""RetinaNet and Light-Weight RetinaNet (Li and Ren 2019)."""

from pocketdet.models.retinanet.config import (
    LW_RETINANET,
    RETINANET,
    LightBranches,
    RetinaNetConfig,
    retinanet_spec,
)
from pocketdet.models.retinanet.detector import RetinaNet

__all__ = [
    "LW_RETINANET",
    "RETINANET",
    "LightBranches",
    "RetinaNet",
    "RetinaNetConfig",
    "retinanet_spec",
]
