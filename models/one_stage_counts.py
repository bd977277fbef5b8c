"""What the one-stage detectors of the papers cost, beside what the papers say: MACs, parameters, boxes.

Sources: Light-Weight RetinaNet, Table 3; PASSD, Tables 1 and 4 to 6; MimicDet has no such figures. The papers
write FLOPs for multiply-accumulates.
"""

from dataclasses import dataclass

import torch

from pocketdet.models.build_one_stage import build_one_stage
from pocketdet.models.layer_cost import layer_cost
from pocketdet.models.retinanet.table import TABLE_3


@dataclass(frozen=True)
class PaperCounts:
    """A model at a square input of `side` pixels; billions of MACs, millions of parameters and default boxes
    as its paper has them, where it does.
    """

    arch: str
    side: int
    gmacs: int | None = None
    parameters: str | None = None
    boxes: int | None = None
    num_classes: int = 80


PAPER_COUNTS = (
    *(PaperCounts(row.arch, row.scale, row.gflops) for row in TABLE_3),
    PaperCounts("passd-vgg16", 320, None, "24.87", 6375, num_classes=20),
    PaperCounts("passd-vgg16", 320, None, "25"),
    PaperCounts("passd-vgg16", 512, None, "25", 16320),
    PaperCounts("passd-r101", 320, None, "47"),
    PaperCounts("passd-r101", 512, None, "47"),
    PaperCounts("passd-r101", 768, None, "48"),
    PaperCounts("passd-mobilenet", 320, None, "6.7"),
    *(PaperCounts("mimicdet-r50", side) for side in (400, 600, 800)),
    *(PaperCounts("mimicdet-r101", side) for side in (400, 600, 800)),
    PaperCounts("mimicdet-x101-64x4d", 800),
)


@dataclass(frozen=True)
class OneStageCounts:
    """`PaperCounts` and ours at inference: MACs of the convolutions, parameters with batch norm's own, boxes
    that are scored.
    """

    paper: PaperCounts
    macs: int
    parameters: int
    boxes: int


def count_one_stage(row: PaperCounts) -> OneStageCounts:
    """One row of `PAPER_COUNTS`, counted on the meta device."""
    size = (row.side, row.side)
    with torch.device("meta"):
        model = build_one_stage(row.arch, row.num_classes, size).for_inference()
    parameters = sum(p.numel() for p in model.parameters())
    return OneStageCounts(row, layer_cost(model, size).total, parameters, model.spec().count)
