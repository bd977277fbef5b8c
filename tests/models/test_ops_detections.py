"""Detections worked by hand from a few RoIs, and every reason to drop one."""

import math

import pytest
import torch
from torch import Tensor

from pocketdet.models.config import Postprocessing
from pocketdet.models.ops import Detections, detect

STD = (0.1, 0.1, 0.2, 0.2)
SIZE = (100, 200)
LEFT, NEAR, RIGHT = (10.0, 10.0, 50.0, 50.0), (14.0, 10.0, 54.0, 50.0), (120.0, 20.0, 160.0, 80.0)
OVERLAP = 36 / 44  # of LEFT and NEAR


def logits_of(*rows: tuple[float, ...]) -> Tensor:
    """Logits whose softmax is `rows`, background first."""
    return torch.tensor(rows, dtype=torch.float64).log().float()


def run(
    logits: Tensor, rois: Tensor, deltas: Tensor | None = None, rule: Postprocessing | None = None
) -> Detections:
    return detect(
        logits,
        torch.zeros(len(rois), 4) if deltas is None else deltas,
        rois,
        STD,
        rule or Postprocessing(),
        SIZE,
    )


def test_by_hand() -> None:
    rois = torch.tensor([LEFT, NEAR, RIGHT])
    found = run(logits_of((0.05, 0.7, 0.25), (0.2, 0.6, 0.2), (0.1, 0.3, 0.6)), rois)
    # class 0: LEFT 0.7 removes NEAR, RIGHT 0.3 stays; class 1: RIGHT 0.6, LEFT 0.25 removes NEAR
    assert found.labels.tolist() == [0, 1, 0, 1]
    assert found.rois.tolist() == [0, 2, 2, 0]
    assert found.scores.tolist() == pytest.approx([0.7, 0.6, 0.3, 0.25])
    assert found.boxes.tolist() == [list(LEFT), list(RIGHT), list(RIGHT), list(LEFT)]


def test_class_agnostic_by_hand() -> None:
    rois = torch.tensor([LEFT, NEAR, RIGHT])
    logits = logits_of((0.05, 0.7, 0.25), (0.2, 0.6, 0.2), (0.1, 0.3, 0.6))
    found = run(logits, rois, rule=Postprocessing(per_class=False))
    # LEFT 0.7 removes NEAR and its own second class, RIGHT 0.6 its own
    assert list(zip(found.labels.tolist(), found.rois.tolist(), strict=True)) == [(0, 0), (1, 2)]
    assert found.scores.tolist() == pytest.approx([0.7, 0.6])
    soft = Postprocessing(nms="linear", per_class=False, score_threshold=0.1)
    found = run(logits, rois, rule=soft)
    # NEAR 0.6 decays by its overlap with LEFT, the second class of a RoI entirely
    assert list(zip(found.labels.tolist(), found.rois.tolist(), strict=True)) == [(0, 0), (1, 2), (0, 1)]
    assert found.scores.tolist() == pytest.approx([0.7, 0.6, 0.6 * (1 - OVERLAP)])


def test_boxes_are_decoded_with_the_heads_std_and_clipped() -> None:
    deltas = torch.tensor([[5.0, 0, 5 * math.log(2), 0], [-50.0, 0, 0, 0]])
    found = run(logits_of((0.1, 0.9), (0.2, 0.8)), torch.tensor([LEFT, RIGHT]), deltas)
    assert found.boxes[0].tolist() == pytest.approx([10, 10, 90, 50], abs=1e-4)
    assert found.rois.tolist() == [0]  # the other was pushed out of the image: no width is left


def test_the_score_must_be_above_the_threshold() -> None:
    rois = torch.tensor([LEFT, RIGHT])
    logits = torch.zeros(2, 2)  # two classes at exactly one half
    assert len(run(logits, rois, rule=Postprocessing(score_threshold=0.5)).scores) == 0
    assert len(run(logits, rois, rule=Postprocessing(score_threshold=0.49)).scores) == 2


def test_ties_go_by_label_then_roi() -> None:
    found = run(torch.zeros(2, 3), torch.tensor([RIGHT, LEFT]))
    assert list(zip(found.labels.tolist(), found.rois.tolist(), strict=True)) == [
        (0, 0),
        (0, 1),
        (1, 0),
        (1, 1),
    ]


