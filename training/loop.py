"""The training loop. Each step is a function of the run's state and of the step number."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from pocketdet.errors import CheckFailed, CheckpointError, UsageError
from pocketdet.models.build import AnyConfig, build_detector, config_of
from pocketdet.models.checkpoint import save_checkpoint
from pocketdet.training.augment import AugmentPipeline
from pocketdet.training.batches import StepDataset, image_numbers, iter_batches, sampling_seed, to_batch
from pocketdet.training.build_loss import LossTerms, build_loss
from pocketdet.training.config import TrainConfig, learning_rate, warmup_warning
from pocketdet.training.config_file import fingerprint
from pocketdet.training.distributed import SINGLE_PROCESS, DistributedContext, parallel, synchronise
from pocketdet.training.sample import Sample
from pocketdet.training.start import initialise, make_optimizer, start_from
from pocketdet.training.state import STATE_FILE, Ema, RunState, load_state, save_state

WEIGHTS_FILE = "weights.safetensors"


@dataclass(frozen=True)
class StepReport:
    """A finished step: its number from 1, images seen, input side in pixels, learning rate and losses."""

    step: int
    images: int
    side: int
    learning_rate: float
    losses: dict[str, float]


def start_run(
    config: TrainConfig,
    detector: AnyConfig,
    *,
    resume: bool = False,
    context: DistributedContext = SINGLE_PROCESS,
    log: Callable[[str], None] = lambda line: None,
) -> RunState:
    """The state of a new run, or with `resume` that of the last checkpoint in `config.out`.

    Args:
        config: the run.
        detector: the detector to build.
        resume: whether to load the last checkpoint.
        context: the processes that share a batch.
        log: receives lines about layers that do not use `config.weights`, and warnings.

    Raises:
        CheckpointError: if there is no checkpoint to resume from, or `config.weights` do not fit.
        UsageError: if a new run would overwrite another, or the processes cannot divide its batches.
    """
    context.part(config.schedule.batch)
    warning = warmup_warning(config.schedule)
    if warning:
        log(f"warning: {warning}")
    model = build_detector(detector)
    initialise(model, config.seed, config.background_bias)
    if config.weights is not None and not resume:
        start = start_from(model, config.weights)
        layers = f"; fresh: {', '.join(start.fresh)}" if start.fresh else ""
        log(f"starts from {config.weights.name}{layers}")
        if start.warning:
            log(f"warning: {start.warning}")
    model.to(context.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    synchronise(model, context)
    optimizer = make_optimizer(model, config.optimizer, config.schedule.learning_rate)
    state = RunState(model, optimizer, Ema(model, config.optimizer.ema) if config.optimizer.ema else None)
    if resume:
        load_state(config.out, state, fingerprint(config))
    elif (config.out / STATE_FILE).exists():
        raise UsageError(f"{config.out} already holds a run: go on with --resume, or choose another folder")
    return state


def train(
    config: TrainConfig,
    pipeline: AugmentPipeline,
    state: RunState,
    *,
    context: DistributedContext = SINGLE_PROCESS,
    workers: int = 0,
    autocast: bool = False,
    stop: Callable[[], bool] = lambda: False,
    log: Callable[[StepReport], None] = lambda report: None,
) -> Iterator[StepReport]:
    """Train until the schedule is over; yields after every step.

    `state.pt` and `weights.safetensors` are written to `config.out` every `config.save_every` steps and at
    the end.

    Args:
        config: the run.
        pipeline: the source of augmented images.
        state: model, optimizer and step; updated in place.
        context: the processes that share a batch.
        workers: processes that augment images ahead, see `batches.iter_batches`.
        autocast: whether the network runs in bfloat16.
        stop: checked after every step; the run stops after a step in which it is true in any process.
        log: receives each step before its checkpoint is written, so the log of a killed run contains every
            step before the one that it resumes from.

    Yields:
        A report of each step.

    Raises:
        CheckFailed: if the loss or its gradient is not finite.
        CheckpointError: if the processes resumed from different steps.
        UsageError: if a checkpoint cannot be written.
    """
    _check_same_step(config, state, context)
    state.model.train()
    total = config.schedule.steps
    network = parallel(build_loss(state.model, config.rule, context, autocast), context)
    for samples in iter_batches(StepDataset(config, pipeline, context), range(state.step, total), workers):
        report = one_step(config, state, network, samples, context)
        log(report)
        stopped = context.any(stop())
        if state.step % config.save_every == 0 or state.step == total or stopped:
            if context.first:
                save_weights(config.out / WEIGHTS_FILE, config, state)
                # last: a run that is killed before this repeats its steps and writes the weights again
                save_state(config.out, state, fingerprint(config))
            context.wait()
        yield report
        if stopped:
            return


def one_step(
    config: TrainConfig,
    state: RunState,
    network: nn.Module,
    samples: list[Sample],
    context: DistributedContext,
) -> StepReport:
    """Update the weights once, with this process's samples of the batch and all processes' gradients."""
    step, schedule = state.step, config.schedule
    rate = learning_rate(schedule, step)
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    seeds = [sampling_seed(config.seed, number) for number in image_numbers(config, step, context)]
    images, targets = to_batch(samples, seeds, config_of(state.model).preprocessing, context.device)
    terms: LossTerms = network(images, targets)
    loss = terms.total(config.rule)
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    norm = torch.nn.utils.clip_grad_norm_(state.model.parameters(), config.optimizer.clip_norm)
    names = ("loss", *vars(terms), "gradient")
    values = _over_processes(torch.stack([loss, *vars(terms).values(), norm]).detach(), context)
    losses = dict(zip(names, values, strict=True))
    if not math.isfinite(losses["loss"]) or not math.isfinite(losses["gradient"]):
        raise CheckFailed(
            f"step {step + 1}: the loss or its gradient is not finite; lower schedule.learning_rate "
            f"(now {rate:g}) and go on from the last checkpoint with --resume"
        )
    state.optimizer.step()
    state.step = step + 1
    if state.ema is not None:
        state.ema.update(state.model, state.step)
    return StepReport(state.step, state.step * schedule.batch, images.shape[2], rate, losses)


def save_weights(
    path: Path, config: TrainConfig, state: RunState, notes: Mapping[str, str] | None = None
) -> None:
    """Write the run's weights as a checkpoint; `notes` are added to its card. Raises `UsageError`."""
    model = build_detector(config_of(state.model))
    model.load_state_dict(state.weights)
    card = {
        "data": ", ".join(source.annotations.name for source in config.data),
        "recipe": fingerprint(config),
        "seed": str(config.seed),
        "images seen": str(state.step * config.schedule.batch),
        **({} if config.weights is None else {"started from": config.weights.name}),
        **(notes or {}),
    }
    save_checkpoint(path, model, card)


def _over_processes(values: Tensor, context: DistributedContext) -> list[float]:
    """The mean over processes: the value of the whole batch (`losses`), the same number in each of them."""
    means: list[float] = (context.sums(values) / context.size).tolist()
    return means


def _check_same_step(config: TrainConfig, state: RunState, context: DistributedContext) -> None:
    """Raise `CheckpointError` if the processes of several machines read different checkpoints."""
    steps = context.gathered(torch.tensor([state.step], device=context.device)).tolist()
    if len(set(steps)) > 1:
        raise CheckpointError(
            f"{config.out / STATE_FILE}: the processes found checkpoints of steps "
            f"{', '.join(map(str, steps))}; give all machines the same folder, or copy the file to each"
        )
