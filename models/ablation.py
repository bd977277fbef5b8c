"""ThunderNet's Table 7: what each part of the detector costs, SNet146 on COCO at 320x320.

The baseline is a compressed Light-Head R-CNN. Read as in section 4.4.3, with C5 squeezed before it is
upsampled: squeezing it afterwards would make CEM cheaper than no CEM by 38 million, where the table has one
million more. The text says 703 MFLOPs for the baseline and the table 714. The layers say 714 (the 3x3
convolution of 245 channels costs 198 million more than what replaces it), and so do the text's own savings of
28% (b) and 34% (f). SNet146's backbone has 29 million more than the paper counts in every row (`counting`):
366.7 with CEM against 338 in Table 8. Less that, every row is the paper's within 0.6 million.
"""

from dataclasses import dataclass

import torch

from pocketdet.models.build import build_detector
from pocketdet.models.config import DetectorConfig, Parts, RoIHead
from pocketdet.models.counting import DATA_SETS, Cost, count

ARCH = "thundernet-snet146"
LARGE_FC, SMALL_FC = 2048, 1024


@dataclass(frozen=True)
class Variant:
    """A row of the table as the paper prints it: its letter, what it has, and its MFLOPs."""

    row: str
    parts: Parts
    fc_channels: int
    paper: int

    @property
    def has(self) -> str:
        """The parts that it has, in the table's words."""
        parts = {
            "SRPN": self.parts.small_rpn,
            "SRCN": self.fc_channels == SMALL_FC,
            "CEM": self.parts.context_enhancement,
            "SAM": self.parts.spatial_attention,
        }
        return " ".join(name for name, there in parts.items() if there) or "BL"


TABLE_7 = (
    Variant("a", Parts(False, False, False), LARGE_FC, 714),
    Variant("b", Parts(True, False, False), LARGE_FC, 516),
    Variant("c", Parts(True, False, False), SMALL_FC, 448),
    Variant("d", Parts(True, True, False), SMALL_FC, 449),
    Variant("e", Parts(True, False, True), SMALL_FC, 473),
    Variant("f", Parts(True, True, True), SMALL_FC, 473),
)


def detector_of(variant: Variant) -> DetectorConfig:
    """The configuration of a row, with COCO's number of classes."""
    names = tuple(f"class {i}" for i in range(DATA_SETS["COCO"]))
    return DetectorConfig(ARCH, names, head=RoIHead(fc_channels=variant.fc_channels), parts=variant.parts)


def ablation_table() -> list[tuple[Variant, Cost]]:
    """Every row of Table 7 with what our model costs."""
    rows = []
    for variant in TABLE_7:
        with torch.device("meta"):
            model = build_detector(detector_of(variant))
        rows.append((variant, count(model)))
    return rows
