"""Multiply-accumulates and parameters, counted from the layers that run.

The papers write "MFLOPs" and mean millions of multiply-accumulates (MACs). ThunderNet Table 8 splits them
into backbone (SNet and CEM), RPN and head (SAM's 1x1 and the R-CNN subnet on 200 RoIs).
"""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pocketdet.models.build import ARCHITECTURES, build_detector
from pocketdet.models.config import DetectorConfig
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


@dataclass(frozen=True)
class Cost:
    """MACs by part ("backbone", "rpn", "head") and parameters of a detector, its batch norm folded."""

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

    A copy without values runs, so `model` keeps its mode and its batch norm statistics.
    """
    model = copy.deepcopy(model).to("meta").eval()
    macs = dict.fromkeys(("backbone", "rpn", "head"), 0)
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            part = _PARTS[name.split(".")[0]]

            def add(layer: nn.Module, _: object, output: Tensor, part: str = part) -> None:
                macs[part] += _macs(layer, output)

            module.register_forward_hook(add)
    height, width = model.config.input_size
    rois = model.config.proposals.post_nms_top_n
    with torch.no_grad():
        model(torch.zeros(1, 3, height, width, device="meta"))
        model.head(torch.zeros(rois, model.config.head.channels, device="meta"))
    return Cost(macs, _folded_parameters(model))


def _macs(layer: nn.Module, output: Tensor) -> int:
    assert isinstance(layer, nn.Conv2d | nn.Linear)
    return output.numel() * layer.weight[0].numel()


def _folded_parameters(model: nn.Module) -> int:
    """Weights and biases as they are deployed: batch norm folded, so every layer has a bias."""
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    return sum(m.weight.numel() + m.weight.shape[0] for m in layers)


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
