"""The weights that a run starts with, and its optimizer."""

from pathlib import Path

import torch
from torch import nn

from pocketdet.errors import CheckpointError
from pocketdet.models.checkpoint import load_checkpoint
from pocketdet.models.thundernet import ThunderNet
from pocketdet.models.training.config import Optimizer


@torch.no_grad()
def initialise(model: ThunderNet, seed: int, background_bias: float) -> None:
    """Weights that depend on `seed` alone: He's for layers before a ReLU, small ones for predictors.

    The RPN's background scores start at `background_bias`: nearly all anchors are ground (RetinaNet
    section 3.3 does the same for focal loss).
    """
    generator = torch.Generator().manual_seed(seed)
    predictors = (model.rpn.scores, model.rpn.deltas, model.head.scores, model.head.deltas)
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            fan_in = module.weight[0].numel()
            std = 0.01 if module in predictors else (2 / fan_in) ** 0.5
            module.weight.normal_(0, std, generator=generator)
            if module.bias is not None:
                module.bias.zero_()
    scores = model.rpn.scores
    assert scores.bias is not None
    scores.bias[: scores.out_channels // 2] = background_bias


def start_from(model: ThunderNet, path: Path) -> tuple[str, ...]:
    """Take over the weights at `path`; returns the parts of `model` that keep their own.

    That is the classifier where the classes are others, or in another order, and the RPN's predictors where
    the anchors are others. Raises `CheckpointError` if the file is damaged, of another architecture or has
    other parts.
    """
    given, own = load_checkpoint(path), model.config
    if given.config.arch != own.arch:
        raise CheckpointError(f"{path}: it is a {given.config.arch}: expected a {own.arch}")
    if given.config.parts != own.parts:
        raise CheckpointError(f"{path}: its detector is made of {given.config.parts}: expected {own.parts}")
    fresh: tuple[str, ...] = ("head.scores",) if given.config.class_names != own.class_names else ()
    if given.config.anchors != own.anchors:
        fresh += ("rpn.scores", "rpn.deltas")
    taken = {k: v for k, v in given.state_dict().items() if k.rpartition(".")[0] not in fresh}
    try:
        model.load_state_dict(taken, strict=False)
    except RuntimeError as error:  # the head's or the pooling's sizes are others
        raise CheckpointError(
            f"{path}: its weights do not fit: {str(error).splitlines()[-1].strip()}"
        ) from error
    return fresh


def make_optimizer(model: nn.Module, rule: Optimizer, learning_rate: float) -> torch.optim.Optimizer:
    """SGD or AdamW; weight decay on matrices and kernels only."""
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": rule.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    if rule.kind == "adamw":
        return torch.optim.AdamW(groups, lr=learning_rate)
    return torch.optim.SGD(groups, lr=learning_rate, momentum=rule.momentum)
