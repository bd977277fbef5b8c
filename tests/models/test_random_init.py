"""Random detectors: a function of the seed, and not constant over images."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from pocketdet.models.build import ARCHITECTURES
from pocketdet.models.config import DetectorConfig
from pocketdet.models.postprocess import Stages, reference_stages
from pocketdet.models.random_init import random_thundernet
from pocketdet.models.thundernet import ThunderNet

SMALL = DetectorConfig("thundernet-snet49", ("bolt", "nut", "washer"), input_size=(64, 64))


def image(seed: int, size: tuple[int, int] = (400, 480)) -> np.ndarray:
    """Soft blobs and some grain, (H, W, 3) uint8."""
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.uniform(0, 255, (1, 3, size[0] // 32, size[1] // 32)))
    smooth = torch.nn.functional.interpolate(coarse, size, mode="bicubic")[0].permute(1, 2, 0).numpy()
    return np.clip(smooth + rng.normal(0, 6, smooth.shape), 0, 255).astype(np.uint8)


def test_a_seed_always_gives_the_same_weights_and_leaves_torchs_generator_alone() -> None:
    torch.manual_seed(1)
    first = random_thundernet(SMALL, seed=5).state_dict()
    drawn = torch.rand(3)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(3), drawn)
    torch.manual_seed(99)
    second = random_thundernet(SMALL, seed=5).state_dict()
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def test_seeds_differ_in_every_weight_that_is_drawn() -> None:
    first, second = (random_thundernet(SMALL, seed=seed) for seed in (5, 6))
    others = dict(second.named_parameters())
    for name, value in first.named_parameters():
        assert not torch.equal(value, others[name]), name


def test_a_seeded_detector_is_finite_and_in_eval_mode() -> None:
    model = random_thundernet(SMALL, seed=0)
    assert not model.training
    for name, value in model.state_dict().items():
        assert torch.isfinite(value).all(), name
        if name.endswith("running_var"):
            assert value.min() > 0, name
    momenta = {m.momentum for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)}
    assert momenta == {0.1}  # ready to be trained


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_statistics_are_those_of_a_trained_detector(
    arch: str, detector_of: Callable[[str], ThunderNet]
) -> None:
    for seed in range(2):
        stages = reference_stages(detector_of(arch), image(seed))
        objectness = stages.rpn_scores[25:] - stages.rpn_scores[:25]
        assert 0.3 < objectness.std() < 5
        assert 0.03 < stages.rpn_deltas.std() < 0.6
        assert 0.3 < stages.logits.std() < 6
        assert 0.05 < stages.deltas.std() < 1.5
        objects = stages.logits[:, 1:]
        spread = (objects - objects.mean(dim=0)).std()
        assert objects.mean(dim=0).std() < 0.75 * spread  # the RoI decides which class wins, not the class
        check_alive(stages, image(seed).shape)


def check_alive(stages: Stages, shape: tuple[int, ...]) -> None:
    """Many proposals and detections, of several classes, none tied, all inside the image."""
    height, width = shape[:2]
    assert len(stages.proposal_boxes) > 50
    assert stages.proposal_logits.unique().numel() == len(stages.proposal_logits)
    assert len(stages.scores) > 5
    assert stages.labels.unique().numel() > 2
    assert stages.scores.max() < 0.999
    assert stages.scores.min() > 0.05
    assert (stages.scores.diff() <= 0).all()
    assert stages.boxes.min() >= 0
    assert stages.boxes[:, 2].max() <= width
    assert stages.boxes[:, 3].max() <= height
    assert (stages.boxes[:, 2:] > stages.boxes[:, :2]).all()


def test_different_images_get_different_detections(detector_of: Callable[[str], ThunderNet]) -> None:
    model = detector_of("thundernet-snet49")
    first, second = (reference_stages(model, image(seed)) for seed in (0, 1))
    assert first.labels.tolist() != second.labels.tolist()
