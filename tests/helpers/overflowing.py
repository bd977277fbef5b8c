"""Detectors whose answers are those of a sound one, and whose inner values are beyond the range of halves."""

import copy

import torch
from torch import nn

from pocketdet.models.thundernet import ThunderNet

# (batch norms or linear layers to scale up, convolutions or linear layers to scale down by the same factor);
# between them is nothing but a ReLU, so that the answers stay
PLACES = {
    "a branch of the backbone": (("backbone.stage2.1.branch.0.1",), ("backbone.stage2.1.branch.1.0",)),
    "the head": (("head.fc",), ("head.scores", "head.deltas")),
}
FACTOR = 2.0**20  # a power of two: nothing is rounded in fp32


def overflowing(model: ThunderNet, place: str, factor: float = FACTOR) -> ThunderNet:
    """A copy of `model` whose values at `place` are `factor` times as large, and nowhere else."""
    model = copy.deepcopy(model)
    up, down = PLACES[place]
    with torch.no_grad():
        for name in up:
            layer = model.get_submodule(name)
            assert isinstance(layer, nn.BatchNorm2d | nn.Linear)
            layer.weight *= factor
            layer.bias *= factor
        for name in down:
            layer = model.get_submodule(name)
            assert isinstance(layer, nn.Conv2d | nn.Linear)
            layer.weight /= factor
    return model
