"""Distributed training: several processes train one model, each on its part of every batch (`torchrun`).

The schedule's batch size counts the images of all processes. Every loss is a sum over the whole batch divided
by a count over the whole batch. DistributedDataParallel averages gradients over processes, so each process
divides its own sum by the whole count over the number of processes (`DistributedContext.loss_normalizer`).
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from pocketdet.errors import CheckFailed, PocketdetError, UsageError
from pocketdet.training.device import choose_device

TIMEOUT = timedelta(hours=1)  # the others wait while the first process evaluates
VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")  # that torchrun sets


@dataclass(frozen=True)
class DistributedContext:
    """This process among all of a run.

    Attributes:
        rank: its number, from 0.
        size: how many processes there are.
        device: where it trains.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process writes files and prints: rank 0."""
        return self.rank == 0

    def part(self, batch: int) -> range:
        """Indices of this process's images of a batch.

        Raises:
            UsageError: if the batch cannot be divided evenly.
        """
        if batch % self.size:
            raise UsageError(
                f"schedule.batch is {batch}, the images of all processes together: {self.size} processes "
                "cannot share it evenly; choose a multiple"
            )
        each = batch // self.size
        return range(self.rank * each, (self.rank + 1) * each)

    def sums(self, values: Tensor) -> Tensor:
        """Element-wise sums over all processes, without a gradient."""
        if self.size == 1:
            return values
        total = values.detach().clone()
        dist.all_reduce(total)
        return total

    def loss_normalizer(self, counts: Tensor) -> Tensor:
        """Divisor of a loss sum such that the mean over processes is the loss of the whole batch.

        Args:
            counts: this process's counts, any shape.

        Returns:
            Counts over all processes, at least 1, divided by the number of processes.
        """
        return self.sums(counts).clamp(min=1) / self.size

    def gathered(self, values: Tensor) -> Tensor:
        """(N,) of each process, the same N -> (size * N,) in the order of ranks, without a gradient."""
        if self.size == 1:
            return values
        parts = [torch.empty_like(values) for _ in range(self.size)]
        dist.all_gather(parts, values.detach().contiguous())
        return torch.cat(parts)

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in one of the processes."""
        if self.size == 1:
            return flag
        return bool(self.sums(torch.tensor(float(flag), device=self.device)) > 0)

    def wait(self) -> None:
        """Block until all processes call this."""
        self.any(False)


SINGLE_PROCESS = DistributedContext(0, 1, torch.device("cpu"))


@contextmanager
def init_distributed(
    device: str = "auto", environment: Mapping[str, str] = os.environ
) -> Iterator[DistributedContext]:
    """Join the processes that `torchrun` started, or run as a single one; NCCL connects GPUs, Gloo CPUs.

    Args:
        device: "auto", "cpu", "cuda" or "cuda:N".
        environment: the variables that torchrun sets.

    Yields:
        The context of this process.

    Raises:
        UsageError: for a device that does not exist or an incomplete torchrun environment.
        CheckFailed: if another process is lost.
    """
    rank, size, local_rank = _place(environment)
    context = DistributedContext(rank, size, choose_device(device, local_rank, size))
    if context.device.type == "cuda":
        torch.cuda.set_device(context.device)
    if size == 1:
        yield context
        return
    on_gpu = context.device.type == "cuda"
    ended = False
    try:
        dist.init_process_group(
            "nccl" if on_gpu else "gloo", timeout=TIMEOUT, device_id=context.device if on_gpu else None
        )
        yield context
        ended = True
    except RuntimeError as error:
        if not _is_lost_connection(error):
            raise
        raise CheckFailed(
            f"process {rank} of {size} lost the others: one of them ended, or answered nothing for "
            f"{TIMEOUT.total_seconds() / 3600:g} h; go on from the last checkpoint with --resume ({error})"
        ) from error
    finally:
        # NCCL would wait for processes that may be gone; at exit it gives up by itself
        if dist.is_initialized() and (ended or not on_gpu):
            dist.destroy_process_group()


