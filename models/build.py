"""Architectures by name."""

from types import MappingProxyType
from typing import overload

from pocketdet.models.build_one_stage import ONE_STAGE, build_from, unknown_architecture
from pocketdet.models.config import DetectorConfig
from pocketdet.models.one_stage import OneStageDetector
from pocketdet.models.one_stage_config import OneStageConfig
from pocketdet.models.snet import SNET49, SNET146, SNET535, SNetChannels
from pocketdet.models.thundernet import ThunderNet

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
