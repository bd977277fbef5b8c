"""One of the processes that torchrun starts for a test: does several things, writes down what it saw.

The argument is a folder, where `seen-<rank>.pt` is written. In the end the last process dies.
"""

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pocketdet.errors import CheckpointError, PocketdetError
from pocketdet.training.augment import AugmentPipeline
from pocketdet.training.config import Augment, Optimizer, Schedule, Source, TrainConfig
from pocketdet.training.config_file import fingerprint
from pocketdet.training.device import keep_freed_memory
from pocketdet.training.distributed import (
    SINGLE_PROCESS,
    DistributedContext,
    SyncedBatchNorm2d,
    init_distributed,
    sync_errors,
    synchronise,
)
from pocketdet.training.loop import StepReport, start_run, train
from pocketdet.training.loss_config import ThunderNetLossConfig
from pocketdet.training.sample import Sample, build_cache
from pocketdet.training.state import Ema, save_state

DEAD = 7  # its exit code
NAMES = ("bolt", "nut")
STEPS, BATCH, SIDE = 10, 8, 96
SHORT = 3 * BATCH  # images of a run of three steps


@dataclass(frozen=True)
class Seen:
    """What one process saw of a run: losses of each step, weights and average at its end."""

    losses: list[dict[str, float]]
    weights: dict[str, Tensor]
    average: dict[str, Tensor]


def pipeline() -> AugmentPipeline:
    """Six noisy images with a light or a dark box; one of them has two."""
    rng = np.random.default_rng(5)
    samples = []
    for index in range(6):
        image = rng.integers(0, 120, (SIDE, SIDE, 3), np.uint8)
        boxes = np.array([[20, 24, 60, 50], [4, 60, 40, 90]], np.float32)[: 1 + (index == 3)]
        for x1, y1, x2, y2 in boxes.astype(int):
            image[y1:y2, x1:x2] = 250 if index % 2 else 180
        labels = np.array([index % 2, 0])[: len(boxes)]
        samples.append(Sample(image, boxes, labels, np.zeros((0, 4), np.float32)))
    rule = Augment(kind="ssd")
    return AugmentPipeline([build_cache(samples, 2, 0.0)], [1.0], rule)


def config(out: Path, **schedule: object) -> TrainConfig:
    """The paper's recipe in small: SGD with momentum, warm-up, hard example mining; and an average."""
    rule = Schedule(STEPS * BATCH, BATCH, learning_rate=0.01, warmup_steps=4, sizes=(SIDE, SIDE - 32))
    return TrainConfig(
        data=(Source(Path("toy.json"), Path("toy")),),
        out=out,
        input_size=(SIDE, SIDE),
        anchor_scales=(16, 32, 64),
        save_every=5,
        schedule=replace(rule, **schedule),  # type: ignore[arg-type]
        optimizer=Optimizer(ema=0.9),
        losses=ThunderNetLossConfig(pre_nms=80, proposals=40, rois=24, ohem=6, rpn_hard=8, rpn_random=8),
    )


def run(
    setup: TrainConfig,
    context: DistributedContext = SINGLE_PROCESS,
    *,
    resume: bool = False,
    stop_after: int = 99,
    double: bool = False,
) -> Seen:
    """Train, with `double` in float64; `stop_after` is heeded by the last process alone."""
    state = start_run(setup, setup.detector(NAMES), resume=resume, context=context)
    if double:
        state.model.double().register_forward_pre_hook(lambda _, arguments: (arguments[0].double(),))
        state.ema = Ema(state.model, setup.optimizer.ema)
    stop = lambda: context.rank == context.size - 1 and state.step >= stop_after  # noqa: E731
    reports: list[StepReport] = list(train(setup, pipeline(), state, context=context, stop=stop))
    assert state.ema is not None
    return Seen([r.losses for r in reports], state.model.state_dict(), state.ema.weights)


def batch_norm(context: DistributedContext) -> dict[str, Tensor]:
    """What a batch norm over all processes gives for our half of a batch whose mean is far from zero."""
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(6, 5, 4, 3, generator=generator) * 2 + 30
    wanted = torch.randn(6, 5, 4, 3, generator=generator)
    layer = nn.Sequential(nn.BatchNorm2d(5))
    synchronise(layer, context)
    assert isinstance(layer[0], SyncedBatchNorm2d) == (context.size > 1)
    part = context.part(6)
    mine = x[part.start : part.stop].clone().requires_grad_()
    out = layer(mine)
    (out * wanted[part.start : part.stop]).sum().backward()
    assert mine.grad is not None
    layer.eval()
    found = {"out": out.detach(), "gradient": mine.grad, "eval": layer(mine).detach()}
    parameters = {name: context.sums(p.grad) for name, p in layer.named_parameters() if p.grad is not None}
    return {**found, **parameters, **layer.state_dict(keep_vars=False)}


def failures(context: DistributedContext, out: Path) -> list[str]:
    """The errors that each process is messages of when the last of them fails."""
    messages = []
    for guilty in (context.size - 1, 0):
        try:
            with sync_errors(context):
                if context.rank == guilty:
                    raise CheckpointError("the disk is gone")
        except PocketdetError as error:
            messages.append(f"{type(error).__name__}: {error}")
    with sync_errors(context):
        pass
    try:
        run(config(out, batch=9), context)
    except PocketdetError as error:
        messages.append(f"{type(error).__name__}: {error}")
    return messages


def stale(context: DistributedContext, out: Path) -> str:
    """The error when the processes resume from different steps."""
    setup = config(out / f"stale-{context.rank}", images=SHORT)
    setup.out.mkdir()
    state = start_run(setup, setup.detector(NAMES))
    state.step = 1 + context.rank
    save_state(setup.out, state, fingerprint(setup))
    try:
        run(setup, context, resume=True)
    except CheckpointError as error:
        return str(error)
    return "no error"


def main(out: Path) -> None:
    """Everything that is compared with one process; then the last process dies without a word."""
    with init_distributed("cpu") as context:
        seen = {
            "exact": run(config(out / "exact"), context, double=True),
            "whole": run(config(out / "whole", images=SHORT), context),
            "first": run(config(out / "parted", images=SHORT), context, stop_after=1),
            "rest": run(config(out / "parted", images=SHORT), context, resume=True),
            "batch_norm": batch_norm(context),
            "failures": failures(context, out / "failed"),
            "stale": stale(context, out),
        }
        plain = {key: vars(value) if isinstance(value, Seen) else value for key, value in seen.items()}
        torch.save(plain, out / f"seen-{context.rank}.pt")
        context.wait()
        if context.rank == context.size - 1:
            os._exit(DEAD)
        context.wait()


if __name__ == "__main__":
    torch.set_num_threads(1)
    keep_freed_memory()
    main(Path(sys.argv[1]))
