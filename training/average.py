"""`python -m pocketdet.training.average OUT CHECKPOINT CHECKPOINT ...`: the mean of the weights of runs.

Runs that start from the same weights end close enough to each other for the mean of their weights to be a
detector too, often a better one than each (Wortsman et al., "Model soups", ICML 2022). It has the size and
the time of one.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from pocketdet.errors import UsageError, error_exit_code
from pocketdet.models.build import AnyDetector, config_of
from pocketdet.models.checkpoint import load_detector, save_checkpoint
from pocketdet.models.zoo import weights_file


@torch.no_grad()
def average(detectors: Sequence[AnyDetector]) -> AnyDetector:
    """The first of `detectors` with the mean of the weights and batch norm statistics of all.

    Counters (integers) are those of the first. Raises `UsageError` if configurations differ.
    """
    first, *others = detectors
    for other in others:
        if config_of(other) != config_of(first):
            raise UsageError(
                f"the mean of weights needs detectors of one configuration: {config_of(other).arch} differs "
                f"from the first, {config_of(first).arch}, in its architecture, classes or settings"
            )
    states = [detector.state_dict() for detector in detectors]
    for name, value in states[0].items():
        if value.is_floating_point():
            value.copy_(torch.stack([state[name].double() for state in states]).mean(dim=0))
    return first


@error_exit_code
def main(arguments: Sequence[str] | None = None) -> int:
    """Average checkpoints; returns the process exit code."""
    parser = argparse.ArgumentParser(prog="python -m pocketdet.training.average", description=__doc__)
    parser.add_argument("out", type=Path, help="where to write the checkpoint (.safetensors)")
    parser.add_argument("given", type=Path, nargs="+", help="two or more weights, files or zoo names")
    options = parser.parse_args(arguments)
    if len(options.given) < 2:
        raise UsageError(f"{options.given[0]} alone has no mean: name two or more checkpoints")
    mean = average([load_detector(weights_file(path)) for path in options.given])
    names = ", ".join(path.name for path in options.given)
    save_checkpoint(options.out, mean, {"mean of": names})
    sys.stdout.write(f"wrote {options.out}: {config_of(mean).arch}, the mean of {names}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
