import math

import numpy as np
import pytest
import torch

from pocketdet.errors import UsageError
from pocketdet.models.backbones import RESNEXT101_64X4D, ResNetConfig
from pocketdet.models.counting import layer_cost
from pocketdet.models.mimicdet import MimicDet, MimicDetConfig
from pocketdet.models.ops.one_stage_decode import one_stage_decode
from pocketdet.models.ops.roi_align import roi_align
from pocketdet.models.random_init import calibrated_random_init

SMALL = MimicDetConfig(
    num_classes=3, input_size=(64, 96), backbone=ResNetConfig((1, 1, 1, 1), 8), width=8, feature_width=12
)


@pytest.fixture(scope="module")
def model():
    model = MimicDet(SMALL)
    calibrated_random_init(model, SMALL.input_size, seed=2)
    return model


def test_for_inference_answers_the_same(model):
    bare = model.for_inference()
    names = {name for name, _ in bare.named_parameters()}
    assert not any(name.startswith("teacher") for name in names)
    assert len(bare.neck.top_down.smooth) == 3
    assert sum(p.numel() for p in bare.parameters()) < sum(p.numel() for p in model.parameters())
    image = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        whole, out = model(image), bare(image)
    assert list(whole) == list(out)
    assert all(torch.equal(whole[name], out[name]) for name in whole)
    first, second = (
        one_stage_decode(m.spec(), {k: v[0] for k, v in o.items()}) for m, o in ((model, whole), (bare, out))
    )
    assert len(first.boxes) > 5
    assert all(torch.equal(a, b) for a, b in zip(vars(first).values(), vars(second).values(), strict=True))
    assert model.complete  # the original is left as it was


def test_for_inference_twice(model):
    image = torch.randn(1, 3, 64, 96)
    once = model.for_inference()
    twice = once.for_inference()
    assert all(torch.equal(a, b) for a, b in zip(once(image).values(), twice(image).values(), strict=True))


def test_a_network_for_inference_has_nothing_to_train_with(model):
    with pytest.raises(UsageError, match="no T-head"):
        model.for_inference().training_maps(torch.zeros(1, 3, 64, 96))


def test_inference_drops_p2_s_cost():
    with torch.device("meta"):
        config = MimicDetConfig()
        model = MimicDet(config)
    whole, bare = (layer_cost(m, (800, 800)) for m in (model, model.for_inference()))
    p2 = 200 * 200 * (256 * 256 + 9 * 256 * 256)
    assert whole.macs["neck"] - bare.macs["neck"] == p2
    assert whole.macs["student"] == bare.macs["student"]
    assert "teacher" not in whole.macs


def test_the_largest_backbone_builds():
    with torch.device("meta"):
        model = MimicDet(MimicDetConfig(backbone=RESNEXT101_64X4D)).for_inference()
        out = model(torch.zeros(1, 3, 256, 256))
    assert out["classes_3"].shape == (1, 81, 32, 32)


def test_anchors():
    spec = MimicDet(SMALL).spec()
    assert [level.anchors for level in spec.levels] == [((s, s),) for s in (32, 64, 128, 256, 512)]
    assert spec.count == 8 * 12 + 4 * 6 + 2 * 3 + 1 * 2 + 1


def test_kernels(model):
    assert model.student.finest.conv.kernel == 3
    assert model.student.others.conv.kernel == 5
    assert [m.out_channels for m in model.student.others.offsets if hasattr(m, "out_channels")] == [
        64,
        128,
        50,
    ]


def test_training_maps_agree_with_the_answer(model):
    image = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        maps, out = model.training_maps(image), model(image)
    for i in range(5):
        torch.testing.assert_close(maps.student[i].logits, out[f"classes_{i + 3}"])
        assert maps.student[i].box_features.shape[1] == 12
    assert [x.shape[2] for x in maps.staggered] == [16, 8, 4, 2, 1]


def test_the_teacher_pools_one_level_finer(model):
    image = torch.randn(2, 3, 64, 96)
    rois = torch.tensor([[4.0, 4, 40, 30], [0, 0, 90, 60], [10, 10, 50, 50]])
    images, levels = torch.tensor([0, 1, 1]), torch.tensor([0, 2, 1])
    maps = model.training_maps(image)
    answer = model.teach(maps, rois, images, levels)
    assert answer.logits.shape == (3, 4)
    assert answer.deltas.shape == (3, 4)
    for i in range(3):
        x = maps.staggered[int(levels[i])]
        pooled = roi_align(x, rois[i : i + 1], images[i : i + 1], 4 << int(levels[i]), 7)
        torch.testing.assert_close(answer.box_features[i], model.teacher(pooled).box_features[0])
    cosine = torch.nn.functional.cosine_similarity(answer.class_features, torch.ones(3, 12))
    cosine.sum().backward()
    assert model.neck.top_down.smooth[0].weight.grad.abs().sum() > 0
    model.zero_grad()


def by_hand(plane, roi, stride, size):
    height, width = plane.shape
    out = np.zeros((size, size))
    x1, y1, x2, y2 = (v / stride - 0.5 for v in roi)

    def at(y, x):
        if not (-1 <= y <= height and -1 <= x <= width):
            return 0.0
        y, x = max(y, 0.0), max(x, 0.0)
        i, j = min(math.floor(y), height - 1), min(math.floor(x), width - 1)
        fy, fx = (0.0 if i == height - 1 else y - i), (0.0 if j == width - 1 else x - j)
        k, m = min(i + 1, height - 1), min(j + 1, width - 1)
        upper = (1 - fx) * plane[i, j] + fx * plane[i, m]
        return (1 - fy) * upper + fy * ((1 - fx) * plane[k, j] + fx * plane[k, m])

    for i, j in np.ndindex(size, size):
        samples = [
            at(y1 + (i + (a + 0.5) / 2) * (y2 - y1) / size, x1 + (j + (b + 0.5) / 2) * (x2 - x1) / size)
            for a in (0, 1)
            for b in (0, 1)
        ]
        out[i, j] = sum(samples) / 4
    return out


@pytest.mark.parametrize("stride", [4, 8])
@pytest.mark.parametrize("size", [1, 3, 7])
def test_roi_align_equals_loops(stride, size):
    g = torch.Generator().manual_seed(5)
    features = torch.randn(2, 3, 6, 7, generator=g, dtype=torch.float64)
    corners = torch.rand(6, 2, generator=g, dtype=torch.float64) * 60 - 10
    rois = torch.cat([corners, corners + torch.rand(6, 2, generator=g, dtype=torch.float64) * 40], dim=1)
    index = torch.arange(6) % 2
    ours = roi_align(features, rois, index, stride, size)
    for r in range(6):
        for c in range(3):
            expected = by_hand(features[index[r], c].numpy(), rois[r].tolist(), stride, size)
            np.testing.assert_allclose(ours[r, c].numpy(), expected, atol=1e-12)


def test_roi_align_of_no_number_is_zero():
    rois = torch.tensor([[math.nan, 0, 8, 8], [0, 0, 8, 8]])
    out = roi_align(torch.ones(1, 2, 4, 4), rois, torch.zeros(2, dtype=torch.int64), 4, 2)
    assert (out[0] == 0).all()
    torch.testing.assert_close(out[1], torch.ones(2, 2, 2))
