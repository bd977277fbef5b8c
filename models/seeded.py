"""A detector of any kind with seeded random weights that behave like trained ones, by name."""

import torch

from pocketdet.models.build import AnyDetector, build_detector, is_one_stage
from pocketdet.models.config import DetectorConfig
from pocketdet.models.init import seeded_detector
from pocketdet.models.lifelike import lifelike
from pocketdet.models.one_stage_config import OneStageConfig


def seeded(arch: str, class_names: tuple[str, ...], input_size: tuple[int, int], seed: int) -> AnyDetector:
    """In eval mode; the weights depend on the arguments alone (on one machine and torch).

    `input_size` is (height, width). Raises `UsageError` for an unknown architecture or a size that does not
    fit it.
    """
    if not is_one_stage(arch):
        return seeded_detector(DetectorConfig(arch, class_names, input_size=input_size), seed)
    with torch.random.fork_rng(devices=[]):  # what torch draws here is overwritten
        model = build_detector(OneStageConfig(arch, class_names, input_size))
    lifelike(model, input_size, seed)
    return model
