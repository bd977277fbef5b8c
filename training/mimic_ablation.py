"""`python -m pocketdet.training.mimic_ablation`: MimicDet with and without the mimic loss, two runs.

The paper's Table 1 in small: a narrow MimicDet from scratch on real images, the same weights to begin with,
the same images in the same order; only equation 1 is left out the second time, the T-head is trained both
times. Accuracy is COCO's on images that were not trained on.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from pocketdet.datasets import Dataset, evenly_spaced, read_coco
from pocketdet.errors import error_exit_code
from pocketdet.models.backbones import ResNetConfig
from pocketdet.models.mimicdet import MimicDet, MimicDetConfig
from pocketdet.models.one_stage import OneStageConfig
from pocketdet.training.augment import AugmentPipeline
from pocketdet.training.augment.pipeline import plain_view
from pocketdet.training.batches import StepDataset
from pocketdet.training.build_loss import build_loss
from pocketdet.training.config import Augment, TrainConfig
from pocketdet.training.data import make_augment_pipeline
from pocketdet.training.device import keep_freed_memory
from pocketdet.training.distributed import SINGLE_PROCESS
from pocketdet.training.loop import one_step
from pocketdet.training.overfit import accuracy_on, add_renamed, overfit_config
from pocketdet.training.sample import load_samples
from pocketdet.training.start import initialise, make_optimizer
from pocketdet.training.state import RunState

BACKBONE, WIDTH, FEATURES = ResNetConfig((1, 1, 1, 1), 16), 32, 64
EVERY = 50  # steps between lines


@dataclass(frozen=True)
class Trained:
    """Losses of the last fifty steps, on average, and COCO AP and AP50 in [0, 1]."""

    losses: dict[str, float]
    ap: float
    ap50: float


def train_once(
    config: TrainConfig, pipeline: AugmentPipeline, names: tuple[str, ...], test: Dataset
) -> Trained:
    """One run from the seed of `config`, evaluated on `test`."""
    side = config.schedule.sizes[0]
    model = MimicDet(MimicDetConfig(len(names), (side, side), BACKBONE, WIDTH, FEATURES, base_size=2.0))
    model.built_from = OneStageConfig("mimicdet-r50", names, (side, side))
    initialise(model, config.seed, config.background_bias)
    optimizer = make_optimizer(model, config.optimizer, config.schedule.learning_rate)
    state = RunState(model.train(), optimizer, None)
    network = build_loss(model, config.rule)
    source, seen = StepDataset(config, pipeline, SINGLE_PROCESS), list[dict[str, float]]()
    for step in range(config.schedule.steps):
        seen.append(one_step(config, state, network, source[step], SINGLE_PROCESS).losses)
        if (step + 1) % EVERY == 0:
            terms = "  ".join(f"{name} {value:.3f}" for name, value in _mean(seen).items())
            sys.stdout.write(f"  {(step + 1) * config.schedule.batch:6d} images  {terms}\n")
            sys.stdout.flush()
    accuracy = accuracy_on(model.eval(), [plain_view(p, side) for p in load_samples(test)], names)
    return Trained(_mean(seen), accuracy.ap, accuracy.ap50)


def _mean(seen: Sequence[dict[str, float]]) -> dict[str, float]:
    last = seen[-EVERY:]
    return {name: sum(losses[name] for losses in last) / len(last) for name in last[0]}


@error_exit_code
def main(arguments: list[str] | None = None) -> int:
    """Train twice and print what came out; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m pocketdet.training.mimic_ablation", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="COCO json to train on")
    parser.add_argument("--test", type=Path, required=True, help="COCO json to evaluate on")
    parser.add_argument("--images", type=Path, required=True, help="folder of the images of both")
    parser.add_argument("--image-count", type=int, default=8000, help="images that each run sees")
    add_renamed(parser, "--pictures", "--image-count")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--side", type=int, default=96, help="input side in pixels, a multiple of 32")
    parser.add_argument("--test-images", type=int, default=200, help="images of --test, evenly spaced")
    add_renamed(parser, "--judged", "--test-images")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    keep_freed_memory()
    dataset = read_coco(options.data, options.images)
    test = evenly_spaced(read_coco(options.test, options.images, dataset.class_names), options.test_images)
    steps = options.image_count // options.batch
    config = overfit_config("mimicdet-r50", options.side, steps, options.batch, 2e-3)
    config = replace(config, augment=Augment(kind="strong", mosaic=0.0, paste=0.0))
    pipeline = make_augment_pipeline(config, [dataset])
    for weight in (1.0, 0.0):
        sys.stdout.write(f"mimic loss times {weight:g}\n")
        run = replace(config, mimicdet=replace(config.mimicdet, mimic_weight=weight))
        done = train_once(run, pipeline, dataset.class_names, test)
        sys.stdout.write(
            f"  AP {100 * done.ap:.2f}  AP50 {100 * done.ap50:.2f}  on {len(test.images)} images; "
            f"mimic {done.losses['mimic']:.3f}\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
