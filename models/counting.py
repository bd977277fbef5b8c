"""Multiply-accumulates and parameters, counted from the layers that run.

The papers write "MFLOPs" and mean millions of multiply-accumulates (MACs). ThunderNet Table 8 splits them
into backbone (SNet and CEM), RPN and head (SAM's 1x1 and the R-CNN subnet on 200 RoIs); Table 7 has the cost
of each part (`ablation_table`). The figures of the one-stage detectors: Light-Weight RetinaNet, Table 3;
PASSD, Tables 1 and 4 to 6; MimicDet has none.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from pocketdet.models.build import ARCHITECTURES, build_detector, build_one_stage
from pocketdet.models.config import DetectorConfig, Parts, RoIHead
from pocketdet.models.ops.deform_conv import DeformConv2d
from pocketdet.models.thundernet import ThunderNet

# "MFLOPs" of Tables 2 and 3, input 320x320: (COCO, 81 classes), (VOC, 21 classes)
PAPER_MFLOPS = {
    "thundernet-snet49": (262, 250),
    "thundernet-snet146": (473, 461),
    "thundernet-snet535": (1300, 1287),
}
DATA_SETS = {"COCO": 80, "VOC": 20}
_PARTS = {
    "backbone": "backbone",
    "cem": "backbone",
    "maps": "backbone",  # in place of CEM
    "rpn": "rpn",
    "sam": "head",
    "head": "head",
}

Model = TypeVar("Model", bound=nn.Module)
_LAYERS = (nn.Conv2d, nn.Linear, DeformConv2d)


@dataclass(frozen=True)
class Cost:
    """MACs by part and parameters of a detector, its batch norm folded."""

    macs: dict[str, int]
    parameters: int

    @property
    def total(self) -> int:
        """All MACs of one image."""
        return sum(self.macs.values())


@dataclass(frozen=True)
class MacRow:
    """One line of the table: ours (millions) beside the paper's."""

    arch: str
    data_set: str
    cost: Cost
    paper: int

    @property
    def mmacs(self) -> float:
        """Ours, in millions."""
        return self.cost.total / 1e6

    @property
    def difference(self) -> float:
        """Ours relative to the paper's, minus one."""
        return self.mmacs / self.paper - 1


def count(model: ThunderNet) -> Cost:
    """Cost of one image of the model's input size with the RoIs of its configuration.

    The parts are "backbone", "rpn" and "head". A copy without values runs, so `model` keeps its mode and its
    batch norm statistics.
    """
    height, width = model.config.input_size
    rois = model.config.proposals.post_nms_top_n

    def run(detector: ThunderNet) -> None:
        detector(torch.zeros(1, 3, height, width, device="meta"))
        detector.head(torch.zeros(rois, model.config.head.channels, device="meta"))

    return _count(model, run, lambda name: _PARTS[name.split(".")[0]])


def layer_cost(model: nn.Module, size: tuple[int, int], depth: int = 1) -> Cost:
    """Cost of one image of `size` (height, width), parameters with batch norm folded.

    MACs are summed by the first `depth` components of the module's name. A deformable convolution counts as
    the convolution it replaces. A copy without values runs, so `model` keeps its mode and statistics.
    """

    def run(network: nn.Module) -> None:
        network(torch.zeros(1, 3, *size, device="meta"))

    return _count(model, run, lambda name: ".".join(name.split(".")[:depth]))


def _count(model: Model, run: Callable[[Model], None], part_of: Callable[[str], str]) -> Cost:
    model = copy.deepcopy(model).to("meta").eval()
    macs: dict[str, int] = {}
    for name, module in model.named_modules():
        if isinstance(module, _LAYERS):

            def add(layer: nn.Module, _: object, output: Tensor, part: str = part_of(name)) -> None:
                assert isinstance(layer.weight, Tensor)
                macs[part] = macs.get(part, 0) + output.numel() * layer.weight[0].numel()

            module.register_forward_hook(add)
    with torch.no_grad():
        run(model)
    return Cost(macs, _folded_parameters(model))


def _folded_parameters(model: nn.Module) -> int:
    """All but batch norm's own, and a bias in each layer."""
    norms = sum(p.numel() for m in model.modules() if isinstance(m, nn.BatchNorm2d) for p in m.parameters())
    missing = (m.weight.shape[0] for m in model.modules() if isinstance(m, _LAYERS) and m.bias is None)
    return sum(p.numel() for p in model.parameters()) - norms + sum(missing)


def mac_table(input_size: tuple[int, int] = (320, 320)) -> list[MacRow]:
    """Every architecture at COCO and VOC class counts, beside the paper's Tables 2 and 3."""
    rows = []
    for arch in ARCHITECTURES:
        for (data_set, classes), paper in zip(DATA_SETS.items(), PAPER_MFLOPS[arch], strict=True):
            names = tuple(f"class {i}" for i in range(classes))
            with torch.device("meta"):
                model = build_detector(DetectorConfig(arch, names, input_size))
            rows.append(MacRow(arch, data_set, count(model), paper))
    return rows


@dataclass(frozen=True)
class Table3Row:
    """One line of Light-Weight RetinaNet's Table 3, ResNet-50-FPN on COCO: architecture, scale (shorter
    side in pixels), the paper's AP and GFLOPs (MACs).
    """

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
    """Every row of ThunderNet's Table 7 with what our model costs: SNet146 on COCO at 320x320.

    The baseline is a compressed Light-Head R-CNN. Read as in section 4.4.3, with C5 squeezed before it is
    upsampled: squeezing it afterwards would make CEM cheaper than no CEM by 38 million, where the table has
    one million more. The text says 703 MFLOPs for the baseline and the table 714. The layers say 714 (the 3x3
    convolution of 245 channels costs 198 million more than what replaces it), and so do the text's own
    savings of 28% (b) and 34% (f). SNet146's backbone has 29 million more than the paper counts in every row:
    366.7 with CEM against 338 in Table 8. Less that, every row is the paper's within 0.6 million.
    """
    rows = []
    for variant in TABLE_7:
        with torch.device("meta"):
            model = build_detector(detector_of(variant))
        rows.append((variant, count(model)))
    return rows
