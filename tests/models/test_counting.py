"""Multiply-accumulates against the papers' tables, the derivation of the design notes, and hand formulas."""

import copy

import pytest
import torch
from torch import nn

from pocketdet.models.build import ARCHITECTURES, build_detector
from pocketdet.models.config import DetectorConfig, Proposals, RoIHead
from pocketdet.models.counting import PAPER_MFLOPS, Cost, count, mac_table
from pocketdet.models.snet import SNetChannels
from pocketdet.models.thundernet import ThunderNet

COCO, VOC = 80, 20
# millions, derived from Table 1's channels: COCO, VOC
DERIVED = {
    "thundernet-snet49": (263.5, 251.2),
    "thundernet-snet146": (502.3, 490.0),
    "thundernet-snet535": (1299.3, 1287.0),
}
# Table 1's SNet146 channels cost 160.6 M at 224x224, not 146 M: 9% more backbone than the paper counts
SNET146_EXCESS = 160.6 / 146


def cost_of(arch: str, side: int = 320, classes: int = COCO, head: RoIHead | None = None) -> Cost:
    names = tuple(f"class {i}" for i in range(classes))
    with torch.device("meta"):
        return count(build_detector(DetectorConfig(arch, names, (side, side), head=head or RoIHead())))


def conv(side: int, out: int, per_output: int) -> int:
    return side * side * out * per_output


def backbone_by_hand(channels: SNetChannels, image: int) -> int:
    """SNet's layers by their formula: h * w * out * (in / groups) * k * k."""
    side = image // 2
    total = conv(side, channels.conv1, 3 * 9)
    side, previous = side // 2, channels.conv1
    for width, repeats in zip(channels.stages, (3, 7, 3), strict=True):
        side, half = side // 2, width // 2
        total += conv(side, previous, 25) + conv(side, half, previous)  # shortcut
        total += conv(2 * side, half, previous) + conv(side, half, 25) + conv(side, half, half)
        total += repeats * (2 * conv(side, half, half) + conv(side, half, 25))
        previous = width
    return total + (conv(side, channels.conv5, previous) if channels.conv5 else 0)


def by_hand(channels: SNetChannels, image: int, classes: int) -> dict[str, int]:
    c4, c5 = image // 16, image // 32
    cem = conv(c4, 245, channels.c4) + conv(c5, 245, channels.c5) + 245 * channels.c5
    rpn = conv(c4, 245, 25) + conv(c4, 256, 245) + conv(c4, 50 + 100, 256)
    head = conv(c4, 245, 256) + 200 * (245 * 1024 + 1024 * (classes + 1 + 4))
    return {"backbone": backbone_by_hand(channels, image) + cem, "rpn": rpn, "head": head}


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize(("image", "classes"), [(320, COCO), (320, VOC), (96, 3)])
def test_counts_equal_the_formulas(arch: str, image: int, classes: int) -> None:
    assert cost_of(arch, image, classes).macs == by_hand(ARCHITECTURES[arch], image, classes)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_totals_are_those_of_the_derivation(arch: str) -> None:
    for classes, expected in zip((COCO, VOC), DERIVED[arch], strict=True):
        assert cost_of(arch, classes=classes).total / 1e6 == pytest.approx(expected, abs=0.05)


def test_the_table_stands_beside_tables_2_and_3() -> None:
    rows = mac_table()
    assert [(row.arch, row.data_set) for row in rows] == [
        (a, d) for a in ARCHITECTURES for d in ("COCO", "VOC")
    ]
    for row in rows:
        assert row.paper == PAPER_MFLOPS[row.arch][row.data_set == "VOC"]
        assert row.difference == pytest.approx(row.mmacs / row.paper - 1)
        if row.arch == "thundernet-snet146":
            assert 0.061 < row.difference < 0.064  # shown, not hidden
        else:
            assert abs(row.difference) < 0.01


@pytest.mark.parametrize(
    ("arch", "side", "paper"),
    [
        ("thundernet-snet49", 320, 262),
        ("thundernet-snet535", 128, 265),
        ("thundernet-snet49", 480, 506),
        ("thundernet-snet535", 192, 512),
    ],
)
def test_other_input_sizes_of_table_4(arch: str, side: int, paper: int) -> None:
    assert cost_of(arch, side).total / 1e6 == pytest.approx(paper, rel=0.006)


def test_snet146_at_224_of_table_4_differs_by_its_backbone() -> None:
    cost = cost_of("thundernet-snet146", 224)
    assert cost.total / 1e6 == pytest.approx(280.7, abs=0.1)  # the paper says 267
    excess = backbone_by_hand(ARCHITECTURES["thundernet-snet146"], 224) * (1 - 1 / SNET146_EXCESS)
    assert (cost.total - excess) / 1e6 == pytest.approx(267, rel=0.01)


def test_the_split_of_table_8() -> None:
    cost = cost_of("thundernet-snet146")
    assert cost.macs["rpn"] / 1e6 == pytest.approx(43, abs=0.5)
    assert cost.macs["head"] / 1e6 == pytest.approx(92, abs=1)
    excess = backbone_by_hand(ARCHITECTURES["thundernet-snet146"], 320) * (1 - 1 / SNET146_EXCESS)
    assert cost.macs["backbone"] / 1e6 == pytest.approx(366.7, abs=0.1)  # the paper says 338
    assert (cost.macs["backbone"] - excess) / 1e6 == pytest.approx(338, rel=0.01)


def test_the_large_head_of_table_8() -> None:
    cost = cost_of("thundernet-snet49", head=RoIHead(alpha=10, fc_channels=2048))
    assert cost.macs["backbone"] / 1e6 == pytest.approx(154, rel=0.012)
    assert cost.macs["rpn"] / 1e6 == pytest.approx(70, abs=0.5)
    assert cost.macs["head"] / 1e6 == pytest.approx(286, abs=0.5)
    assert cost.total / 1e6 == pytest.approx(510, rel=0.004)


def test_the_head_is_counted_for_the_rois_of_the_configuration() -> None:
    few = DetectorConfig("thundernet-snet49", ("bolt",), (64, 64), proposals=Proposals(post_nms_top_n=10))
    with torch.device("meta"):
        model = build_detector(few)
    assert count(model).macs["head"] == conv(4, 245, 256) + 10 * (245 * 1024 + 1024 * 6)


def test_parameters_are_those_of_the_folded_layers(small_model: ThunderNet) -> None:
    layers = [m for m in small_model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    weights = sum(m.weight.numel() for m in layers)
    biases = sum(m.weight.shape[0] for m in layers)
    assert count(small_model).parameters == weights + biases


def test_counting_leaves_the_model_as_it_was(small_model: ThunderNet) -> None:
    model = copy.deepcopy(small_model).train()
    assert count(model) == count(small_model)
    assert model.training
    assert not any(m._forward_hooks for m in model.modules())
    for name, value in small_model.state_dict().items():
        assert torch.equal(value, model.state_dict()[name]), name


def test_a_model_in_training_is_counted_even_where_batch_norm_could_not_run() -> None:
    with torch.device("meta"):  # C5 is one cell: a batch of one has no variance
        model = build_detector(DetectorConfig("thundernet-snet49", ("bolt",), (32, 32))).train()
    assert count(model).macs == by_hand(ARCHITECTURES["thundernet-snet49"], 32, 1)
