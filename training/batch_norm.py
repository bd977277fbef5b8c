"""Batch norm with statistics of the whole batch of all processes: the paper's cross-GPU BN (section 4.1).

PyTorch's own `SyncBatchNorm` runs on GPUs only; `SyncedBatchNorm2d` is the same for CPUs, written plainly.
Names of weights and buffers are those of `BatchNorm2d`, so checkpoints do not know how they were trained.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from pocketdet.training.distributed import DistributedContext


class SumOverProcesses(torch.autograd.Function):
    """Element-wise sum over all processes; each one's loss depends on it, so gradients are summed too."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        """(...) -> (...)."""
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """(...) -> (...)."""
        total = gradient.clone()
        dist.all_reduce(total)
        return total


class SyncedBatchNorm2d(nn.BatchNorm2d):
    """In training, mean and variance are those of all processes together, in float32 or better.

    All have the same number of values. Needs `momentum`, affine weights and running statistics.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        if not self.training:
            return super().forward(x)
        values, each = x.to(torch.promote_types(x.dtype, torch.float32)), (1, -1, 1, 1)
        count = values.numel() // values.shape[1] * dist.get_world_size()
        mean = _over_processes(values.sum(dim=(0, 2, 3))) / count
        centred = values - mean.view(each)
        variance = _over_processes(centred.square().sum(dim=(0, 2, 3))) / count
        self._remember(mean.detach(), variance.detach() * (count / max(count - 1, 1)))
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale.view(each) + self.bias.view(each)).to(x.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        """Take the statistics of a batch, the variance unbiased, into the running ones."""
        assert self.momentum is not None
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)


def synchronise(model: nn.Module, context: DistributedContext) -> None:
    """Replace the batch norms within `model`, which keeps its parameters, if there are several processes."""
    if context.size == 1:
        return
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.BatchNorm2d:
                setattr(parent, name, _synced(child, context.device))


def _synced(norm: nn.BatchNorm2d, device: torch.device) -> nn.Module:
    if device.type == "cuda":
        module: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(norm)  # type: ignore[no-untyped-call]
        return module
    synced = SyncedBatchNorm2d(norm.num_features, norm.eps, norm.momentum)
    synced.weight, synced.bias = norm.weight, norm.bias
    for name, buffer in norm.named_buffers():
        setattr(synced, name, buffer)
    return synced.train(norm.training)


def _over_processes(values: Tensor) -> Tensor:
    total: Tensor = SumOverProcesses.apply(values)  # type: ignore[no-untyped-call]
    return total
