"""The weights that a run starts with, and its optimizer."""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from pocketdet.errors import CheckpointError
from pocketdet.models.build import AnyConfig, AnyDetector, config_of
from pocketdet.models.checkpoint import load_detector
from pocketdet.models.config import DetectorConfig
from pocketdet.models.mimicdet import MimicDet
from pocketdet.models.necks import TopDown
from pocketdet.models.one_stage import OneStageConfig, OneStageDetector
from pocketdet.models.ops.deform_conv import DeformConv2d
from pocketdet.models.retinanet import PRIOR_PROBABILITY, RetinaNet
from pocketdet.models.thundernet import ThunderNet
from pocketdet.training.config import Optimizer

PREDICTOR_STD = 0.01


@torch.no_grad()
def initialise(model: AnyDetector, seed: int, background_bias: float) -> None:
    """Weights that depend on `seed` alone: He's for layers before a ReLU, small ones for predictors.

    ThunderNet's RPN starts with its background scores at `background_bias`, RetinaNet with all its classes
    unlikely and MimicDet with objects unlikely, since nearly all anchors are ground (RetinaNet section 3.3).
    """
    generator = torch.Generator().manual_seed(seed)
    predictors = _predictors(model)
    linear = {x for neck in model.modules() if isinstance(neck, TopDown) for x in neck.modules()}
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear | DeformConv2d):
            fan_in = module.weight[0].numel()
            std = ((1 if module in linear else 2) / fan_in) ** 0.5
            std = PREDICTOR_STD if module in predictors else std
            module.weight.normal_(0, std, generator=generator)
            if module.bias is not None:
                module.bias.zero_()
    if isinstance(model, RetinaNet):
        model.classes.set_prior(PRIOR_PROBABILITY)
    if isinstance(model, MimicDet):
        assert model.refinement.objectness.bias is not None
        model.refinement.objectness.bias.fill_(-math.log(1 / PRIOR_PROBABILITY - 1))
    if isinstance(model, ThunderNet):
        scores = model.rpn.scores
        assert scores.bias is not None
        scores.bias[: scores.out_channels // 2] = background_bias


def _predictors(model: AnyDetector) -> list[nn.Module]:
    """The layers that nothing follows."""
    if isinstance(model, ThunderNet):
        return [model.rpn.scores, model.rpn.deltas, model.head.scores, model.head.deltas]
    found: list[nn.Module] = [predictor.layer for predictor in model.predictors()]
    if isinstance(model, MimicDet) and model.teacher is not None:
        found += [model.teacher.classes, model.teacher.boxes]
    return found


@dataclass(frozen=True)
class Start:
    """What came of the weights that a run starts from.

    Attributes:
        fresh: the layers that do not use them.
        warning: a sentence if trained layers are lost for anchors that the recipe could keep, else "".
    """

    fresh: tuple[str, ...]
    warning: str


def start_from(model: AnyDetector, path: Path) -> Start:
    """Take over the weights at `path`.

    Not taken over are, of a ThunderNet, the classifier where the classes are others, or in another order, and
    the RPN's predictors where the anchors are others; of a one-stage detector the layers that give class
    scores, where the classes are others.

    Raises:
        CheckpointError: if the file is damaged, of another architecture or has other parts.
    """
    given = load_detector(path)
    theirs, own = config_of(given), config_of(model)
    if theirs.arch != own.arch:
        raise CheckpointError(f"{path}: it is a {theirs.arch}: expected a {own.arch}")
    fresh: tuple[str, ...] = ()
    if isinstance(theirs, DetectorConfig) and isinstance(own, DetectorConfig):
        fresh = _fresh_of_two_stages(path, theirs, own)
    elif theirs.class_names != own.class_names and isinstance(model, OneStageDetector):
        fresh = _class_layers(model)
    taken = {k: v for k, v in given.state_dict().items() if k.rpartition(".")[0] not in fresh}
    try:
        model.load_state_dict(taken, strict=False)
    except RuntimeError as error:  # the head's or the pooling's sizes are others
        raise CheckpointError(
            f"{path}: its weights do not fit: {str(error).splitlines()[-1].strip()}"
        ) from error
    return Start(fresh, _anchor_warning(path, theirs, own))


def _anchor_warning(path: Path, theirs: AnyConfig, own: AnyConfig) -> str:
    if isinstance(theirs, DetectorConfig) and isinstance(own, DetectorConfig):
        if theirs.anchors == own.anchors:
            return ""
        scales, wanted = (f"[{', '.join(f'{s:g}' for s in c.anchors.scales)}]" for c in (theirs, own))
        return (
            f"{path.name} was trained with anchor_scales = {scales}, and the recipe has {wanted}: the "
            "trained layers rpn.scores and rpn.deltas are discarded; take over the scales to keep them"
        )
    assert isinstance(theirs, OneStageConfig)
    assert isinstance(own, OneStageConfig)
    if theirs.base_size == own.base_size:
        return ""
    size, wanted = (str(c.base_size or "the paper's") for c in (theirs, own))
    return (
        f"base_size of {path.name} is {size}, and of the recipe {wanted}: its box layers were trained for "
        "other anchors; set base_size to that of the weights"
    )


def _fresh_of_two_stages(path: Path, given: DetectorConfig, own: DetectorConfig) -> tuple[str, ...]:
    if given.parts != own.parts:
        raise CheckpointError(f"{path}: its detector is made of {given.parts}: expected {own.parts}")
    fresh: tuple[str, ...] = ("head.scores",) if given.class_names != own.class_names else ()
    if given.anchors != own.anchors:
        fresh += ("rpn.scores", "rpn.deltas")
    return fresh


def _class_layers(model: OneStageDetector) -> tuple[str, ...]:
    """Names of the layers whose outputs are class scores, those of a T-head too."""
    layers = [p.layer for p in model.predictors() if p.kind in ("sigmoid", "softmax")]
    names = tuple(name for name, module in model.named_modules() if module in layers)
    return (*names, "teacher.classes") if isinstance(model, MimicDet) else names


def make_optimizer(model: nn.Module, rule: Optimizer, learning_rate: float) -> torch.optim.Optimizer:
    """SGD or AdamW; weight decay on matrices and kernels only."""
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": rule.weight_decay}, {"params": others, "weight_decay": 0.0}]
    if rule.kind == "adamw":
        return torch.optim.AdamW(groups, lr=learning_rate)
    return torch.optim.SGD(groups, lr=learning_rate, momentum=rule.momentum)
