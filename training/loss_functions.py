"""Parts that the losses share: the module that holds one, anchors of a training size, and loss functions.

Sums over processes are as in `distributed`; hard examples are chosen within each process.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketdet.models.ops.one_stage_boxes import default_boxes
from pocketdet.spec.one_stage import OneStageSpec
from pocketdet.training.distributed import SINGLE_PROCESS, DistributedContext

ModelT = TypeVar("ModelT", bound=nn.Module)
SettingsT = TypeVar("SettingsT")

UNIT = (1.0, 1.0, 1.0, 1.0)  # deltas of boxes are not scaled


class DetectorLoss(nn.Module, Generic[ModelT, SettingsT]):
    """A model with the loss of its family, as one module that DistributedDataParallel can wrap.

    Args:
        model: the detector to train; the loss runs it.
        settings: the loss settings of its family.
        context: the processes that share a batch.
        autocast: whether the network runs in bfloat16; targets and losses are float32 in any case.
    """

    def __init__(
        self,
        model: ModelT,
        settings: SettingsT,
        context: DistributedContext = SINGLE_PROCESS,
        autocast: bool = False,
    ) -> None:
        super().__init__()
        self.model = model
        self._settings, self._context, self._autocast = settings, context, autocast


@dataclass(frozen=True)
class Priors:
    """Of all levels, P in all: boxes (P, 4) in pixels of an input (height, width), strides (P, 2).

    `counts` are the priors of each level.
    """

    boxes: Tensor
    strides: Tensor
    counts: tuple[int, ...]
    size: tuple[int, int]


def make_priors(spec: OneStageSpec) -> Priors:
    """All priors of a description, level by level."""
    levels = spec.levels
    return Priors(
        torch.cat([default_boxes(x.grid, x.stride, x.anchors, x.offset) for x in levels]),
        torch.cat([torch.tensor(x.strides, dtype=torch.float32).expand(x.count, 2) for x in levels]),
        tuple(x.count for x in levels),
        spec.input_size,
    )


def by_prior(x: Tensor, priors: int) -> Tensor:
    """A map (N, A * E, h, w) with the A priors of a cell outermost -> (N, h * w * A, E)."""
    n, channels, h, w = x.shape
    grouped = x.reshape(n, priors, channels // priors, h, w)
    return grouped.permute(0, 3, 4, 1, 2).reshape(n, -1, channels // priors)


def all_levels(maps: Mapping[str, Tensor], prefix: str, priors: int) -> Tensor:
    """The maps whose name begins with `prefix`, in their order, as (N, P, E), float32 or better."""
    found = [by_prior(x, priors) for name, x in maps.items() if name.startswith(prefix)]
    values = torch.cat(found, dim=1)
    return values.to(torch.promote_types(values.dtype, torch.float32))


def focal_loss(logits: Tensor, targets: Tensor, alpha: float, gamma: float) -> Tensor:
    """Of sigmoids, element by element; `targets` are 0 or 1 (Lin et al. 2017, equation 5)."""
    probability = torch.sigmoid(logits)
    missed = (1 - probability) * targets + probability * (1 - targets)
    weight = alpha * targets + (1 - alpha) * (1 - targets)
    cross_entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return weight * missed.pow(gamma) * cross_entropy


def hard_negatives(loss: Tensor, negative: Tensor, limit: int) -> Tensor:
    """Loss (...) and which elements are ground (...) -> the `limit` of those with the most loss, as a mask.

    SSD section 2.2. Ties go to the lower index.
    """
    flat = torch.where(negative, loss.detach(), torch.full_like(loss, -torch.inf)).reshape(-1)
    chosen = torch.zeros_like(flat, dtype=torch.bool)
    count = min(limit, int(negative.sum()))
    chosen[flat.sort(descending=True, stable=True).indices[:count]] = True
    return chosen.reshape(loss.shape)


def mined_cross_entropy(
    logits: Tensor,
    classes: Tensor,
    negatives: float,
    context: DistributedContext,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Logits (M, C), classes (M,) with 0 for ground and -1 for neither -> one value.

    All objects and the hardest of the ground count, at most `negatives` for each object, and the sum is
    divided by the objects; without objects it is 0 (PASSD section 6.1).
    """
    loss = F.cross_entropy(logits, classes.clamp(min=0), reduction="none", label_smoothing=label_smoothing)
    positive = classes > 0
    objects = int(positive.sum())
    counted = positive | hard_negatives(loss, classes == 0, round(negatives * objects))
    divisor = context.loss_normalizer(torch.tensor(float(objects), device=logits.device))
    return (loss * counted.to(loss.dtype)).sum() / divisor


def box_loss(found: Tensor, wanted: Tensor, beta: float, context: DistributedContext) -> Tensor:
    """Deltas of objects (M, 4) -> smooth L1 summed, divided by the objects of all processes."""
    divisor = context.loss_normalizer(torch.tensor(float(len(found)), device=found.device))
    return F.smooth_l1_loss(found, wanted, beta=beta, reduction="sum") / divisor


def accuracy(right: Tensor, counted: Tensor, context: DistributedContext) -> Tensor:
    """How many of the `counted` (M,) are `right` (M,), over all processes."""
    counts = torch.stack([(right & counted).sum(), counted.sum()]).to(torch.float32)
    return counts[0] / context.loss_normalizer(counts)[1]
