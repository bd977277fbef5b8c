"""Backbones of the one-stage detectors: each gives a tuple of maps, finest first, and their channels."""

from pocketdet.models.backbones.mobilenet import MobileNet, MobileNetConfig
from pocketdet.models.backbones.resnet import (
    RESNET50,
    RESNET101,
    RESNEXT101_64X4D,
    Bottleneck,
    ResNet,
    ResNetConfig,
)
from pocketdet.models.backbones.vgg import VGG, L2Norm, VGGConfig

__all__ = [
    "RESNET50",
    "RESNET101",
    "RESNEXT101_64X4D",
    "VGG",
    "Bottleneck",
    "L2Norm",
    "MobileNet",
    "MobileNetConfig",
    "ResNet",
    "ResNetConfig",
    "VGGConfig",
]
