"""The Light-Weight RetinaNet paper's Table 3: ResNet-50-FPN, COCO, what a smaller input or head costs."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Table3Row:
    """One line: an architecture, the scale (shorter side in pixels), the paper's AP and GFLOPs (MACs)."""

    arch: str
    scale: int
    ap: float
    gflops: int

    @property
    def is_light(self) -> bool:
        """Whether the head is lighter than RetinaNet's."""
        return self.arch != "retinanet-r50"


TABLE_3 = (
    Table3Row("retinanet-r50", 800, 35.7, 156),
    Table3Row("retinanet-r50", 700, 35.1, 119),
    Table3Row("retinanet-r50", 600, 34.3, 88),
    Table3Row("lw-retinanet-v1-r50", 800, 35.4, 135),
    Table3Row("lw-retinanet-v2-r50", 800, 35.1, 114),
    Table3Row("lw-retinanet-v3-r50", 800, 34.6, 89),
)
