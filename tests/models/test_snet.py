"""SNet against Table 1 of ThunderNet, and its parts against plain definitions."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pocketdet.models.snet import (
    SNET49,
    SNET146,
    SNET535,
    UNITS_PER_STAGE,
    BasicUnit,
    ChannelShuffle,
    DownUnit,
    SNet,
    SNetChannels,
    conv_bn,
)

# Table 1: Conv1, stages 2, 3, 4, Conv5
TABLE_1 = [
    (SNET49, (24, 60, 120, 240, 512)),
    (SNET146, (24, 132, 264, 528, None)),
    (SNET535, (48, 248, 496, 992, None)),
]
ALL = pytest.mark.parametrize("channels", [SNET49, SNET146, SNET535], ids=["49", "146", "535"])


def shapes_of_stages(net: SNet, image: Tensor) -> dict[str, tuple[int, ...]]:
    """Output (C, H, W) of every direct child that ran."""
    seen: dict[str, tuple[int, ...]] = {}
    for name, child in net.named_children():
        child.register_forward_hook(lambda m, i, out, name=name: seen.__setitem__(name, tuple(out.shape[1:])))
    net(image)
    return seen


@pytest.mark.parametrize(("channels", "row"), TABLE_1)
def test_every_stage_is_as_in_table_1(channels: SNetChannels, row: tuple[int | None, ...]) -> None:
    with torch.device("meta"):
        seen = shapes_of_stages(SNet(channels).eval(), torch.zeros(1, 3, 224, 224))
    conv1, stage2, stage3, stage4, conv5 = row
    expected = {
        "conv1": (conv1, 112, 112),
        "pool": (conv1, 56, 56),
        "stage2": (stage2, 28, 28),
        "stage3": (stage3, 14, 14),
        "stage4": (stage4, 7, 7),
    }
    assert seen == expected | ({"conv5": (conv5, 7, 7)} if conv5 else {})


@ALL
def test_units_and_kernels_are_as_in_table_1(channels: SNetChannels) -> None:
    net = SNet(channels)
    assert UNITS_PER_STAGE == (4, 8, 4)
    for stage, units in zip((net.stage2, net.stage3, net.stage4), UNITS_PER_STAGE, strict=True):
        assert [type(unit) for unit in stage] == [DownUnit] + [BasicUnit] * (units - 1)
    convolutions = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
    depthwise = [m for m in convolutions if m.groups > 1]
    assert {m.kernel_size for m in depthwise} == {(5, 5)}
    assert all(m.groups == m.in_channels == m.out_channels for m in depthwise)
    assert len(depthwise) == 16 + 3  # one per unit, and one more on each stride's shortcut
    assert {m.kernel_size for m in convolutions if m.groups == 1} == {(3, 3), (1, 1)}


@ALL
def test_every_convolution_is_followed_by_its_batch_norm(channels: SNetChannels) -> None:
    modules = [m for m in SNet(channels).modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)]
    for conv, norm in zip(modules[::2], modules[1::2], strict=True):
        assert isinstance(conv, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        assert conv.bias is None
        assert conv.out_channels == norm.num_features


@ALL
@pytest.mark.parametrize("size", [(64, 96), (96, 160), (32, 32)])
def test_c4_and_c5_have_strides_16_and_32(channels: SNetChannels, size: tuple[int, int]) -> None:
    with torch.device("meta"):
        c4, c5 = SNet(channels).eval()(torch.zeros(2, 3, *size))
    assert c4.shape == (2, channels.c4, size[0] // 16, size[1] // 16)
    assert c5.shape == (2, channels.c5, size[0] // 32, size[1] // 32)


@pytest.mark.parametrize(("channels", "last"), [(SNET49, "conv5"), (SNET146, "stage4")], ids=["49", "146"])
def test_c4_is_stage_3_and_c5_the_last_layer(channels: SNetChannels, last: str) -> None:
    net, outputs = SNet(channels).eval(), {}
    for name in ("stage3", last):
        net.get_submodule(name).register_forward_hook(
            lambda m, i, out, name=name: outputs.__setitem__(name, out)
        )
    with torch.no_grad():
        c4, c5 = net(torch.rand(1, 3, 64, 64))
    assert c4 is outputs["stage3"]
    assert c5 is outputs[last]


@pytest.mark.parametrize("channels", [2, 4, 60, 264])
def test_channel_shuffle_interleaves_the_halves(channels: int) -> None:
    x = torch.arange(2 * channels * 3 * 2.0).reshape(2, channels, 3, 2)
    expected = np.empty(x.shape, np.float32)
    expected[:, 0::2] = x[:, : channels // 2].numpy()
    expected[:, 1::2] = x[:, channels // 2 :].numpy()
    assert np.array_equal(ChannelShuffle()(x).numpy(), expected)


def test_channel_shuffle_of_channels_last_memory() -> None:
    x = torch.rand(1, 8, 5, 3)
    assert torch.equal(ChannelShuffle()(x.contiguous(memory_format=torch.channels_last)), ChannelShuffle()(x))


def test_a_basic_unit_passes_half_of_its_channels() -> None:
    unit, x = BasicUnit(8).eval(), torch.randn(1, 8, 6, 6)
    with torch.no_grad():
        out, computed = unit(x), unit.branch(x[:, 4:])
    assert torch.equal(out[:, 0::2], x[:, :4])
    assert torch.equal(out[:, 1::2], computed)


def test_a_down_unit_computes_both_halves() -> None:
    unit, x = DownUnit(6, 8).eval(), torch.randn(1, 6, 7, 9)
    with torch.no_grad():
        out = unit(x)
        assert torch.equal(out[:, 0::2], unit.shortcut(x))
        assert torch.equal(out[:, 1::2], unit.branch(x))
    assert out.shape == (1, 8, 4, 5)


def test_no_activation_follows_a_depthwise_convolution() -> None:
    for unit in (BasicUnit(8), DownUnit(6, 8)):
        for block in (m for m in unit.modules() if isinstance(m, nn.Sequential)):
            if isinstance(block[0], nn.Conv2d):
                assert isinstance(block[-1], nn.ReLU) == (block[0].groups == 1)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("size", [1, 2, 7, 8])
def test_conv_bn_keeps_ceil_of_size_over_stride(kernel: int, stride: int, size: int) -> None:
    out = conv_bn(2, 3, kernel, stride=stride).eval()(torch.zeros(1, 2, size, size))
    assert out.shape == (1, 3, -(-size // stride), -(-size // stride))


def reach(net: nn.Module, size: int) -> int:
    """Side of the square of input pixels that the middle cell of the output depends on."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1.0)  # nothing cancels
    image = torch.ones(1, 3, size, size, dtype=torch.float64, requires_grad=True)
    out = net(image)
    out[0, :, out.shape[2] // 2, out.shape[3] // 2].sum().backward()
    assert image.grad is not None
    touched = (image.grad[0].abs().sum(dim=0) > 0).nonzero()
    low, high = touched.amin(dim=0), touched.amax(dim=0)
    assert low.min() > 0, "the field is cut off by the border of the image"
    assert high.max() < size - 1
    assert (high - low)[0] == (high - low)[1]
    return int((high - low)[0]) + 1


def test_receptive_field_of_stage_2() -> None:
    net = SNet(SNetChannels(4, (8, 8, 8), None)).double().eval()
    # a max pool lets one gradient through; a mean over the same window shows them all
    front = nn.Sequential(net.conv1, nn.AvgPool2d(3, 2, 1), net.stage2)
    # 3x3 at 1 pixel a step, pool at 2, one 5x5 at 4, then three at 8: 1 + 2 + 2*2 + 4*4 + 3 * 4*8
    assert reach(front, 256) == 1 + 2 + 4 + 16 + 96
