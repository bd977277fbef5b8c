"""Learning rate and input size: functions of the step alone, so a resumed run needs no memory of them."""

import math

import numpy as np

from pocketdet.training.config import Schedule

SIZE_STREAM = 1  # keeps this use of the seed apart from others


def learning_rate(schedule: Schedule, step: int) -> float:
    """Of step number `step`, counted from 0."""
    progress = step / schedule.steps
    if schedule.decay == "cosine":
        factor = 0.5 * (1 + math.cos(math.pi * progress))
    else:
        factor = 0.1 ** ((progress >= 0.5) + (progress >= 0.75))
    warm = min(1.0, (step + 1) / schedule.warmup_steps) if schedule.warmup_steps else 1.0
    return schedule.learning_rate * warm * factor


def warmup_warning(schedule: Schedule) -> str:
    """A sentence if the run is over before its warm-up, else ""."""
    steps = schedule.steps
    if schedule.warmup_steps < steps:
        return ""
    length = f"the run has {steps} step{'s' if steps > 1 else ''}"
    return (
        f"schedule.warmup_steps is {schedule.warmup_steps} and {length} ({schedule.images} images in batches "
        f"of {schedule.batch}): the learning rate does not reach {schedule.learning_rate:g}; "
        f"set warmup_steps to {steps // 10} or so"
    )


def input_side(schedule: Schedule, seed: int, step: int) -> int:
    """The side of the images of a step, drawn from the sizes of its part of the run."""
    early = schedule.early_sizes and step < schedule.early_share * schedule.steps
    sides = schedule.early_sizes if early else schedule.sizes
    rng = np.random.default_rng((seed, SIZE_STREAM, step))
    return int(sides[int(rng.integers(len(sides)))])
