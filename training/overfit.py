"""`python -m pocketdet.training.overfit ARCH`: overfit a small set of images.

The check of a detector's training: its own network, targets, losses and decode, on the same images again
and again, measured by COCO average precision on them.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pocketdet.datasets import Dataset, ImageAnnotations, evenly_spaced, read_coco
from pocketdet.errors import error_exit_code
from pocketdet.evaluation import CocoAccuracy, coco_accuracy
from pocketdet.models.build import AnyDetector, build_detector, config_of
from pocketdet.models.random_init import calibrate_batch_norm
from pocketdet.training.augment.pipeline import plain_view
from pocketdet.training.batches import to_batch
from pocketdet.training.build_loss import build_loss
from pocketdet.training.config import Augment, Optimizer, Schedule, Source, TrainConfig
from pocketdet.training.device import keep_freed_memory
from pocketdet.training.distributed import SINGLE_PROCESS
from pocketdet.training.evaluation import detect
from pocketdet.training.loop import StepReport, one_step
from pocketdet.training.loss_config import MimicDetLossConfig
from pocketdet.training.sample import Sample, load_samples
from pocketdet.training.start import initialise, make_optimizer
from pocketdet.training.state import RunState

EVERY = 20  # steps between lines


def overfit_config(arch: str, side: int, steps: int, batch: int, rate: float) -> TrainConfig:
    """A run without augmentation; priors of half the usual size, for small inputs.

    MimicDet's heads get 16 proposals of an image instead of 128, since one of 96 pixels has 190 anchors.
    """
    return TrainConfig(
        data=(Source(Path("none.json"), Path()),),
        out=Path(),
        arch=arch,
        input_size=(side, side),
        anchor_scales=(16, 32, 64, 128),
        base_size=2.0,
        nms="hard",
        schedule=Schedule(
            batch * steps, batch, rate, warmup_steps=steps // 10, decay="cosine", sizes=(side,)
        ),
        optimizer=Optimizer("adamw", weight_decay=0.01, clip_norm=5.0),
        augment=Augment(kind="none"),
        mimicdet=MimicDetLossConfig(samples=16, regressed=16),
    )


def learn(
    setup: TrainConfig,
    model: AnyDetector,
    samples: Sequence[Sample],
    log: Callable[[StepReport], None] = lambda report: None,
    *,
    autocast: bool = False,
) -> list[StepReport]:
    """Train `model` on `images`, of its input size, all of them in every step; leaves it in eval mode.

    With `autocast` the network runs in bfloat16.

    Smaller batches would always be made of the same images, and the network would know them by their batch
    norm's statistics, which it does not have when it is used.

    Batch norm's statistics are those of the images in the end: running ones are too young so early.
    """
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = make_optimizer(model, setup.optimizer, setup.schedule.learning_rate)
    state = RunState(model.train(), optimizer, None)
    network = build_loss(model, setup.rule, SINGLE_PROCESS, autocast)
    reports = []
    for _ in range(setup.schedule.steps):
        reports.append(one_step(setup, state, network, list(samples), SINGLE_PROCESS))
        log(reports[-1])
    rule, device = config_of(model).preprocessing, torch.device("cpu")
    with torch.no_grad():
        calibrate_batch_norm(model, to_batch(samples, [0] * len(samples), rule, device)[0])
    return reports


def accuracy_on(model: AnyDetector, samples: Sequence[Sample], class_names: tuple[str, ...]) -> CocoAccuracy:
    """COCO accuracy of the reference decode on the images."""
    found = [detect(model, sample.image) for sample in samples]
    annotated = [
        ImageAnnotations(
            Path(str(i)), p.image.shape[1::-1], p.boxes, p.labels, np.zeros(len(p.labels), np.bool_), i
        )
        for i, p in enumerate(samples)
    ]
    return coco_accuracy(Dataset(class_names, tuple(annotated)), found)


def _images(annotations: Path, images: Path, count: int, side: int) -> tuple[list[Sample], tuple[str, ...]]:
    dataset = read_coco(annotations, images)
    few = evenly_spaced(dataset, count)
    return [plain_view(sample, side) for sample in load_samples(few)], dataset.class_names


class _RenamedOption(argparse.Action):
    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        sys.stderr.write(f"{option_string} is deprecated: use {self.metavar}\n")
        setattr(namespace, self.dest, values)


def add_renamed(parser: argparse.ArgumentParser, old: str, new: str) -> None:
    """Accept an option of an integer under its old name too, without listing it in the help.

    Args:
        parser: The parser, which has the option `new`.
        old: The old name, with its dashes.
        new: The present name, with its dashes.
    """
    dest = new.lstrip("-").replace("-", "_")
    parser.add_argument(
        old,
        action=_RenamedOption,
        dest=dest,
        type=int,
        metavar=new,
        default=argparse.SUPPRESS,
        help=argparse.SUPPRESS,
    )


@error_exit_code
def main(arguments: list[str] | None = None) -> int:
    """Overfit one architecture and print the curve; returns the exit code, 1 if AP50 is not above 0.9."""
    parser = argparse.ArgumentParser(prog="python -m pocketdet.training.overfit", description=__doc__)
    parser.add_argument("arch", help="an architecture by name")
    parser.add_argument("--data", type=Path, required=True, help="COCO json")
    parser.add_argument("--images", type=Path, required=True, help="folder of its images")
    parser.add_argument("--image-count", type=int, default=16, help="images to overfit")
    add_renamed(parser, "--pictures", "--image-count")
    parser.add_argument("--side", type=int, default=96, help="input side in pixels, a multiple of 32")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--rate", type=float, default=5e-4, help="peak learning rate")
    parser.add_argument("--autocast", action="store_true", help="bfloat16 in the network")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    keep_freed_memory()
    begin = time.perf_counter()

    def log(report: StepReport) -> None:
        if report.step % EVERY in (0, 1) or report.step == options.steps:
            terms = "  ".join(f"{name} {value:.3f}" for name, value in report.losses.items())
            sys.stdout.write(f"{report.step:4d}  {time.perf_counter() - begin:6.1f} s  {terms}\n")
            sys.stdout.flush()

    setup = overfit_config(options.arch, options.side, options.steps, options.image_count, options.rate)
    samples, names = _images(options.data, options.images, options.image_count, options.side)
    model = build_detector(setup.detector(names))
    initialise(model, setup.seed, setup.background_bias)
    learn(setup, model, samples, log, autocast=options.autocast)
    accuracy = accuracy_on(model, samples, names)
    numbers = f"AP {100 * accuracy.ap:.1f}  AP50 {100 * accuracy.ap50:.1f}"
    sys.stdout.write(f"{numbers}  on the {len(samples)} images\n")
    return 0 if accuracy.ap50 > 0.9 else 1


if __name__ == "__main__":
    sys.exit(main())
