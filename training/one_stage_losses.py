"""The parts that the one-stage detectors' losses are made of.

Sums over processes are as in `losses`; hard examples are chosen within each process.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from pocketdet.training.distributed import World


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
    logits: Tensor, classes: Tensor, negatives: float, world: World, label_smoothing: float = 0.0
) -> Tensor:
    """Logits (M, C), classes (M,) with 0 for ground and -1 for neither -> one value.

    All objects and the hardest of the ground count, at most `negatives` for each object, and the sum is
    divided by the objects; without objects it is 0 (PASSD section 6.1).
    """
    loss = F.cross_entropy(logits, classes.clamp(min=0), reduction="none", label_smoothing=label_smoothing)
    positive = classes > 0
    objects = int(positive.sum())
    kept = positive | hard_negatives(loss, classes == 0, round(negatives * objects))
    divisor = world.divisors(torch.tensor(float(objects), device=logits.device))
    return (loss * kept.to(loss.dtype)).sum() / divisor


def box_loss(found: Tensor, wanted: Tensor, beta: float, world: World) -> Tensor:
    """Deltas of objects (M, 4) -> smooth L1 summed, divided by the objects of all processes."""
    divisor = world.divisors(torch.tensor(float(len(found)), device=found.device))
    return F.smooth_l1_loss(found, wanted, beta=beta, reduction="sum") / divisor


def share(right: Tensor, judged: Tensor, world: World) -> Tensor:
    """How many of the `judged` (M,) are `right` (M,), over all processes."""
    counts = torch.stack([(right & judged).sum(), judged.sum()]).to(torch.float32)
    return counts[0] / world.divisors(counts)[1]
