import itertools

import pytest
import torch
from torch import nn

from pocketdet.models.backbones import (
    RESNET50,
    RESNET101,
    RESNEXT101_64X4D,
    VGG,
    L2Norm,
    MobileNet,
    MobileNetConfig,
    ResNet,
    ResNetConfig,
    VGGConfig,
)
from pocketdet.models.counting import layer_cost

# published parameters (with scale and shift of batch norms, less the 1000-way classifier), MACs at 224x224:
# He et al. Table 1 (3.8 GFLOPs with the classifier; 4.09 and 7.80 with the stride in the 3x3), Xie et al.
# 15.5 G, VGG 15.3 G and fc6, fc7, Howard et al. 569 M with the classifier
PUBLISHED = [
    (ResNet, ResNetConfig((3, 4, 6, 3), stride_in_1x1=True), 25_557_032 - 2_049_000, 3.857e9 - 2.048e6),
    (ResNet, RESNET50, 25_557_032 - 2_049_000, 4.089e9 - 2.048e6),
    (ResNet, RESNET101, 44_549_160 - 2_049_000, 7.801e9 - 2.048e6),
    (ResNet, RESNEXT101_64X4D, 83_455_272 - 2_049_000, 15.46e9 - 2.048e6),
    (
        VGG,
        VGGConfig(),
        14_714_688 + 9 * 512 * 1024 + 1024 + 1024 * 1024 + 1024,
        15.3466e9 + 14**2 * 5_767_168,
    ),
    (MobileNet, MobileNetConfig(), 4_231_976 - 1_025_000, 568.74e6 - 1.024e6),
]


@pytest.mark.parametrize(("kind", "config", "parameters", "macs"), PUBLISHED)
def test_published_counts(kind, config, parameters, macs):
    with torch.device("meta"):
        model = kind(config)
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert layer_cost(model, (224, 224)).total == pytest.approx(macs, rel=1e-3)


SMALL = [
    (ResNet, ResNetConfig((1, 2, 1, 1), width=8), (4, 8, 16, 32)),
    (ResNet, ResNetConfig((1, 1, 1, 1), 16, groups=4, group_width=16, stride_in_1x1=True), (4, 8, 16, 32)),
    (VGG, VGGConfig(4), (8, 16)),
    (VGG, VGGConfig(4, batch_norm=True), (8, 16)),
    (MobileNet, MobileNetConfig(8), (8, 16, 32)),
]


@pytest.mark.parametrize(("kind", "config", "strides"), SMALL)
def test_small_variants(kind, config, strides):
    model = kind(config).eval()
    maps = model(torch.rand(2, 3, 70, 96))
    for x, channels, stride in zip(maps, config.channels, strides, strict=True):
        assert x.shape == (2, channels, -(-70 // stride), -(-96 // stride))
        assert bool((x >= 0).all())  # after a ReLU


def test_l2_norm_gives_unit_vectors_times_its_scale():
    x = torch.rand(1, 5, 2, 3) + 0.1
    torch.testing.assert_close(L2Norm(5)(x).norm(dim=1), torch.full((1, 2, 3), 20.0))
    assert torch.isfinite(L2Norm(5)(torch.zeros(1, 5, 1, 1))).all()


def test_every_batch_norm_follows_a_convolution_without_bias():
    for kind, config, _ in SMALL:
        layers = [m for m in kind(config).modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)]
        for conv, norm in itertools.pairwise(layers):
            assert isinstance(conv, nn.Conv2d) or isinstance(norm, nn.Conv2d)
            if isinstance(norm, nn.BatchNorm2d):
                assert isinstance(conv, nn.Conv2d)
                assert conv.bias is None
