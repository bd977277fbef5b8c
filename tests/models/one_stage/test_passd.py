import math
from dataclasses import replace

import pytest
import torch
from reference_deform_conv import deform_conv2d

from pocketdet.models.backbones import RESNET101, MobileNetConfig, ResNetConfig, VGGConfig
from pocketdet.models.ops.one_stage_decode import one_stage_decode
from pocketdet.models.passd import PASSD, PASSDConfig, attend_offsets
from pocketdet.models.random_init import calibrated_random_init

SMALL = PASSDConfig(MobileNetConfig(8), num_classes=3, input_size=(64, 96), extra_width=16, width=16)


def on_meta(config):
    with torch.device("meta"):
        return PASSD(config)


def millions(model):
    return sum(p.numel() for p in model.parameters()) / 1e6


# backbone, classes, input, levels, the paper's millions of parameters and megabytes (Tables 4, 5, 6)
PAPER = [
    (VGGConfig(), 20, 320, 4, 24.87, None),
    (VGGConfig(), 80, 512, 4, 25, 96),
    (RESNET101, 80, 320, 4, 47, 181),
    (RESNET101, 80, 512, 4, 47, 181),
    (RESNET101, 80, 768, 5, 48, 184),
    (MobileNetConfig(), 80, 320, 4, 6.7, None),
]


@pytest.mark.parametrize(("backbone", "classes", "side", "levels", "paper", "megabytes"), PAPER)
def test_parameters(backbone, classes, side, levels, paper, megabytes):
    count = millions(on_meta(PASSDConfig(backbone, classes, (side, side), levels)))
    assert count == pytest.approx(paper, abs=0.5 if paper == int(paper) else 0.05)
    if megabytes is not None:
        assert count * 4e6 / 2**20 == pytest.approx(megabytes, abs=0.6)


def test_propose_adds_little():
    model = on_meta(PASSDConfig(VGGConfig()))
    added = sum(p.numel() for part in (model.objectness, model.propose) for p in part.parameters())
    assert added / 1e6 == pytest.approx(0.05, abs=0.01)
    assert millions(model) - added / 1e6 == pytest.approx(24.82, abs=0.005)  # Table 1, exp 1


@pytest.mark.parametrize(("side", "count"), [(320, 6375), (512, 16320)])
@pytest.mark.parametrize("backbone", [VGGConfig(), RESNET101, MobileNetConfig()])
def test_default_boxes(backbone, side, count):
    model = on_meta(PASSDConfig(backbone, input_size=(side, side)))
    assert model.spec().count == count
    grids = [
        x.shape[2:] for k, x in model(torch.zeros(1, 3, side, side, device="meta")).items() if "pro" in k
    ]
    assert grids == [level.grid for level in model.spec().levels]


def test_five_levels():
    model = on_meta(PASSDConfig(RESNET101, 80, (768, 768), 5))
    assert [level.grid[0] for level in model.spec().levels] == [96, 48, 24, 12, 6]


@pytest.mark.parametrize("clip_side", [-50.0, 0.0, 0.7, 50.0])
def test_taps_lie_at_the_ninths_of_the_adjusted_box(clip_side):
    """Against the box that the decode makes of the same deltas."""
    stride, side = 8, 40.0
    deltas = torch.tensor([clip_side, -0.4, 0.3, -0.6]).reshape(1, 4, 1, 1)
    field = attend_offsets(deltas, [side], stride)[0].reshape(9, 2)
    cx, cy = 4 + math.tanh(clip_side) * 4, 4 + math.tanh(-0.4) * 4
    width, height = side * math.exp(0.3), side * math.exp(-0.6)
    for tap in range(9):
        i, j = divmod(tap, 3)
        y, x = ((float(field[tap, k]) + (i, j)[k] - 1 + 0.5) * stride for k in (0, 1))
        assert y == pytest.approx(cy - height / 2 + (i + 0.5) * height / 3, rel=1e-5)
        assert x == pytest.approx(cx - width / 2 + (j + 0.5) * width / 3, rel=1e-5)


def test_each_default_box_has_its_own_field():
    model = PASSD(SMALL)
    calibrated_random_init(model, SMALL.input_size, seed=1)
    with torch.no_grad():
        image = torch.randn(1, 3, 64, 96)
        out, x = model(image), model.features(image)[0]
        fields = attend_offsets(out["propose_0"], [32.0 * s for s in SMALL.scales], 8)
        for i, (field, conv) in enumerate(zip(fields, model.attend, strict=True)):
            expected = deform_conv2d(x, field, conv.weight, conv.bias, padding=1)
            torch.testing.assert_close(out["attend_0"][:, 8 * i : 8 * (i + 1)], expected)
    assert not torch.equal(fields[0], fields[1])


@pytest.mark.parametrize(
    "backbone",
    [MobileNetConfig(8), VGGConfig(4), VGGConfig(4, batch_norm=True), ResNetConfig((1, 1, 1, 1), 8)],
)
@pytest.mark.parametrize("nms", ["hard", "gaussian"])
def test_decode_gives_plausible_detections(backbone, nms):
    selection = replace(SMALL.selection, nms=nms)
    model = PASSD(replace(SMALL, backbone=backbone, selection=selection))
    calibrated_random_init(model, SMALL.input_size, seed=3)
    found = one_stage_decode(model.spec(), {k: v[0] for k, v in model(torch.randn(1, 3, 64, 96)).items()})
    assert 5 < len(found.boxes) <= 200
    assert (found.boxes >= 0).all()
    assert (found.boxes <= torch.tensor([96, 64, 96, 64])).all()
    assert len(found.labels.unique()) > 1


def test_gradients_reach_everything():
    model = PASSD(SMALL)
    sum(x.square().mean() for x in model(torch.randn(2, 3, 64, 96)).values()).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())
