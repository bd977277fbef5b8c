"""GFLOPs of the Light-Weight RetinaNet paper's Table 3 beside ours.

The layers of the plain model amount to 0.956 of the paper's figure at 800 pixels, and to 0.97 and 0.96 at 700
and 600, where maps of odd sides are rounded up.
"""

from dataclasses import dataclass

import torch

from pocketdet.models.layer_cost import layer_cost
from pocketdet.models.retinanet.config import LW_RETINANET, RETINANET, RetinaNetConfig
from pocketdet.models.retinanet.detector import RetinaNet

ROWS = (
    ("RetinaNet", 800, RETINANET, 156),
    ("RetinaNet", 700, RETINANET, 119),
    ("RetinaNet", 600, RETINANET, 88),
    ("LW-RetinaNet-v1", 800, LW_RETINANET["v1"], 135),
    ("LW-RetinaNet-v2", 800, LW_RETINANET["v2"], 114),
    ("LW-RetinaNet-v3", 800, LW_RETINANET["v3"], 89),
)


@dataclass(frozen=True)
class GflopsRow:
    """One line: a model, its input's side in pixels, billions of MACs by us and by the paper, parameters."""

    model: str
    scale: int
    gmacs: float
    paper: int
    parameters: int


def gflops_table() -> list[GflopsRow]:
    """Table 3, ResNet-50-FPN, 80 classes, square inputs."""
    rows = []
    for name, scale, light, paper in ROWS:
        with torch.device("meta"):
            model = RetinaNet(RetinaNetConfig(input_size=(scale, scale), light=light))
        cost = layer_cost(model, (scale, scale))
        rows.append(GflopsRow(name, scale, cost.total / 1e9, paper, cost.parameters))
    return rows
