"""The pictures of each step: made in the loop, or ahead of it by other processes, to the same bits."""

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pocketdet.models.config import Preprocessing
from pocketdet.training.augment import Recipe, make_picture
from pocketdet.training.config import TrainConfig
from pocketdet.training.distributed import World
from pocketdet.training.labelled import Labelled
from pocketdet.training.schedule import input_side
from pocketdet.training.truth import Truth

SAMPLING_STREAM = 2  # keeps this use of the seed apart from others


class StepPictures(Dataset[list[Labelled]]):
    """Item number `step` is what this process makes for that step, counted from 0."""

    def __init__(self, config: TrainConfig, recipe: Recipe, world: World) -> None:
        self._config, self._recipe, self._world = config, recipe, world

    def __getitem__(self, step: int) -> list[Labelled]:
        config = self._config
        side, progress = input_side(config.schedule, config.seed, step), step / config.schedule.steps
        numbers = picture_numbers(config, step, self._world)
        return [make_picture(self._recipe, config.seed, number, progress, side) for number in numbers]


def picture_numbers(config: TrainConfig, step: int, world: World) -> range:
    """The pictures of a step that are this process's, counted over the whole run."""
    batch = config.schedule.batch
    part = world.part(batch)
    return range(step * batch + part.start, step * batch + part.stop)


def made(source: StepPictures, steps: range, workers: int = 0) -> Iterator[list[Labelled]]:
    """The pictures of each of `steps`, made when they are asked for, or ahead by `workers` processes.

    On Linux the processes share the decoded data with this one; elsewhere each gets a copy.
    """
    if not workers:
        yield from (source[step] for step in steps)
        return
    loader = DataLoader(
        source,
        batch_size=None,
        sampler=steps,
        num_workers=workers,
        collate_fn=_unchanged,
        worker_init_fn=_ignore_interrupts,
        multiprocessing_context="fork" if sys.platform == "linux" else None,
        generator=torch.Generator(),  # the global stream stays as it is
    )
    with _no_opencv_threads():
        items = iter(loader)
    yield from items


def to_batch(
    pictures: Sequence[Labelled], seeds: Sequence[int], rule: Preprocessing, device: torch.device
) -> tuple[Tensor, list[Truth]]:
    """Normalised pictures (N, 3, H, W) on `device`, channels last in memory, and their truths on the CPU."""
    pixels = torch.from_numpy(np.stack([picture.image for picture in pictures])).to(device)
    if rule.channel_order == "BGR":
        pixels = pixels.flip(-1)
    mean, std = torch.tensor(rule.mean, device=device), torch.tensor(rule.std, device=device)
    images = (pixels.float() - mean) / std
    truths = [
        Truth(torch.from_numpy(p.boxes), torch.from_numpy(p.labels), torch.from_numpy(p.ignored), seed)
        for p, seed in zip(pictures, seeds, strict=True)
    ]
    return images.permute(0, 3, 1, 2), truths


def sampling_seed(seed: int, number: int) -> int:
    """A seed of 63 bits for the draws among the targets of picture `number` of a run."""
    return int(np.random.SeedSequence((seed, SAMPLING_STREAM, number)).generate_state(1, np.uint64)[0] >> 1)


def _unchanged(item: list[Labelled]) -> list[Labelled]:
    return item


def _ignore_interrupts(worker: int) -> None:
    """Ctrl-C reaches every process of the terminal; the one that trains decides when to stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _no_opencv_threads() -> Iterator[None]:
    """A forked process inherits OpenCV's pool without its threads, and would wait for them."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(0)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
