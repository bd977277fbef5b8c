"""Random weights with the statistics of trained ones, for tests and untrained demos.

Activations neither vanish nor grow, and proposals and detections are neither empty nor ties.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pocketdet.models.build import AnyDetector, build_detector, is_one_stage
from pocketdet.models.config import DetectorConfig
from pocketdet.models.one_stage import OneStageConfig, OneStageDetector, Predictor, PredictorKind
from pocketdet.models.ops import ps_roi_align
from pocketdet.models.ops.deform_conv import DeformConv2d
from pocketdet.models.thundernet import ThunderNet

# spread of the outputs of a trained detector, so that proposals and detections are neither empty nor ties
OBJECTNESS_STD, RPN_DELTA_STD, LOGIT_STD, HEAD_DELTA_STD = 1.5, 0.15, 1.5, 0.3
BACKGROUND_BIAS = 2.0  # beyond that of equal odds between background and all classes


@torch.no_grad()
def random_thundernet(config: DetectorConfig, seed: int, batch_norm_bias: float = 0.0) -> ThunderNet:
    """A detector in eval mode; its weights depend on the arguments alone (on one machine and torch).

    With the bias of one-stage detectors, `BATCH_NORM_BIAS`, int8 costs as little as in a trained network.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):  # what torch draws here is overwritten
        model = build_detector(config)
    _draw_weights(model, batch_norm_bias, generator)
    images = natural_images(8, config.input_size, generator)
    calibrate_batch_norm(model, images)
    _calibrate_outputs(model, images)
    return model.eval()


def _draw_weights(model: nn.Module, batch_norm_bias: float, generator: torch.Generator) -> None:
    """Overwrite the weights of all layers; `batch_norm_bias` is the mean of the biases of batch norms."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear | DeformConv2d):
            module.weight.normal_(0, (2 / module.weight[0].numel()) ** 0.5, generator=generator)
            if module.bias is not None:
                module.bias.normal_(0, 0.1, generator=generator)
        elif isinstance(module, _BatchNorm):
            module.weight.uniform_(0.8, 1.2, generator=generator)
            module.bias.normal_(batch_norm_bias, 0.2, generator=generator)


def natural_images(count: int, size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Normalised images (N, 3, H, W) with structure at every scale, from smooth to noisy, light to dark."""
    total = torch.zeros(count, 3, *size)
    decay = torch.linspace(0.4, 1.0, count)[:, None, None, None]
    for octave in range(8):
        cells = min(2 << octave, *size)
        coarse = torch.randn(count, 3, cells, cells, generator=generator)
        total += decay**octave * F.interpolate(coarse, size, mode="bilinear", align_corners=False)
    total /= total.std(dim=(1, 2, 3), keepdim=True)
    return total + 0.5 * torch.randn(count, 1, 1, 1, generator=generator)


def calibrate_batch_norm(model: nn.Module, images: Tensor) -> None:
    """Set running statistics to those of `images`; leaves `model` in eval mode."""
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm)]
    for norm in norms:
        norm.momentum = None  # a plain average over what follows
        norm.reset_running_stats()
    model.train()
    model(images)
    model.eval()
    for norm in norms:
        norm.momentum = 0.1


def _calibrate_outputs(model: ThunderNet, images: Tensor) -> None:
    config = model.config
    scores, deltas, sam = model(images)
    anchors = scores.shape[1] // 2
    objectness = scores[:, anchors:] - scores[:, :anchors]
    _scale(model.rpn.scores, OBJECTNESS_STD / float(objectness.std()))
    _scale(model.rpn.deltas, RPN_DELTA_STD / float(deltas.std()))
    height, width = config.input_size
    corners = torch.rand(64, 2, generator=torch.Generator().manual_seed(0)) * 0.6
    rois = torch.cat([corners, corners + 0.3], dim=1) * torch.tensor([width, height, width, height])
    image_index = torch.arange(64) % len(images)
    head = config.head
    features = ps_roi_align(
        sam, rois, image_index, config.anchors.stride, head.pool_size, head.sampling_ratio
    )
    features_scale = float(features.std())
    _scale(model.head.fc, 1 / features_scale)
    logits, box_deltas = model.head(features)
    # centre each class over the RoIs, so that which class wins depends on the RoI
    model.head.scores.bias.sub_(logits.mean(dim=0))
    spread = LOGIT_STD / float((logits - logits.mean(dim=0)).std())
    _scale(model.head.scores, spread)
    model.head.scores.bias[0] += math.log(config.num_classes) + BACKGROUND_BIAS
    _scale(model.head.deltas, HEAD_DELTA_STD / float(box_deltas.std()))


def _scale(layer: nn.Conv2d | nn.Linear, factor: float) -> None:
    layer.weight *= factor
    assert layer.bias is not None
    layer.bias.mul_(factor)


# (standard deviation, mean) of a predictor's channels over positions and images
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
def calibrated_random_init(model: OneStageDetector, size: tuple[int, int], seed: int) -> None:
    """Overwrite all weights, calibrated on images of `size` (height, width); leaves `model` in eval mode.

    The weights depend on the architecture, `size` and `seed` alone (on one machine and torch).
    """
    generator = torch.Generator().manual_seed(seed)
    _draw_weights(model, BATCH_NORM_BIAS, generator)
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


def random_detector(
    arch: str, class_names: tuple[str, ...], input_size: tuple[int, int], seed: int
) -> AnyDetector:
    """A detector of any family with random weights that behave like trained ones.

    Args:
        arch: name of an architecture.
        class_names: without background.
        input_size: (height, width) in pixels.
        seed: the weights depend on the arguments alone, on one machine and torch version.

    Raises:
        UsageError: for an unknown architecture or a size that does not fit it.
    """
    if not is_one_stage(arch):
        return random_thundernet(DetectorConfig(arch, class_names, input_size=input_size), seed)
    with torch.random.fork_rng(devices=[]):  # what torch draws here is overwritten
        model = build_detector(OneStageConfig(arch, class_names, input_size))
    calibrated_random_init(model, input_size, seed)
    return model
