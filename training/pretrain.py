"""`python -m pocketdet.training.pretrain CONFIG OUT`: a backbone trained to classify objects.

A one-stage detector from scratch learns nothing for a long time: to fresh features its few objects and the
hardest grounds look alike. The papers start from ImageNet; here the backbone first names crops of the run's
own objects. OUT is a checkpoint of the whole detector, for `weights` of the run.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketdet.errors import UsageError, error_exit_code
from pocketdet.models.build import AnyDetector, build_detector, config_of
from pocketdet.models.checkpoint import save_checkpoint
from pocketdet.models.mimicdet import MimicDet
from pocketdet.models.passd import PASSD
from pocketdet.models.retinanet import RetinaNet
from pocketdet.training.augment import AugmentPipeline
from pocketdet.training.augment.photometric import degrade, recolour
from pocketdet.training.augment.strong import object_crop
from pocketdet.training.batches import to_batch
from pocketdet.training.config import Optimizer, Schedule, learning_rate
from pocketdet.training.config_file import read_config
from pocketdet.training.data import make_augment_pipeline, read_data
from pocketdet.training.device import keep_freed_memory
from pocketdet.training.sample import Sample
from pocketdet.training.start import initialise, make_optimizer

EVERY = 20  # steps between lines
CROP_STREAM = 3  # keeps this use of the seed apart from others
SMOOTHING = 0.1


class Classifier(nn.Module):
    """The mean of every map of a backbone, and one linear layer on all of them."""

    def __init__(self, backbone: nn.Module, channels: int, classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.scores = nn.Linear(channels, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised crops (N, 3, H, W) -> logits (N, classes)."""
        maps = self.backbone(images)
        out: Tensor = self.scores(torch.cat([x.mean(dim=(2, 3)) for x in maps], dim=1))
        return out


def backbone_of(model: AnyDetector) -> nn.Module:
    """The part that is trained. Raises `UsageError` for a ThunderNet, which needs none of it."""
    if isinstance(model, PASSD):
        return model.features.backbone
    if isinstance(model, RetinaNet | MimicDet):
        return model.backbone
    raise UsageError(f"{config_of(model).arch} learns from scratch: only one-stage detectors are prepared")


def crop(pipeline: AugmentPipeline, seed: int, number: int, side: int) -> Sample:
    """Crop `number` of a run, around one object, side x side: a function of the arguments alone."""
    rng = np.random.default_rng((seed, CROP_STREAM, number))
    cache = pipeline.caches[int(rng.choice(len(pipeline.caches), p=pipeline.shares))]
    while True:
        made = object_crop(cache, rng, (side, side))
        if len(made.labels) == 1:
            image = degrade(recolour(made.image, rng), rng)
            return Sample(image, made.boxes, made.labels, made.ignored)


def pretrain(
    model: AnyDetector,
    pipeline: AugmentPipeline,
    seed: int,
    schedule: Schedule,
    rule: Optimizer,
    log: Callable[[int, float, float], None] = lambda step, loss, accuracy: None,
) -> float:
    """Train the backbone of `model` on crops of the first of `schedule.sizes`.

    Returns the accuracy of the last hundred steps. `log` is given the step, its loss and its accuracy.
    """
    config, side = config_of(model), schedule.sizes[0]
    backbone, rights = backbone_of(model).train(), list[float]()
    with torch.no_grad():
        channels = sum(x.shape[1] for x in backbone(torch.zeros(2, 3, side, side)))
    network = Classifier(backbone, channels, len(config.class_names))
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = make_optimizer(network, rule, schedule.learning_rate)
    for step in range(schedule.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(schedule, step)
        numbers = range(step * schedule.batch, (step + 1) * schedule.batch)
        crops = [crop(pipeline, seed, number, side) for number in numbers]
        images, _ = to_batch(crops, [0] * len(crops), config.preprocessing, torch.device("cpu"))
        labels = torch.tensor([int(made.labels[0]) for made in crops])
        logits = network(images)
        loss = F.cross_entropy(logits, labels, label_smoothing=SMOOTHING)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), rule.clip_norm)
        optimizer.step()
        rights.append(float((logits.argmax(dim=1) == labels).float().mean()))
        log(step + 1, float(loss.detach()), rights[-1])
    model.eval()
    return float(np.mean(rights[-100:]))


@error_exit_code
def main(arguments: list[str] | None = None) -> int:
    """Prepare the detector of a training configuration; returns the process exit code."""
    parser = argparse.ArgumentParser(prog="python -m pocketdet.training.pretrain", description=__doc__)
    parser.add_argument("config", type=Path, help="the TOML file of the run that will start from OUT")
    parser.add_argument("out", type=Path, help="where to write the checkpoint (.safetensors)")
    parser.add_argument("--crops", type=int, default=36_000)
    parser.add_argument("--side", type=int, default=96, help="of a crop in pixels, a multiple of 32")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=2e-3, help="peak learning rate")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    keep_freed_memory()
    begin = time.perf_counter()

    def log(step: int, loss: float, accuracy: float) -> None:
        if step % EVERY == 0:
            seconds = time.perf_counter() - begin
            sys.stdout.write(f"{step:5d}  {seconds:6.1f} s  loss {loss:.3f}  accuracy {accuracy:.2f}\n")
            sys.stdout.flush()

    setup = read_config(options.config)
    data = read_data(setup, skip_bad=False)
    model = build_detector(setup.detector(data.class_names))
    initialise(model, setup.seed, setup.background_bias)
    backbone_of(model)
    pipeline = make_augment_pipeline(setup, data.training)
    steps = Schedule(options.crops, options.batch, options.rate, 50, "cosine", (options.side,))
    rule = Optimizer("adamw", weight_decay=0.05, clip_norm=5.0)
    accuracy = pretrain(model, pipeline, setup.seed, steps, rule, log)
    words = f"named {options.crops} crops of {options.side} pixels, in the end {accuracy:.3f} right"
    save_checkpoint(options.out, model, {"backbone": words})
    sys.stdout.write(f"wrote {options.out}: {words}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
