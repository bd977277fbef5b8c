"""Architectures by name, as their papers have them."""

import difflib
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, overload

import torch

from pocketdet.errors import UsageError
from pocketdet.models.backbones import (
    RESNET50,
    RESNET101,
    RESNEXT101_64X4D,
    MobileNetConfig,
    ResNetConfig,
    VGGConfig,
)
from pocketdet.models.config import DetectorConfig
from pocketdet.models.mimicdet import MimicDet, MimicDetConfig
from pocketdet.models.one_stage import OneStageConfig, OneStageDetector
from pocketdet.models.passd import PASSD, PASSDConfig
from pocketdet.models.retinanet import LW_RETINANET, RETINANET, LightBranches, RetinaNet, RetinaNetConfig
from pocketdet.models.snet import SNET49, SNET146, SNET535, SNetChannels
from pocketdet.models.thundernet import ThunderNet
from pocketdet.spec.one_stage import Selection

Changes = Mapping[str, Any]  # of fields that the configurations of all families have
Builder = Callable[[int, tuple[int, int], Changes], OneStageDetector]
FIVE_LEVELS_FROM = 768  # pixels of the shorter side: PASSD's fifth level (section 4, footnote 1)


def _retinanet(light: LightBranches) -> Builder:
    return lambda classes, size, changes: RetinaNet(RetinaNetConfig(classes, size, light=light, **changes))


def _passd(backbone: VGGConfig | ResNetConfig | MobileNetConfig) -> Builder:
    def build(classes: int, size: tuple[int, int], changes: Changes) -> OneStageDetector:
        config = PASSDConfig(backbone, classes, size, **changes)
        return PASSD(replace(config, levels=5) if min(size) >= FIVE_LEVELS_FROM else config)

    return build


def _mimicdet(backbone: ResNetConfig) -> Builder:
    return lambda classes, size, changes: MimicDet(MimicDetConfig(classes, size, backbone, **changes))


ONE_STAGE: MappingProxyType[str, Builder] = MappingProxyType(
    {
        "retinanet-r50": _retinanet(RETINANET),
        **{f"lw-retinanet-{version}-r50": _retinanet(light) for version, light in LW_RETINANET.items()},
        "passd-vgg16": _passd(VGGConfig()),
        "passd-r101": _passd(RESNET101),
        "passd-mobilenet": _passd(MobileNetConfig()),
        "mimicdet-r50": _mimicdet(RESNET50),
        "mimicdet-r101": _mimicdet(RESNET101),
        "mimicdet-x101-64x4d": _mimicdet(RESNEXT101_64X4D),
    }
)


def build_one_stage(
    arch: str, num_classes: int, input_size: tuple[int, int], changes: Changes = MappingProxyType({})
) -> OneStageDetector:
    """A detector with fresh weights, in eval mode, for `num_classes` without background.

    `input_size` is (height, width); `changes` of `base_size` and `selection` replace the paper's. Raises
    `UsageError` for an unknown architecture.
    """
    builder = ONE_STAGE.get(arch)
    if builder is None:
        raise unknown_architecture(arch, ONE_STAGE, "one-stage architecture")
    return builder(num_classes, input_size, changes).eval()


def unknown_architecture(arch: str, known: Collection[str], kind: str = "architecture") -> UsageError:
    """To be raised where `arch` is not among the `known`: with the nearest of them, and all."""
    near = difflib.get_close_matches(arch, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return UsageError(f"unknown {kind} {arch!r}: {hint}known: {', '.join(known)}")


def build_from(config: OneStageConfig) -> OneStageDetector:
    """The detector of a checkpoint's configuration, fresh, in eval mode; it remembers its `settings`.

    Raises `UsageError` for an unknown architecture.
    """
    fields = {"base_size": config.base_size, "selection": config.selection}
    changes = {name: value for name, value in fields.items() if value is not None}
    model = build_one_stage(config.arch, len(config.class_names), config.input_size, changes)
    model.built_from = config
    return model


def papers_selection(config: OneStageConfig) -> Selection:
    """Which candidates become detections where `config.selection` does not say. Raises `UsageError`."""
    with torch.device("meta"):
        return build_from(replace(config, selection=None)).spec().selection


ARCHITECTURES: MappingProxyType[str, SNetChannels] = MappingProxyType(
    {"thundernet-snet49": SNET49, "thundernet-snet146": SNET146, "thundernet-snet535": SNET535}
)
AnyConfig = DetectorConfig | OneStageConfig
AnyDetector = ThunderNet | OneStageDetector


@overload
def build_detector(config: DetectorConfig) -> ThunderNet: ...
@overload
def build_detector(config: OneStageConfig) -> OneStageDetector: ...
@overload
def build_detector(config: AnyConfig) -> AnyDetector: ...
def build_detector(config: AnyConfig) -> AnyDetector:
    """A detector with fresh weights, in eval mode.

    Raises `UsageError` for an unknown architecture or an input size that does not fit the strides.
    """
    if isinstance(config, OneStageConfig):
        return build_from(config)
    channels = ARCHITECTURES.get(config.arch)
    if channels is None:
        raise unknown_architecture(config.arch, architecture_names())
    return ThunderNet(config, channels).eval()


def architecture_names() -> tuple[str, ...]:
    """Names of all architectures, with two stages and with one."""
    return (*ARCHITECTURES, *ONE_STAGE)


def is_one_stage(arch: str) -> bool:
    """Whether `arch` names a one-stage detector."""
    return arch in ONE_STAGE


def config_of(model: AnyDetector) -> AnyConfig:
    """What the model was built from. Raises `UsageError` for a one-stage network that has no names."""
    return model.config if isinstance(model, ThunderNet) else model.settings
