"""Anchors and RoIs are matched to true boxes as Faster R-CNN and Fast R-CNN say."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketdet.models.ops import box_iou, decode_boxes, make_anchors, nms, ps_roi_align
from pocketdet.training.loss_config import ThunderNetLossConfig
from pocketdet.training.matching import match_anchors
from pocketdet.training.thundernet_loss import (
    UNIT,
    anchor_targets,
    dense_ps_roi_align,
    quick_nms,
    roi_targets,
    training_proposals,
)

STD = (0.1, 0.1, 0.2, 0.2)
NONE = torch.zeros(0, 4)
RULE = ThunderNetLossConfig(rois=16, rpn_hard=4, rpn_random=4, jitter=2)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_boxes(count: int, seed: int, extent: float = 96, least: float = 4) -> torch.Tensor:
    corner = torch.rand(count, 2, generator=generator(seed)) * extent * 0.6
    return torch.cat([corner, corner + least + torch.rand(count, 2, generator=generator(seed + 1)) * 30], 1)


def test_matching_by_hand() -> None:
    anchors = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 20], [40, 40, 50, 50], [0, 0, 10, 6]])
    boxes = torch.tensor([[0.0, 0, 10, 10], [44, 44, 60, 60]])
    # IoU with the first: 1, 0.5, 0, 0.6; the second has only 36 / (100 + 256 - 36) with the third
    matched, ground = match_anchors(anchors, boxes, 0.7, 0.55)
    assert matched.tolist() == [0, -1, 1, -1]
    assert ground.tolist() == [False, True, False, False]


def test_every_box_gets_an_anchor_and_ground_touches_none() -> None:
    anchors = make_anchors((6, 6), 16, ((24.0, 24.0), (48.0, 24.0)))
    for seed in range(20):
        boxes = random_boxes(5, seed)
        matched, ground = match_anchors(anchors, boxes, 0.7, 0.3)
        iou = box_iou(anchors, boxes)
        winners = iou.argmax(dim=0)  # two boxes may share their best anchor; then one of them has it
        assert (matched[winners] >= 0).all()
        sure = (iou >= 0.7).any(dim=1)
        torch.testing.assert_close(iou[sure].max(dim=1).values >= 0.7, matched[sure] >= 0)
        assert (box_iou(anchors[ground], boxes) < 0.3).all()
        assert not (ground & (matched >= 0)).any()


def test_anchor_targets_decode_to_the_boxes() -> None:
    anchors = make_anchors((6, 6), 16, ((24.0, 24.0), (48.0, 24.0)))
    boxes = random_boxes(3, 5)
    logits = torch.randn(len(anchors), generator=generator())
    targets = anchor_targets(logits, anchors, boxes, NONE, RULE, generator())
    decoded = decode_boxes(targets.deltas, anchors[targets.positive], UNIT)
    distance = (decoded[:, None] - boxes[None]).abs().amax(dim=2).min(dim=1).values
    assert len(decoded) >= 1
    assert float(distance.max()) < 1e-3
    assert len(targets.negative) == RULE.rpn_hard + RULE.rpn_random
    _, ground = match_anchors(anchors, boxes, RULE.rpn_positive, RULE.rpn_negative)
    assert ground[targets.negative].all()
    hardest = torch.where(ground, logits, torch.full_like(logits, -99)).topk(RULE.rpn_hard).indices
    assert set(hardest.tolist()) <= set(targets.negative.tolist())


def test_anchors_on_ignored_boxes_are_no_ground() -> None:
    anchors = make_anchors((6, 6), 16, ((24.0, 24.0),))
    ignored = torch.tensor([[0.0, 0, 96, 48]])
    targets = anchor_targets(torch.zeros(36), anchors, NONE, ignored, RULE, generator())
    assert len(targets.positive) == 0
    assert (anchors[targets.negative, 3] > 48).all()
    everything = torch.tensor([[-100.0, -100, 200, 200]])
    assert len(anchor_targets(torch.zeros(36), anchors, NONE, everything, RULE, generator()).negative) == 0


def test_roi_targets_decode_to_the_boxes_and_carry_their_labels() -> None:
    boxes, labels = random_boxes(3, 8, least=12), torch.tensor([4, 0, 2])
    proposals = random_boxes(40, 9)
    targets = roi_targets(proposals, boxes, labels, NONE, (96, 96), RULE, STD, generator())
    assert targets.rois.shape == (16, 4)
    objects = targets.classes > 0
    assert 3 <= int(objects.sum()) <= 8
    iou = box_iou(targets.rois[objects], boxes)
    assert (iou.max(dim=1).values >= 0.5).all()
    owner = iou.argmax(dim=1)
    torch.testing.assert_close(targets.classes[objects], labels[owner] + 1)
    decoded = decode_boxes(targets.deltas[objects], targets.rois[objects], STD)
    torch.testing.assert_close(decoded, boxes[owner], atol=1e-3, rtol=0)
    assert (box_iou(targets.rois[targets.classes == 0], boxes) < 0.5).all()


def test_roi_targets_without_boxes_or_proposals() -> None:
    no_labels = torch.zeros(0, dtype=torch.int64)
    ground = roi_targets(random_boxes(5, 1), NONE, no_labels, NONE, (96, 96), RULE, STD, generator())
    assert ground.classes.tolist() == [0] * 5 + [-1] * 11
    empty = roi_targets(NONE, NONE, no_labels, NONE, (96, 96), RULE, STD, generator())
    assert empty.classes.tolist() == [-1] * 16


def test_rois_on_ignored_boxes_do_not_count() -> None:
    no_labels, ignored = torch.zeros(0, dtype=torch.int64), torch.tensor([[0.0, 0, 96, 96]])
    targets = roi_targets(random_boxes(5, 1), NONE, no_labels, ignored, (96, 96), RULE, STD, generator())
    assert (targets.classes == -1).all()


@given(st.integers(0, 60), st.floats(0.1, 0.9), st.integers(1, 80), st.integers(0, 10_000))
def test_quick_nms_equals_the_reference(count: int, threshold: float, limit: int, seed: int) -> None:
    boxes = random_boxes(count, seed)
    order = torch.arange(count, 0, -1, dtype=torch.float32)
    torch.testing.assert_close(
        boxes[quick_nms(boxes, threshold, limit)], boxes[nms(boxes, order, threshold)[:limit]]
    )


def test_proposals_are_clipped_and_best_first() -> None:
    anchors = make_anchors((6, 6), 16, ((24.0, 24.0), (48.0, 24.0)))
    logits = torch.randn(72, generator=generator(3))
    found = training_proposals(
        logits, torch.zeros(72, 4), anchors, (96, 96), ThunderNetLossConfig(pre_nms=30, proposals=9)
    )
    assert len(found) == 9
    assert found.min() >= 0
    assert found.max() <= 96
    best = anchors[int(logits.argmax())].clamp(0, 96)
    torch.testing.assert_close(found[0], best)


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from([(1, 2, 5, 3), (2, 7, 4, 6), (3, 3, 1, 1)]),
    st.integers(1, 3),
    st.integers(0, 10_000),
)
def test_dense_ps_roi_align_equals_the_reference(
    shape: tuple[int, int, int, int], samples: int, seed: int
) -> None:
    n, pool, height, width = shape
    features = torch.randn(n, 2 * pool * pool, height, width, generator=generator(seed))
    low = torch.rand(n, 6, 2, generator=generator(seed + 1)) * 120 - 30
    rois = torch.cat([low, low + torch.rand(n, 6, 2, generator=generator(seed + 2)) * 90], dim=2)
    ours = dense_ps_roi_align(features, rois, 16, pool, samples)
    index = torch.arange(n).repeat_interleave(6)
    reference = ps_roi_align(features, rois.reshape(-1, 4), index, 16, pool, samples)
    torch.testing.assert_close(ours, reference, atol=1e-5, rtol=1e-5)


def test_dense_ps_roi_align_has_the_reference_gradient() -> None:
    features = torch.randn(2, 18, 5, 4, generator=generator(1), requires_grad=True)
    rois = random_boxes(10, 2, 60).reshape(2, 5, 4)
    weight = torch.randn(10, 18, generator=generator(3))
    index = torch.arange(2).repeat_interleave(5)
    (ours,) = torch.autograd.grad((dense_ps_roi_align(features, rois, 16, 3, 2) * weight).sum(), features)
    reference = ps_roi_align(features, rois.reshape(-1, 4), index, 16, 3, 2)
    (theirs,) = torch.autograd.grad((reference * weight).sum(), features)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
