"""ThunderNet: shapes, the modules of section 3.2 against their equations, gradients, refusals."""

import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pocketdet.errors import UsageError
from pocketdet.models.build import ARCHITECTURES, build_detector
from pocketdet.models.config import Anchors, DetectorConfig, RoIHead
from pocketdet.models.ops import ps_roi_align
from pocketdet.models.thundernet import (
    ContextEnhancement,
    HeadGraph,
    RegionProposal,
    SpatialAttention,
    ThunderNet,
)

NAMES = ("bolt", "nut", "washer")


def meta_detector(arch: str, size: tuple[int, int] = (320, 320), head: RoIHead | None = None) -> ThunderNet:
    with torch.device("meta"):
        return build_detector(DetectorConfig(arch, NAMES, size, head=head or RoIHead()))


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("size", [(320, 320), (64, 96), (96, 160), (32, 32), (480, 224)])
def test_shapes(arch: str, size: tuple[int, int]) -> None:
    scores, deltas, sam = meta_detector(arch, size)(torch.zeros(2, 3, *size, device="meta"))
    grid = (size[0] // 16, size[1] // 16)
    assert scores.shape == (2, 2 * 25, *grid)
    assert deltas.shape == (2, 4 * 25, *grid)
    assert sam.shape == (2, 245, *grid)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_shapes_of_the_head(arch: str) -> None:
    model, features = meta_detector(arch), torch.zeros(200, 245, device="meta")
    logits, deltas = model.head(features)
    assert logits.shape == (200, 1 + len(NAMES))
    assert deltas.shape == (200, 4)
    assert model.head.fc.out_features == 1024


def test_alpha_and_pool_size_set_the_thin_map() -> None:
    model = meta_detector("thundernet-snet49", head=RoIHead(alpha=10, pool_size=3, fc_channels=64))
    assert model(torch.zeros(1, 3, 320, 320, device="meta"))[2].shape == (1, 90, 20, 20)
    assert model.head.fc.weight.shape == (64, 90)


def test_detectors_are_built_in_eval_mode(detector_of: Callable[[str], ThunderNet]) -> None:
    assert not build_detector(DetectorConfig("thundernet-snet49", NAMES)).training
    assert not detector_of("thundernet-snet49").training


@torch.no_grad()
def test_cem_is_the_sum_of_three_scales() -> None:
    cem = ContextEnhancement(4, 6, 5).eval()
    c4, c5 = torch.randn(2, 4, 6, 4), torch.randn(2, 6, 3, 2)
    found = cem(c4, c5)
    repeated = cem.c5(c5).repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    pooled = c5.mean(dim=(2, 3)) @ cem.glb.weight[:, :, 0, 0].T + cem.glb.bias
    torch.testing.assert_close(found, cem.c4(c4) + repeated + pooled[:, :, None, None])


@torch.no_grad()
def test_sam_is_equation_1() -> None:
    sam = SpatialAttention(5).eval()
    cem, rpn = torch.randn(2, 5, 4, 3), torch.randn(2, 256, 4, 3)
    weight = torch.sigmoid(F.conv2d(rpn, sam.theta[0].weight) / (1 + sam.theta[1].eps) ** 0.5)
    torch.testing.assert_close(sam(cem, rpn), cem * weight)


@torch.no_grad()
def test_rpn_is_a_5x5_depthwise_and_a_256_channel_1x1_convolution() -> None:
    rpn = RegionProposal(6, 3).eval()
    depthwise, pointwise = rpn.depthwise[0], rpn.pointwise[0]
    assert (depthwise.kernel_size, depthwise.groups) == ((5, 5), 6)
    assert (pointwise.kernel_size, pointwise.out_channels) == ((1, 1), 256)
    feature, scores, deltas = rpn(torch.randn(1, 6, 4, 4))
    assert (feature.shape[1], scores.shape[1], deltas.shape[1]) == (256, 6, 12)
    assert feature.min() >= 0


@torch.no_grad()
def test_the_network_is_its_parts_in_order(small_model: ThunderNet) -> None:
    image = torch.randn(1, 3, 96, 64, generator=torch.Generator().manual_seed(0))
    scores, deltas, sam = small_model(image)
    cem = small_model.cem(*small_model.backbone(image))
    feature, expected_scores, expected_deltas = small_model.rpn(cem)
    assert torch.equal(scores, expected_scores)
    assert torch.equal(deltas, expected_deltas)
    assert torch.equal(sam, small_model.sam(cem, feature))


@torch.no_grad()
def test_a_batch_is_its_images(small_model: ThunderNet) -> None:
    model = copy.deepcopy(small_model).double()
    images = torch.randn(3, 3, 96, 64, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    together = model(images)
    for index in range(3):
        for batched, alone in zip(together, model(images[index : index + 1]), strict=True):
            torch.testing.assert_close(batched[index], alone[0], rtol=1e-9, atol=1e-9)


@torch.no_grad()
@pytest.mark.parametrize("rows", [0, 1, 37])
def test_merged_predictors_equal_both(small_model: ThunderNet, rows: int) -> None:
    features = torch.randn(rows, 245, generator=torch.Generator().manual_seed(2))
    logits, deltas = small_model.head(features)
    hidden = F.relu(small_model.head.fc(features))
    merged = small_model.head.merged()(hidden)
    graph = HeadGraph(small_model)(features)
    assert merged.shape == (rows, 4 + 4)
    torch.testing.assert_close(merged, torch.cat([logits, deltas], dim=1), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(graph, merged, rtol=1e-5, atol=1e-5)


def test_merging_copies_the_weights(small_model: ThunderNet) -> None:
    merged, before = small_model.head.merged(), small_model.head.scores.weight.clone()
    with torch.no_grad():
        merged.weight.zero_()
    assert torch.equal(small_model.head.scores.weight, before)


def training_step(model: ThunderNet, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """RPN scores, and logits and deltas of two RoIs."""
    scores, _, sam = model(image)
    rois = torch.tensor([[4.0, 4, 40, 60], [16, 8, 60, 90]])
    features = ps_roi_align(sam, rois, torch.zeros(2, dtype=torch.int64), 16, 7, 2)
    return scores, *model.head(features)


def test_the_head_alone_trains_the_rpn_through_sam() -> None:
    """Equation 2: the R-CNN loss reaches the RPN's feature map, but not the RPN's own predictors."""
    torch.manual_seed(0)
    model = build_detector(DetectorConfig("thundernet-snet49", NAMES, (96, 64))).train()
    _, logits, deltas = training_step(model, torch.randn(2, 3, 96, 64))
    (logits.logsumexp(dim=1).sum() + deltas.square().sum()).backward()
    for name, parameter in model.named_parameters():
        if name.startswith(("rpn.scores", "rpn.deltas")):
            assert parameter.grad is None, name
        else:
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name
    for layer in (
        model.rpn.pointwise[0],
        model.rpn.depthwise[0],
        model.sam.theta[0],
        model.backbone.conv1[0],
    ):
        assert layer.weight.grad.abs().sum() > 0


def test_both_losses_reach_every_parameter() -> None:
    torch.manual_seed(0)
    model = build_detector(DetectorConfig("thundernet-snet49", NAMES, (96, 64))).train()
    image = torch.randn(2, 3, 96, 64)
    scores, deltas, sam = model(image)
    features = ps_roi_align(sam, torch.tensor([[4.0, 4, 40, 60]]), torch.tensor([1]), 16, 7, 2)
    outputs = (scores, deltas, *model.head(features))
    torch.stack([out.square().mean() for out in outputs]).sum().backward()
    assert not [name for name, p in model.named_parameters() if p.grad is None]


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (
            (300, 320),
            "input height 300 does not fit the network: expected a multiple of 32, the nearest is 288",
        ),
        (
            (320, 305),
            "input width 305 does not fit the network: expected a multiple of 32, the nearest is 320",
        ),
        ((16, 320), "input height 16 does not fit the network: expected a multiple of 32, the nearest is 32"),
    ],
)
def test_an_input_size_that_does_not_fit_names_the_nearest(size: tuple[int, int], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        build_detector(DetectorConfig("thundernet-snet49", NAMES, size))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("arch", "hint"),
    [
        ("thundernet-snet494", "did you mean 'thundernet-snet49'? "),
        ("thundernet-snet533", "did you mean 'thundernet-snet535'? "),
        ("thundernet_snet146", "did you mean 'thundernet-snet146'? "),
        ("thundernet", "did you mean 'thundernet-snet49'? "),
        ("resnet", ""),
        ("", ""),
    ],
)
def test_an_unknown_architecture_suggests_a_known_one(arch: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        build_detector(DetectorConfig(arch, NAMES))
    known = (
        "thundernet-snet49, thundernet-snet146, thundernet-snet535, retinanet-r50, lw-retinanet-v1-r50, "
        "lw-retinanet-v2-r50, lw-retinanet-v3-r50, passd-vgg16, passd-r101, passd-mobilenet, mimicdet-r50, "
        "mimicdet-r101, mimicdet-x101-64x4d"
    )
    assert str(caught.value) == f"unknown architecture {arch!r}: {hint}known: {known}"


def test_anchors_of_another_stride_than_the_maps_are_refused() -> None:
    with pytest.raises(UsageError, match="anchor stride 8: ThunderNet's maps have 16"):
        build_detector(DetectorConfig("thundernet-snet49", NAMES, anchors=Anchors(stride=8)))
