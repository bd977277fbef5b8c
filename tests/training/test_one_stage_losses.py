"""The parts of the one-stage detectors' losses against plain formulas."""

import math

import pytest
import torch

from pocketdet.training.distributed import SINGLE_PROCESS
from pocketdet.training.loss_functions import (
    accuracy,
    box_loss,
    focal_loss,
    hard_negatives,
    mined_cross_entropy,
)


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("alpha", [0.25, 0.5])
def test_focal_loss_is_equation_5(alpha: float, gamma: float) -> None:
    logits = torch.linspace(-6, 6, 13, dtype=torch.float64)
    for target in (0.0, 1.0):
        found = focal_loss(logits, torch.full_like(logits, target), alpha, gamma)
        for logit, value in zip(logits.tolist(), found.tolist(), strict=True):
            p = 1 / (1 + math.exp(-logit))
            pt, weight = (p, alpha) if target else (1 - p, 1 - alpha)
            assert value == pytest.approx(-weight * (1 - pt) ** gamma * math.log(pt), rel=1e-9)


def test_the_hardest_negatives_and_no_others() -> None:
    loss = torch.tensor([[5.0, 1, 3], [4, 2, 2]])
    negative = torch.tensor([[False, True, True], [True, True, True]])
    assert hard_negatives(loss, negative, 3).tolist() == [[False, False, True], [True, True, False]]
    assert int(hard_negatives(loss, negative, 99).sum()) == 5
    assert int(hard_negatives(loss, negative, 0).sum()) == 0


def test_mined_cross_entropy_by_hand() -> None:
    logits = torch.tensor([[0.0, 2, 0], [0, 0, 0], [3, 0, 0], [0, 0, 1], [9, 9, 9]], dtype=torch.float64)
    classes = torch.tensor([1, 0, 0, 0, -1])
    each = [-float(row.log_softmax(0)[max(label, 0)]) for row, label in zip(logits, classes, strict=True)]
    two, all_of_them = (float(mined_cross_entropy(logits, classes, n, SINGLE_PROCESS)) for n in (2.0, 9.0))
    assert two == pytest.approx(each[0] + each[1] + each[3])
    assert all_of_them == pytest.approx(sum(each[:4]))


def test_without_objects_there_is_no_loss_but_a_gradient() -> None:
    logits = torch.randn(4, 3, requires_grad=True)
    loss = mined_cross_entropy(logits, torch.zeros(4, dtype=torch.int64), 3.0, SINGLE_PROCESS)
    loss.backward()
    assert float(loss.detach()) == 0
    assert logits.grad is not None
    none, nothing = torch.zeros(0, 4), torch.zeros(0, dtype=torch.bool)
    assert float(box_loss(none, none, 0.1, SINGLE_PROCESS)) == 0
    assert float(accuracy(nothing, nothing, SINGLE_PROCESS)) == 0


def test_box_loss_is_per_object() -> None:
    found, wanted = torch.zeros(2, 4), torch.tensor([[1.0, 0, 0, 0], [0, 0, 0, 0.05]])
    expected = (1 - 0.05 + 0.5 * 0.05**2 / 0.1) / 2
    assert float(box_loss(found, wanted, 0.1, SINGLE_PROCESS)) == pytest.approx(expected)


def test_accuracy_counts_what_is_classified() -> None:
    right, counted = torch.tensor([True, True, False, False]), torch.tensor([True, False, True, True])
    assert float(accuracy(right, counted, SINGLE_PROCESS)) == pytest.approx(1 / 3)
