"""The losses against values worked out by hand, and against plain writings of the same sums."""

import math

import pytest
import torch
import torch.nn.functional as F

from pocketdet.training.loss_config import ThunderNetLossConfig
from pocketdet.training.thundernet_loss import ThunderNetTerms, head_losses, rpn_losses


def test_rpn_losses_by_hand() -> None:
    logits = torch.tensor([0.0, math.log(3), -math.log(3), 50.0])
    deltas = torch.zeros(4, 4)
    deltas[1] = torch.tensor([0.05, -1.0, 0.0, 0.0])
    wanted = torch.zeros(2, 4)
    classification, box = rpn_losses(logits, deltas, torch.tensor([0, 1]), torch.tensor([2]), wanted)
    # objects: -log(1/2) and -log(3/4); ground: -log(3/4); half the loss each
    objects = (math.log(2) + math.log(4 / 3)) / 2
    assert float(classification) == pytest.approx(0.5 * objects + 0.5 * math.log(4 / 3), rel=1e-6)
    # smooth L1 with beta 1/9: 0.5 * 0.05^2 * 9 below it, 1 - 1/18 above; two objects
    assert float(box) == pytest.approx((0.5 * 0.0025 * 9 + 1 - 1 / 18) / 2, rel=1e-5)


def test_rpn_losses_without_objects_or_ground_are_finite() -> None:
    none, logits, deltas = torch.zeros(0, dtype=torch.int64), torch.randn(3), torch.randn(3, 4)
    classification, box = rpn_losses(logits, deltas, none, none, torch.zeros(0, 4))
    assert float(classification) == 0
    assert float(box) == 0
    classification, _ = rpn_losses(logits, deltas, none, torch.tensor([1]), torch.zeros(0, 4))
    assert float(classification) == pytest.approx(0.5 * float(F.softplus(logits[1])))


def test_objectness_is_cross_entropy_of_two_classes() -> None:
    scores = torch.randn(6, 2, generator=torch.Generator().manual_seed(1))  # background, foreground
    positive, negative = torch.tensor([0, 3]), torch.tensor([1, 2, 4, 5])
    ours, _ = rpn_losses(
        scores[:, 1] - scores[:, 0], torch.zeros(6, 4), positive, negative, torch.zeros(2, 4)
    )
    objects = F.cross_entropy(scores[positive], torch.ones(2, dtype=torch.int64))
    ground = F.cross_entropy(scores[negative], torch.zeros(4, dtype=torch.int64))
    torch.testing.assert_close(ours, 0.5 * objects + 0.5 * ground)


def test_head_losses_by_hand() -> None:
    logits = torch.tensor([[0.0, 0.0], [0.0, math.log(3)], [9.0, 9.0]])
    deltas = torch.tensor([[5.0, 5, 5, 5], [0.5, 2, 0, 0], [1.0, 1, 1, 1]])
    classes = torch.tensor([0, 1, -1])
    ce, box, accuracy = head_losses(logits, deltas, classes, torch.zeros(3, 4), ThunderNetLossConfig(ohem=0))
    assert float(ce) == pytest.approx((math.log(2) + math.log(4 / 3)) / 2, rel=1e-6)
    assert float(box) == pytest.approx(0.125 + 1.5)  # of the one object: 0.5 * 0.5^2, and 2 - 0.5
    assert float(accuracy) == 1


@pytest.mark.parametrize(("beta", "expected"), [(1.0, 0.125 + 1.5), (0.5, 0.25 + 1.75), (2.0, 0.0625 + 1.0)])
def test_box_beta_is_where_the_loss_turns_linear(beta: float, expected: float) -> None:
    deltas = torch.tensor([[0.5, 2.0, 0, 0]])
    rule = ThunderNetLossConfig(ohem=0, box_beta=beta)
    _, box, _ = head_losses(torch.zeros(1, 2), deltas, torch.ones(1, dtype=torch.int64), deltas * 0, rule)
    assert float(box) == pytest.approx(expected)


def test_ohem_keeps_the_hardest_and_only_they_get_a_gradient() -> None:
    logits = torch.tensor([[4.0, 0.0], [0.0, 4.0], [2.0, 0.0], [0.0, 0.0]], requires_grad=True)
    classes = torch.tensor([0, 0, 0, -1])  # losses: small, large, middle, padding
    ce, _, _ = head_losses(
        logits, torch.zeros(4, 4), classes, torch.zeros(4, 4), ThunderNetLossConfig(rois=4, ohem=2)
    )
    each = F.cross_entropy(logits.detach(), torch.zeros(4, dtype=torch.int64), reduction="none")
    torch.testing.assert_close(ce.detach(), each[[1, 2]].mean())
    ce.backward()
    assert logits.grad is not None
    assert logits.grad.abs().sum(dim=1).gt(0).tolist() == [False, True, True, False]


def test_ohem_counts_the_box_loss_of_objects() -> None:
    logits, classes = torch.zeros(3, 2), torch.tensor([1, 1, 0])
    deltas = torch.zeros(3, 4)
    deltas[1] = 3.0
    _, box, _ = head_losses(logits, deltas, classes, torch.zeros(3, 4), ThunderNetLossConfig(rois=3, ohem=1))
    assert float(box) == 4 * 2.5


def test_keeping_all_equals_no_mining_and_padding_never_counts() -> None:
    generator = torch.Generator().manual_seed(2)
    logits, deltas = torch.randn(8, 5, generator=generator), torch.randn(8, 4, generator=generator)
    classes, wanted = torch.tensor([0, 3, -1, 2, 0, -1, 4, 1]), torch.randn(8, 4, generator=generator)
    plain = head_losses(logits, deltas, classes, wanted, ThunderNetLossConfig(ohem=0, label_smoothing=0.1))
    mined = head_losses(
        logits, deltas, classes, wanted, ThunderNetLossConfig(rois=8, ohem=100, label_smoothing=0.1)
    )
    torch.testing.assert_close(plain, mined)
    used = classes >= 0
    expected = F.cross_entropy(logits[used], classes[used], label_smoothing=0.1)
    torch.testing.assert_close(plain[0], expected)


def test_only_padding_gives_zero() -> None:
    ce, box, accuracy = head_losses(
        torch.randn(2, 3), torch.randn(2, 4), torch.full((2,), -1), torch.zeros(2, 4), ThunderNetLossConfig()
    )
    assert (float(ce), float(box), float(accuracy)) == (0, 0, 0)


def test_the_total_weighs_classes_and_boxes() -> None:
    terms = ThunderNetTerms(*(torch.tensor(v) for v in (1.0, 10.0, 100.0, 1000.0, 0.5)))
    assert float(terms.total(ThunderNetLossConfig())) == 1111
    assert float(terms.total(ThunderNetLossConfig(class_weight=2, box_weight=0.5))) == 1 + 200 + 505
