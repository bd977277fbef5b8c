"""Each family's losses of a batch: zero where the network is right, and a gradient for every weight."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from pocketdet.models.backbones import MobileNetConfig, ResNetConfig
from pocketdet.models.mimicdet import MimicDet, MimicDetConfig
from pocketdet.models.one_stage import OneStageDetector
from pocketdet.models.ops import box_iou
from pocketdet.models.ops.one_stage_boxes import decode_step
from pocketdet.models.passd import PASSD, PASSDConfig, passd_spec
from pocketdet.models.retinanet import RetinaNet, RetinaNetConfig
from pocketdet.training.build_loss import build_loss, term_names
from pocketdet.training.loss_config import (
    LossConfig,
    MimicDetLossConfig,
    PASSDLossConfig,
    RetinaNetLossConfig,
)
from pocketdet.training.loss_functions import all_levels, by_prior, make_priors
from pocketdet.training.matching import Targets, match_priors
from pocketdet.training.mimicdet_loss import propose, sample_proposals
from pocketdet.training.one_stage_loss import PASSDLoss
from pocketdet.training.start import initialise

SIZE, NONE = (96, 64), torch.zeros(0, 4)
TRUTHS = [
    Targets(torch.tensor([[8.0, 8, 40, 36], [30, 50, 60, 90]]), torch.tensor([2, 0]), NONE, 5),
    Targets(NONE, torch.zeros(0, dtype=torch.int64), torch.tensor([[0.0, 0, 32, 32]]), 6),
]
NARROW = ResNetConfig((1, 1, 1, 1), 8)
FAMILIES: list[tuple[OneStageDetector, LossConfig]] = [
    (PASSD(PASSDConfig(MobileNetConfig(8), 3, SIZE, extra_width=32, width=16)), PASSDLossConfig()),
    (RetinaNet(RetinaNetConfig(3, SIZE, NARROW, 16, 1)), RetinaNetLossConfig()),
    (MimicDet(MimicDetConfig(3, SIZE, NARROW, width=16, feature_width=24)), MimicDetLossConfig(samples=16)),
]


@pytest.mark.parametrize(("model", "rule"), FAMILIES, ids=lambda x: type(x).__name__)
def test_losses_are_finite_and_reach_every_weight(model: OneStageDetector, rule: LossConfig) -> None:
    initialise(model, 3, 4.0)
    model.train().zero_grad()
    images = torch.randn(2, 3, *SIZE, generator=torch.Generator().manual_seed(1))
    if isinstance(rule, MimicDetLossConfig):
        rule = replace(rule, positive_iou=0.1)  # fresh anchors hit nothing
    if isinstance(rule, PASSDLossConfig):
        rule = replace(rule, negatives=1000.0)  # else a level may have none
    terms = build_loss(model, rule)(images, TRUTHS)
    assert tuple(vars(terms)) == term_names(rule)
    assert all(torch.isfinite(value) for value in vars(terms).values())
    terms.total(rule).backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum()]
    assert not without
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize(("model", "rule"), FAMILIES, ids=lambda x: type(x).__name__)
def test_bfloat16_gives_nearly_the_same_losses(model: OneStageDetector, rule: LossConfig) -> None:
    initialise(model, 3, 4.0)
    # 128 pixels: of a map one cell wide, as P6 of 64 pixels is, oneDNN's bfloat16 gradients are garbage
    images = torch.randn(2, 3, 128, 128, generator=torch.Generator().manual_seed(2))
    losses = []
    for autocast in (False, True):
        model.train().zero_grad()
        terms = build_loss(model, rule, autocast=autocast)(images, TRUTHS)
        terms.total(rule).backward()
        losses.append(float(terms.total(rule).detach()))
        assert all(p.grad is None or torch.isfinite(p.grad).all() for p in model.parameters())
    assert losses[1] == pytest.approx(losses[0], rel=0.03)


@pytest.mark.parametrize(("model", "rule"), FAMILIES, ids=lambda x: type(x).__name__)
def test_images_without_objects_train_nothing_but_ground(model: OneStageDetector, rule: LossConfig) -> None:
    terms = build_loss(model.train(), rule)(torch.randn(2, 3, *SIZE), [TRUTHS[1], TRUTHS[1]])
    assert torch.isfinite(terms.total(rule))
    boxes = [value for name, value in vars(terms).items() if "box" in name or name in ("refine", "accuracy")]
    assert not any(float(value.detach()) for value in boxes)


def test_maps_are_put_in_the_order_of_the_priors() -> None:
    """As `read_anchors` reads them for the decode."""
    channels, h, w = torch.arange(6), 2, 3
    x = channels[:, None, None] * 100 + torch.arange(h)[:, None] * 10 + torch.arange(w)
    rows = by_prior(x[None].float(), 2)[0].tolist()
    assert rows[0] == [0, 100, 200]
    assert rows[1] == [300, 400, 500]
    assert rows[2 * (1 * w + 2) + 1] == [312, 412, 512]
    maps = {"a_0": x[None].float(), "b_0": x[None].float(), "a_1": x[None, :, :1, :1].float()}
    assert all_levels(maps, "a", 2).shape == (1, 14, 3)


def middle_and_sides(boxes: Tensor) -> tuple[Tensor, Tensor]:
    return 0.5 * (boxes[:, :2] + boxes[:, 2:]), boxes[:, 2:] - boxes[:, :2]


class Answers(PASSD):
    """Returns the maps that it was given."""

    given: dict[str, Tensor]

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """`given`, whatever the image."""
        return self.given


def test_passd_has_no_loss_where_it_is_right() -> None:
    """Maps whose decode is the target: a shift within half a cell, a size, then a second regression."""
    config = PASSDConfig(MobileNetConfig(8), 3, (64, 64), width=16)
    with torch.device("meta"):
        model = Answers(config)
    spec, target = passd_spec(config), torch.tensor([[11.0, 9, 47, 39]])
    priors = make_priors(spec)
    centre, sides = (
        0.5 * (priors.boxes[:, :2] + priors.boxes[:, 2:]),
        priors.boxes[:, 2:] - priors.boxes[:, :2],
    )
    goal, goal_sides = 0.5 * (target[:, :2] + target[:, 2:]), target[:, 2:] - target[:, :2]
    moved = ((goal - centre) / (0.5 * priors.strides)).clamp(-0.999, 0.999)
    deltas = torch.cat([torch.atanh(moved), torch.log(goal_sides / sides)], dim=1)
    adjusted = decode_step(deltas, priors.boxes, priors.strides, spec.codings[0], (64, 64))
    matched = match_priors(adjusted, target, NONE, 0.5, 0.5) >= 0
    proposed = match_priors(priors.boxes, target, NONE, 0.5, 0.5) >= 0
    rest = torch.cat(
        [(goal - 0.5 * (adjusted[:, :2] + adjusted[:, 2:])) / goal_sides, torch.zeros(len(moved), 2)], 1
    )
    scores = torch.where(matched[:, None], torch.tensor([0.0, 0, 40, 0]), torch.tensor([40.0, 0, 0, 0]))
    model.given = {}
    objectness = torch.where(proposed[:, None], torch.tensor([0.0, 40]), torch.tensor([40.0, 0]))
    start = 0
    for number, level in enumerate(spec.levels):
        rows = slice(start, start + level.count)
        start += level.count
        for name, values in (
            ("objectness", objectness),
            ("propose", deltas),
            ("attend", torch.cat([scores, rest], dim=1)),
        ):
            grid = values[rows].reshape(*level.grid, -1).permute(2, 0, 1)
            model.given[f"{name}_{number}"] = grid[None].contiguous()
    terms = PASSDLoss(model, PASSDLossConfig())(
        torch.zeros(1, 3, 64, 64), [Targets(target, torch.tensor([1]), NONE, 1)]
    )
    assert int(matched.sum()) > int(proposed.sum()) > 0  # more boxes fit once they are adjusted
    assert float(terms.accuracy) == 1
    for name in ("propose_class", "attend_class", "attend_box"):
        assert float(getattr(terms, name)) < 1e-6, name
    near = proposed & (moved.abs() < 0.999).all(dim=1)
    assert (float(terms.propose_box) < 1e-6) == bool((near == proposed).all())


def test_mimicdet_proposals_are_the_best_and_apart() -> None:
    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(300, 2, generator=generator) * 60
    adjusted = torch.cat([corners, corners + 4 + 30 * torch.rand(300, 2, generator=generator)], dim=1)
    adjusted[5] = torch.nan
    rule, objectness = MimicDetLossConfig(samples=16, proposals=50), torch.randn(300, generator=generator)
    found = propose(objectness, adjusted, SIZE, TRUTHS[0], rule, (0.1, 0.1, 0.2, 0.2))
    assert len(found.anchors) == 50
    assert 5 not in found.anchors
    assert objectness[found.anchors].tolist() == sorted(objectness[found.anchors].tolist(), reverse=True)
    iou = box_iou(found.boxes, found.boxes).fill_diagonal_(0)
    assert float(iou.max()) <= rule.proposal_iou
    best = box_iou(found.boxes, TRUTHS[0].boxes).max(dim=1).values
    assert ((best >= rule.positive_iou) == (found.classes > 0)).all()
    chosen = sample_proposals(found, rule, torch.Generator().manual_seed(1))
    assert len(chosen.unique()) == len(chosen) == 16
    assert int((found.classes[chosen] > 0).sum()) <= 4
