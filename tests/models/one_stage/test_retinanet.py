import itertools
from dataclasses import replace

import pytest
import torch
from torch import nn

from pocketdet.models.backbones import ResNetConfig
from pocketdet.models.ops import box_iou
from pocketdet.models.ops.one_stage_decode import one_stage_decode
from pocketdet.models.random_init import calibrated_random_init
from pocketdet.models.retinanet import LW_RETINANET, RETINANET, LightBranches, RetinaNet, RetinaNetConfig

SMALL = RetinaNetConfig(
    num_classes=3, input_size=(64, 96), backbone=ResNetConfig((1, 1, 1, 1), width=8), width=16, depth=2
)


def test_anchors_are_those_of_the_paper():
    with torch.device("meta"):
        model = RetinaNet(RetinaNetConfig())
    spec = model.spec()
    assert spec.count == 9 * (100**2 + 50**2 + 25**2 + 13**2 + 7**2)
    areas = [w * h for level in spec.levels for w, h in level.anchors]
    assert min(areas) == pytest.approx(32**2)
    assert max(areas) == pytest.approx((512 * 2 ** (2 / 3)) ** 2)
    assert {round(h / w, 6) for w, h in spec.levels[0].anchors} == {0.5, 1.0, 2.0}


@pytest.mark.parametrize(
    "light", [RETINANET, *LW_RETINANET.values(), LightBranches("v1", "v1"), LightBranches("v2", "v1")]
)
def test_only_the_finest_level_is_light(light):
    model = RetinaNet(replace(SMALL, light=light)).eval()
    out = model(torch.rand(2, 3, 64, 96))
    assert [tuple(out[f"classes_{i}"].shape) for i in range(3, 8)] == [
        (2, 27, *grid) for grid in ((8, 12), (4, 6), (2, 3), (1, 2), (1, 1))
    ]
    assert (model.classes.light is None) == (light.classes == "original")
    convs = [m for m in model.classes.shared if isinstance(m, nn.Conv2d)]
    assert all(conv.kernel_size == (3, 3) for conv in convs)


def test_blocks():
    def kernels(block):
        model = RetinaNet(replace(SMALL, light=LightBranches(boxes=block), depth=4))
        return [m.kernel_size[0] for m in model.boxes.light if isinstance(m, nn.Conv2d)]

    assert kernels("v1") == [3, 1] * 5
    assert kernels("v2") == [1, 3, 1, 3, 3]
    assert kernels("v3") == [1] * 5


def test_untrained_answers_the_prior_probability():
    with torch.no_grad():
        out = RetinaNet(SMALL).eval()(torch.zeros(1, 3, 64, 96))
    assert float(out["classes_5"].sigmoid().mean()) == pytest.approx(0.01, abs=0.005)


@pytest.mark.parametrize("light", ["v1", "v3"])
def test_decode_gives_plausible_detections(light):
    model = RetinaNet(replace(SMALL, light=LW_RETINANET[light]))
    calibrated_random_init(model, SMALL.input_size, seed=1)
    out = {k: v[0] for k, v in model(torch.randn(1, 3, 64, 96)).items()}
    found = one_stage_decode(model.spec(), out)
    assert 5 < len(found.boxes) <= 100
    assert (found.scores > 0.05).all()
    assert (found.scores.diff() <= 0).all()
    assert (found.boxes[:, 2:] > found.boxes[:, :2]).all()
    for label in range(3):
        boxes = found.boxes[found.labels == label]
        overlap = box_iou(boxes, boxes)
        assert all(float(overlap[i, j]) <= 0.5 for i, j in itertools.combinations(range(len(boxes)), 2))


def test_lifelike_weights_depend_on_the_seed_alone():
    models = [RetinaNet(SMALL) for _ in range(3)]
    for model, seed in zip(models, (1, 1, 2), strict=True):
        calibrated_random_init(model, SMALL.input_size, seed)
    first, second, third = (torch.cat([p.flatten() for p in m.state_dict().values()]) for m in models)
    assert torch.equal(first, second)
    assert not torch.equal(first, third)
