"""Every family overfits a few images: network, targets, losses, optimizer and decode agree.

Narrow networks and few steps in float64, whose end is the same on every processor;
`python -m pocketdet.training.overfit` trains the real ones.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from float64_training import NAMES, coloured_boxes, float64

from pocketdet.models.backbones import MobileNetConfig, ResNetConfig
from pocketdet.models.build import AnyDetector, build_detector
from pocketdet.models.mimicdet import MimicDet, MimicDetConfig
from pocketdet.models.one_stage import OneStageConfig
from pocketdet.models.passd import PASSD, PASSDConfig
from pocketdet.models.retinanet import LW_RETINANET, RetinaNet, RetinaNetConfig
from pocketdet.spec.one_stage import Selection
from pocketdet.training.loss_config import ThunderNetLossConfig
from pocketdet.training.overfit import accuracy_on, learn, overfit_config
from pocketdet.training.start import initialise

__all__ = ["float64"]

SIDE = 96
CLASSES, SIZE = len(NAMES), (SIDE, SIDE)
NARROW = ResNetConfig((1, 1, 1, 1), 8)
FEW = Selection(score_threshold=0.05, nms_iou=0.5)


def thundernet() -> AnyDetector:
    return build_detector(overfit_config("thundernet-snet49", SIDE, 1, 1, 1e-3).detector(NAMES))


def passd() -> AnyDetector:
    config = PASSDConfig(MobileNetConfig(8), CLASSES, SIZE, extra_width=32, width=32, base_size=2.0)
    return PASSD(replace(config, selection=FEW))


def retinanet() -> AnyDetector:
    return RetinaNet(RetinaNetConfig(CLASSES, SIZE, NARROW, 32, 1, LW_RETINANET["v3"], 2.0, selection=FEW))


def mimicdet() -> AnyDetector:
    config = MimicDetConfig(CLASSES, SIZE, NARROW, width=16, feature_width=24, base_size=2.0)
    return MimicDet(replace(config, selection=FEW))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    ("arch", "build", "count", "steps", "rate", "ap50", "left"),
    [
        ("thundernet-snet49", thundernet, 2, 30, 2e-3, 0.95, 0.1),
        pytest.param("passd-mobilenet", passd, 2, 40, 2e-3, 0.9, 0.2, marks=pytest.mark.slow),
        ("lw-retinanet-v3-r50", retinanet, 4, 20, 2e-3, 0.9, 0.2),
        pytest.param("mimicdet-r50", mimicdet, 2, 40, 3e-3, 0.5, 0.2, marks=pytest.mark.slow),
    ],
)
def test_a_few_images_are_overfitted(
    arch: str,
    build: Callable[[], AnyDetector],
    count: int,
    steps: int,
    rate: float,
    ap50: float,
    left: float,
) -> None:
    """`left` is the share of the first loss that may be left after the last step."""
    images = coloured_boxes(SIDE, count)
    setup = overfit_config(arch, SIDE, steps, count, rate)
    setup = replace(
        setup,
        losses=ThunderNetLossConfig(0.6, 0.4, 32, 32, pre_nms=100, proposals=50, rois=32, ohem=0, jitter=8),
    )
    model = build()
    if arch != "thundernet-snet49":
        model.built_from = OneStageConfig(arch, NAMES, SIZE)
    initialise(model, setup.seed, setup.background_bias)
    reports = learn(setup, model, images)
    assert {p.dtype for p in model.parameters()} == {torch.float64}
    first, last = reports[0].losses, reports[-1].losses
    assert last["loss"] < left * first["loss"], (first, last)
    if "mimic" in first:
        assert last["mimic"] < 0.5 * first["mimic"], (first, last)
    accuracy = accuracy_on(model, images, NAMES)
    assert accuracy.ap50 > ap50, (accuracy.ap50, last)
