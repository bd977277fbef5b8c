"""Seeded random weights for one-stage detectors, with the statistics of trained ones.

As `models/init.py` for ThunderNet, for tests and untrained demos: activations neither vanish nor grow,
detections are neither none nor ties.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pocketdet.models.init import (
    BACKGROUND_BIAS,
    LOGIT_STD,
    OBJECTNESS_STD,
    calibrate_batch_norm,
    natural_images,
)
from pocketdet.models.one_stage import OneStageDetector, Predictor, PredictorKind
from pocketdet.models.ops.deform_conv import DeformConv2d

# (standard deviation, mean) of a predictor's channels over positions and pictures
STATISTICS: dict[PredictorKind, tuple[float, float]] = {
    "sigmoid": (LOGIT_STD, -5.0),
    "softmax": (LOGIT_STD, 0.0),
    "objectness": (OBJECTNESS_STD, 0.0),
    "deltas": (0.3, 0.0),
}
IMAGES = 4
# With 0 every layer of batch norm and ReLU amplifies rounding by a fifth, a hundredfold over 27 layers;
# trained networks do not.
BATCH_NORM_BIAS = 0.5


@torch.no_grad()
def lifelike(model: OneStageDetector, size: tuple[int, int], seed: int) -> None:
    """Overwrite all weights, calibrated on pictures of `size` (height, width); leaves `model` in eval mode.

    The weights depend on the architecture, `size` and `seed` alone (on one machine and torch).
    """
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear | DeformConv2d):
            module.weight.normal_(0, (2 / module.weight[0].numel()) ** 0.5, generator=generator)
            if module.bias is not None:
                module.bias.normal_(0, 0.1, generator=generator)
        elif isinstance(module, _BatchNorm):
            module.weight.uniform_(0.8, 1.2, generator=generator)
            module.bias.normal_(BATCH_NORM_BIAS, 0.2, generator=generator)
    images = natural_images(IMAGES, size, generator)
    calibrate_batch_norm(model, images)
    for predictor in model.predictors():
        _calibrate(model, predictor, images)


def _calibrate(model: nn.Module, predictor: Predictor, images: Tensor) -> None:
    """Give the predictor's channels the mean and, all together, the spread of their kind."""
    rows, layer, seen = slice(predictor.start, predictor.stop), predictor.layer, list[Tensor]()
    hook = layer.register_forward_hook(
        lambda _, __, out: seen.append(out[:, rows].transpose(0, 1).flatten(1))
    )
    model(images)
    hook.remove()
    values, bias = torch.cat(seen, dim=1), layer.bias
    assert bias is not None
    spread, mean = STATISTICS[predictor.kind]
    centre = values.mean(dim=1)
    scale = spread / float((values - centre[:, None]).std())
    layer.weight[rows] *= scale
    bias[rows] = (bias[rows] - centre) * scale + mean
    if predictor.kind == "softmax":
        bias[rows][:: predictor.period] += math.log(predictor.period - 1) + BACKGROUND_BIAS