@pytest.mark.parametrize("most", [1, 3, 4, 100])
def test_max_detections_keeps_the_best(most: int) -> None:
    rois = torch.tensor([LEFT, RIGHT])
    logits = logits_of((0.1, 0.6, 0.3), (0.1, 0.2, 0.7))
    found = run(logits, rois, rule=Postprocessing(max_detections=most))
    assert found.scores.tolist() == pytest.approx([0.7, 0.6, 0.3, 0.2][:most])


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("which", ["logits", "deltas", "rois"])
def test_a_roi_with_a_value_that_is_not_finite_is_dropped(which: str, bad: float) -> None:
    values = {
        "logits": logits_of((0.1, 0.9), (0.2, 0.8)),
        "deltas": torch.zeros(2, 4),
        "rois": torch.tensor([LEFT, RIGHT]),
    }
    values[which][0, 0] = bad
    found = run(values["logits"], values["rois"], values["deltas"])
    assert found.rois.tolist() == [1]
    assert found.scores.tolist() == pytest.approx([0.8])


@pytest.mark.parametrize(
    "box", [(20.0, 20.0, 20.0, 40.0), (20.0, 20.0, 40.0, 20.0), (40.0, 20.0, 20.0, 40.0)]
)
def test_a_box_without_both_sides_is_dropped(box: tuple[float, float, float, float]) -> None:
    found = run(logits_of((0.1, 0.9), (0.1, 0.8)), torch.tensor([box, RIGHT]))
    assert found.rois.tolist() == [1]


@pytest.mark.parametrize(("rois", "columns"), [(0, 3), (2, 1)])
def test_no_rois_or_no_classes(rois: int, columns: int) -> None:
    found = run(torch.zeros(rois, columns), torch.tensor([LEFT, RIGHT])[:rois])
    assert found.boxes.shape == (0, 4)
    assert found.scores.shape == found.labels.shape == found.rois.shape == (0,)
    assert found.labels.dtype == found.rois.dtype == torch.int64


def test_soft_nms_decays_per_class_and_sorts_again() -> None:
    rois = torch.tensor([LEFT, NEAR, RIGHT])
    logits = logits_of((0.1, 0.9), (0.2, 0.8), (0.5, 0.5))
    linear = run(logits, rois, rule=Postprocessing(nms="linear"))
    assert linear.rois.tolist() == [0, 2, 1]
    assert linear.scores.tolist() == pytest.approx([0.9, 0.5, 0.8 * (1 - OVERLAP)])
    gaussian = run(logits, rois, rule=Postprocessing(nms="gaussian", sigma=0.4))
    assert gaussian.rois.tolist() == [0, 2, 1]
    assert gaussian.scores.tolist() == pytest.approx(
        [0.9, 0.5, 0.8 * math.exp(-(OVERLAP**2) / 0.4)], rel=1e-5
    )


def test_soft_nms_drops_what_decays_to_the_threshold() -> None:
    rule = Postprocessing(nms="linear", score_threshold=0.15)
    found = run(logits_of((0.1, 0.9), (0.2, 0.8)), torch.tensor([LEFT, NEAR]), rule=rule)
    assert found.rois.tolist() == [0]


def test_softmax_is_stable_for_large_logits() -> None:
    found = run(torch.tensor([[1e4, 1e4 + 1.0, 1e4 - 1.0]]), torch.tensor([LEFT]))
    total = math.exp(-1) + 1 + math.exp(-2)
    assert found.scores.tolist() == pytest.approx([1 / total, math.exp(-2) / total])
    assert found.labels.tolist() == [0, 1]


def test_each_probability_is_the_correctly_rounded_one() -> None:
    generator = torch.Generator().manual_seed(5)
    logits = 3 * torch.randn(20, 81, generator=generator)
    rois = torch.tensor([LEFT]).repeat(20, 1)
    found = run(logits, rois, rule=Postprocessing(score_threshold=0.0, nms_iou=1.0, max_detections=10_000))
    assert len(found.scores) == 20 * 80
    rows = logits.tolist()
    for label, roi, score in zip(
        found.labels.tolist(), found.rois.tolist(), found.scores.tolist(), strict=True
    ):
        peak = max(rows[roi])
        exact = math.exp(rows[roi][label + 1] - peak) / math.fsum(math.exp(v - peak) for v in rows[roi])
        assert score == pytest.approx(exact, rel=1.2e-7)
