"""MimicDet with and without the mimic loss: two runs that differ in nothing else."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from float64_training import NAMES, coloured_boxes, float64

from pocketdet.models.backbones import ResNetConfig
from pocketdet.models.config import Preprocessing
from pocketdet.models.mimicdet import MimicDet, MimicDetConfig
from pocketdet.training.batches import to_batch
from pocketdet.training.build_loss import build_loss
from pocketdet.training.loss_config import MimicDetLossConfig
from pocketdet.training.mimic_ablation import main
from pocketdet.training.mimicdet_loss import MimicDetTerms
from pocketdet.training.start import initialise

__all__ = ["float64"]

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
DATA = ["--test", str(IMAGES / "scene.json"), "--images", str(IMAGES)]
RULE = MimicDetLossConfig(samples=16, regressed=16)
RATE = 1e-7


def fresh() -> MimicDet:
    """The same small network with the same weights at every call."""
    config = MimicDetConfig(
        len(NAMES), (64, 64), ResNetConfig((1, 1, 1, 1), 8), width=16, feature_width=24, base_size=2.0
    )
    model = MimicDet(config)
    initialise(model, 3, 4.0)
    return model.train()


def terms(model: MimicDet, rule: MimicDetLossConfig) -> MimicDetTerms:
    """The losses of a batch of two, always with the same samples."""
    images, targets = to_batch(coloured_boxes(64, 2), [1, 2], Preprocessing(), torch.device("cpu"))
    found = build_loss(model, rule)(images, targets)
    assert isinstance(found, MimicDetTerms)
    return found


def gradient(model: MimicDet, loss: torch.Tensor) -> list[torch.Tensor]:
    parameters = list(model.parameters())
    found = torch.autograd.grad(loss, parameters, allow_unused=True, retain_graph=True)
    return [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, found, strict=True)]


def mimic_after_one_step(weight: float) -> float:
    """Equation 1 after one step of gradient descent in which it counts `weight` times."""
    rule = replace(RULE, mimic_weight=weight)
    model = fresh()
    step = gradient(model, terms(model, rule).total(rule))
    with torch.no_grad():
        for parameter, direction in zip(model.parameters(), step, strict=True):
            parameter -= RATE * direction
    return float(terms(model, rule).mimic.detach())


@pytest.mark.usefixtures("float64")
def test_equation_1_falls_further_if_it_is_minimised() -> None:
    """One step with it leads to a value lower by rate x |its gradient|^2 than one step without it.

    Within 1%: the T-head is what is imitated and passes on no gradient, but moves a little too.
    """
    model = fresh()
    start = terms(model, RULE)
    own, whole = gradient(model, start.mimic), gradient(model, start.total(RULE))
    rest = gradient(model, start.total(replace(RULE, mimic_weight=0.0)))
    for total, mimic, others in zip(whole, own, rest, strict=True):
        torch.testing.assert_close(total, mimic + others)
    squared = sum(float((g * g).sum()) for g in own)
    assert squared > 0
    minimised, measured = mimic_after_one_step(1.0), mimic_after_one_step(0.0)
    assert measured - minimised == pytest.approx(RATE * squared, rel=1e-2)


def test_both_runs_are_trained_and_evaluated(capsys: pytest.CaptureFixture[str]) -> None:
    """After one step, whose losses are those of the common weights and images, the values are the same."""
    size = ["--image-count", "2", "--batch", "2", "--side", "64", "--test-images", "1"]
    assert main(["--data", str(IMAGES / "scene.json"), *DATA, *size]) == 0
    out = capsys.readouterr().out
    assert re.findall(r"mimic loss times (\d)", out) == ["1", "0"]
    minimised, measured = re.findall(r"; mimic (\d\.\d+)", out)
    assert minimised == measured
    assert float(measured) > 0
    assert len(re.findall(r"AP \d+\.\d\d  AP50 \d+\.\d\d  on 1 images", out)) == 2


def test_a_missing_file_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["--data", str(tmp_path / "none.json"), *DATA]) == 2
    assert "none.json" in capsys.readouterr().err
