"""The one-stage detectors learn a few pictures by heart: networks, targets, losses and decode agree.

Narrow networks, so that it is quick; `python -m pocketdet.models.training.overfit` takes the real ones.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from learnt_scenes import NAMES, scenes

from pocketdet.models.backbones import MobileNetConfig, ResNetConfig
from pocketdet.models.mimicdet import MimicDet, MimicDetConfig
from pocketdet.models.one_stage import OneStageDetector
from pocketdet.models.one_stage_config import OneStageConfig
from pocketdet.models.passd import PASSD, PASSDConfig
from pocketdet.models.retinanet import LW_RETINANET, RetinaNet, RetinaNetConfig
from pocketdet.models.training.augment.compose import plain_view
from pocketdet.models.training.labelled import Labelled
from pocketdet.models.training.overfit import accuracy_on, learn, overfit_config
from pocketdet.models.training.start import initialise
from pocketdet.one_stage_spec import Selection

SIDE = 96
CLASSES, SIZE = len(NAMES), (SIDE, SIDE)
NARROW = ResNetConfig((1, 1, 1, 1), 16)
FEW = Selection(score_threshold=0.05, nms_iou=0.5)


@pytest.fixture(scope="module")
def pictures() -> list[Labelled]:
    return [plain_view(picture, SIDE) for picture in scenes()]


def passd() -> OneStageDetector:
    config = PASSDConfig(MobileNetConfig(16), CLASSES, SIZE, extra_width=128, width=64, base_size=2.0)
    return PASSD(replace(config, selection=FEW))


def retinanet() -> OneStageDetector:
    light = LW_RETINANET["v3"]
    return RetinaNet(RetinaNetConfig(CLASSES, SIZE, NARROW, 48, 2, light, 2.0, selection=FEW))


def mimicdet() -> OneStageDetector:
    config = MimicDetConfig(CLASSES, SIZE, NARROW, width=32, feature_width=64, base_size=2.0)
    return MimicDet(replace(config, selection=FEW))


@pytest.mark.parametrize(
    ("arch", "build", "count", "steps", "rate", "least"),
    [
        ("passd-mobilenet", passd, 16, 80, 1e-3, 0.9),
        ("lw-retinanet-v3-r50", retinanet, 16, 40, 2e-3, 0.9),
        ("mimicdet-r50", mimicdet, 8, 90, 2e-3, 0.5),  # above 0.9 it takes longer than a test may
    ],
)
def test_pictures_are_learnt(
    pictures: list[Labelled],
    arch: str,
    build: Callable[[], OneStageDetector],
    count: int,
    steps: int,
    rate: float,
    least: float,
) -> None:
    torch.manual_seed(0)
    model, pictures = build(), pictures[:count]
    model.built_from = OneStageConfig(arch, NAMES, SIZE)
    setup = overfit_config(arch, SIDE, steps, len(pictures), rate)
    initialise(model, setup.seed, setup.background_bias)
    reports = learn(setup, model, pictures)
    first, last = reports[0].losses, reports[-1].losses
    assert last["loss"] < 0.2 * first["loss"], (first, last)
    if "mimic" in first:
        assert last["mimic"] < 0.5 * first["mimic"], (first, last)
    accuracy = accuracy_on(model, pictures, NAMES)
    assert accuracy.ap50 > least, (accuracy.ap50, last)
