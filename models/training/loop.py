"""The training loop: a step at a time, each a function of the run's state and of the step number."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pocketdet.errors import CheckFailed, UsageError
from pocketdet.models.build import build_detector
from pocketdet.models.checkpoint import save_checkpoint
from pocketdet.models.config import DetectorConfig
from pocketdet.models.training.augment import Recipe, make_picture
from pocketdet.models.training.config import TrainConfig
from pocketdet.models.training.config_file import fingerprint
from pocketdet.models.training.ema import Ema
from pocketdet.models.training.schedule import input_side, learning_rate
from pocketdet.models.training.start import initialise, make_optimizer
from pocketdet.models.training.state import STATE_FILE, RunState, load_state, save_state
from pocketdet.models.training.step import Truth, loss_terms

STEP_STREAM = 2
WEIGHTS_FILE = "weights.safetensors"


@dataclass(frozen=True)
class StepReport:
    """One step that is done: its number from 1, input side, learning rate and losses."""

    step: int
    images: int
    side: int
    learning_rate: float
    losses: dict[str, float]


def start_run(config: TrainConfig, detector: DetectorConfig, *, resume: bool = False) -> RunState:
    """Fresh weights, optimizer and average, or with `resume` those of the last checkpoint in `config.out`.

    Raises `CheckpointError` if there is nothing to resume from, `UsageError` if a fresh run would write
    over another.
    """
    model = build_detector(detector)
    initialise(model, config.seed, config.background_bias)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = make_optimizer(model, config.optimizer, config.schedule.learning_rate)
    state = RunState(model, optimizer, Ema(model, config.optimizer.ema) if config.optimizer.ema else None)
    if resume:
        load_state(config.out, state, fingerprint(config))
    elif (config.out / STATE_FILE).exists():
        raise UsageError(f"{config.out} already holds a run: go on with --resume, or choose another folder")
    return state


def train(
    config: TrainConfig, recipe: Recipe, state: RunState, *, stop: Callable[[], bool] = lambda: False
) -> Iterator[StepReport]:
    """Yield after every step until the schedule is over, or `stop` says so after a step.

    `state.pt` and `weights.safetensors` are written to `config.out` every `save_every` steps and at the
    end. Raises `CheckFailed` if the loss stops being finite, `OSError` if a checkpoint cannot be written.
    """
    config.out.mkdir(parents=True, exist_ok=True)
    state.model.train()
    total = config.schedule.steps
    while state.step < total:
        report = one_step(config, recipe, state)
        stopped = stop()
        if state.step % config.save_every == 0 or state.step == total or stopped:
            save_state(config.out, state, fingerprint(config))
            save_weights(config.out / WEIGHTS_FILE, config, state)
        yield report
        if stopped:
            return


def one_step(config: TrainConfig, recipe: Recipe, state: RunState) -> StepReport:
    """Draw a batch, update the weights, count the step."""
    step, schedule = state.step, config.schedule
    side, rate = input_side(schedule, config.seed, step), learning_rate(schedule, step)
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    device = next(state.model.parameters()).device
    images, truths = make_batch(config, recipe, state.model.config, step, side)
    generator = torch.Generator().manual_seed(_mixed_seed(config.seed, step))
    terms = loss_terms(state.model, images.to(device), truths, config.losses, generator)
    loss = terms.total(config.losses)
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    norm = torch.nn.utils.clip_grad_norm_(state.model.parameters(), config.optimizer.clip_norm)
    values = {name: float(value.detach()) for name, value in vars(terms).items()}
    values = {"loss": float(loss.detach()), **values, "gradient": float(norm)}
    if not math.isfinite(values["loss"]) or not math.isfinite(values["gradient"]):
        raise CheckFailed(
            f"step {step + 1}: the loss or its gradient is not finite; lower schedule.learning_rate "
            f"(now {rate:g}) and go on from the last checkpoint with --resume"
        )
    state.optimizer.step()
    state.step = step + 1
    if state.ema is not None:
        state.ema.update(state.model, state.step)
    return StepReport(state.step, state.step * schedule.batch, side, rate, values)


def make_batch(
    config: TrainConfig, recipe: Recipe, detector: DetectorConfig, step: int, side: int
) -> tuple[Tensor, list[Truth]]:
    """Normalised pictures (N, 3, side, side), channels last in memory, and their truths."""
    batch, pre = config.schedule.batch, detector.preprocessing
    progress = step / config.schedule.steps
    made = [make_picture(recipe, config.seed, step * batch + i, progress, side) for i in range(batch)]
    pixels = np.stack([picture.image for picture in made])
    if pre.channel_order == "BGR":
        pixels = pixels[..., ::-1]
    images = (torch.from_numpy(pixels.astype(np.float32)) - torch.tensor(pre.mean)) / torch.tensor(pre.std)
    truths = [
        Truth(torch.from_numpy(p.boxes), torch.from_numpy(p.labels), torch.from_numpy(p.ignored))
        for p in made
    ]
    return images.permute(0, 3, 1, 2), truths


def save_weights(
    path: Path, config: TrainConfig, state: RunState, notes: Mapping[str, str] | None = None
) -> None:
    """The run's weights as a checkpoint whose card has `notes` too. Raises `OSError`."""
    model = build_detector(state.model.config)
    model.load_state_dict(state.weights)
    card = {
        "data": ", ".join(source.annotations.name for source in config.data),
        "recipe": fingerprint(config),
        "seed": str(config.seed),
        "images seen": str(state.step * config.schedule.batch),
        **(notes or {}),
    }
    save_checkpoint(path, model, card)


def _mixed_seed(seed: int, step: int) -> int:
    """A seed of 63 bits for the sampling of one step."""
    return int(np.random.SeedSequence((seed, STEP_STREAM, step)).generate_state(1, np.uint64)[0] >> 1)