@contextmanager
def sync_errors(context: DistributedContext) -> Iterator[None]:
    """At the end of the block, raise in every process if any of them failed.

    The process that failed raises its own error, the others a `PocketdetError` that quotes the first. The
    block must not communicate between processes: a failed process would block the others.
    """
    try:
        yield
    except Exception as error:
        _gather_errors(context, error)
        raise
    for rank, failure in enumerate(_gather_errors(context, None)):
        if failure is not None:
            kind = UsageError if failure[0] == UsageError.exit_code else CheckFailed
            raise kind(f"process {rank}: {failure[1]}")


def parallel(module: nn.Module, context: DistributedContext) -> nn.Module:
    """The module in DistributedDataParallel, or itself for a single process.

    Weights start as those of rank 0. Every weight must be used in `module.forward`.
    """
    if context.size == 1:
        return module
    return nn.parallel.DistributedDataParallel(module)


def _gather_errors(context: DistributedContext, error: Exception | None) -> list[tuple[int, str] | None]:
    """(Exit code, sentence) of each process's error."""
    if context.size == 1:
        return []
    code = error.exit_code if isinstance(error, PocketdetError) else CheckFailed.exit_code
    failures: list[tuple[int, str] | None] = [None] * context.size
    dist.all_gather_object(failures, None if error is None else (code, str(error) or type(error).__name__))
    return failures


def _place(environment: Mapping[str, str]) -> tuple[int, int, int]:
    """Rank, number of processes, and rank on this machine."""
    if "WORLD_SIZE" not in environment:
        return 0, 1, 0
    missing = [name for name in VARIABLES if name not in environment]
    values = [environment.get(name, "") for name in VARIABLES[:3]]
    if missing or not all(value.isdecimal() for value in values):
        found = f"{', '.join(missing)} missing" if missing else f"found {', '.join(values)}"
        raise UsageError(
            f"WORLD_SIZE is set, so {', '.join(VARIABLES)} are expected as torchrun sets them: {found}; "
            "start the run with torchrun, or unset WORLD_SIZE"
        )
    rank, size, local_rank = map(int, values)
    if rank >= size:
        raise UsageError(f"RANK is {rank}, WORLD_SIZE {size}: expected a rank below it")
    return rank, size, local_rank


def _is_lost_connection(error: RuntimeError) -> bool:
    """Gloo's errors are bare RuntimeErrors that begin with the place in its sources."""
    return isinstance(error, dist.DistError) or "gloo/" in str(error)


class SumOverProcesses(torch.autograd.Function):
    """Element-wise sum over all processes; each one's loss depends on it, so gradients are summed too."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        """(...) -> (...)."""
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """(...) -> (...)."""
        total = gradient.clone()
        dist.all_reduce(total)
        return total


class SyncedBatchNorm2d(nn.BatchNorm2d):
    """Batch norm with the mean and variance of all processes: cross-GPU BN (ThunderNet, section 4.1).

    PyTorch's own `SyncBatchNorm` runs on GPUs only; this is the same for CPUs, in float32 or better. Weights
    and buffers have the names of `BatchNorm2d`, so checkpoints do not depend on how they were trained. All
    processes have the same number of values. Needs `momentum`, affine weights and running statistics.
    """

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        if not self.training:
            return super().forward(input)
        values, each = input.to(torch.promote_types(input.dtype, torch.float32)), (1, -1, 1, 1)
        count = values.numel() // values.shape[1] * dist.get_world_size()
        mean = _over_processes(values.sum(dim=(0, 2, 3))) / count
        centred = values - mean.view(each)
        variance = _over_processes(centred.square().sum(dim=(0, 2, 3))) / count
        self._remember(mean.detach(), variance.detach() * (count / max(count - 1, 1)))
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale.view(each) + self.bias.view(each)).to(input.dtype)

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
