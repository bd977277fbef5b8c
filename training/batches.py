"""The images of each step: made in the loop, or ahead of it by other processes, to the same bits."""

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
from pocketdet.training.augment import AugmentPipeline, make_sample
from pocketdet.training.config import TrainConfig, input_side
from pocketdet.training.distributed import DistributedContext
from pocketdet.training.matching import Targets
from pocketdet.training.sample import Sample

SAMPLING_STREAM = 2  # keeps this use of the seed apart from others


class StepDataset(Dataset[list[Sample]]):
    """Item number `step` is what this process makes for that step, counted from 0."""

    def __init__(self, config: TrainConfig, pipeline: AugmentPipeline, context: DistributedContext) -> None:
        self._config, self._pipeline, self._context = config, pipeline, context

    def __getitem__(self, step: int) -> list[Sample]:
        config = self._config
        side, progress = input_side(config.schedule, config.seed, step), step / config.schedule.steps
        numbers = image_numbers(config, step, self._context)
        return [make_sample(self._pipeline, config.seed, number, progress, side) for number in numbers]


def image_numbers(config: TrainConfig, step: int, context: DistributedContext) -> range:
    """The images of a step that are this process's, counted over the whole run."""
    batch = config.schedule.batch
    part = context.part(batch)
    return range(step * batch + part.start, step * batch + part.stop)


def iter_batches(source: StepDataset, steps: range, workers: int = 0) -> Iterator[list[Sample]]:
    """The images of each of `steps`, made when they are asked for, or ahead by `workers` processes.

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
    samples: Sequence[Sample], seeds: Sequence[int], rule: Preprocessing, device: torch.device
) -> tuple[Tensor, list[Targets]]:
    """Normalised images (N, 3, H, W) on `device`, channels last in memory, and their targets on the CPU."""
    pixels = torch.from_numpy(np.stack([sample.image for sample in samples])).to(device)
    if rule.channel_order == "BGR":
        pixels = pixels.flip(-1)
    mean, std = torch.tensor(rule.mean, device=device), torch.tensor(rule.std, device=device)
    images = (pixels.float() - mean) / std
    targets = [
        Targets(torch.from_numpy(p.boxes), torch.from_numpy(p.labels), torch.from_numpy(p.ignored), seed)
        for p, seed in zip(samples, seeds, strict=True)
    ]
    return images.permute(0, 3, 1, 2), targets


def sampling_seed(seed: int, number: int) -> int:
    """A seed of 63 bits for the draws among the targets of image `number` of a run."""
    return int(np.random.SeedSequence((seed, SAMPLING_STREAM, number)).generate_state(1, np.uint64)[0] >> 1)


def _unchanged(item: list[Sample]) -> list[Sample]:
    return item


def _ignore_interrupts(worker: int) -> None:
    """Ctrl-C, and often SIGTERM, reaches every process; the one that trains decides when to stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


@contextmanager
def _no_opencv_threads() -> Iterator[None]:
    """A forked process inherits OpenCV's cache without its threads, and would wait for them."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(0)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
