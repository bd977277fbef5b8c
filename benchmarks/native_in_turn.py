"""Time the C++ detector in three ways, in turn: pocketdet-run, without our kernels, and from Python.

pocketdet-run with and without `--ncnn-layers` tells what the kernels of this project gain, and the engine
"native" what Python adds: it calls the same code. Times are from the image to the boxes: of pocketdet-run the
sum of its stages, of Python a call of `Detector.detect`.

    python -m pocketdet.benchmarks.native_in_turn BUNDLE...
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from pocketdet.benchmarks.interleaved import Samples, speed_ratio, summarise
from pocketdet.datasets.standard_frames import FIRST_FRAME, standard_frame
from pocketdet.errors import EngineError, UsageError, error_exit_code
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.images import read_image, write_image
from pocketdet.runtime.native_build import X86_64

RUNNER: Final = "pocketdet-run"
NCNN_LAYERS: Final = "pocketdet-run --ncnn-layers"
PYTHON: Final = 'Python, engine="native"'
"""The contestants. Speeds are relative to the first."""

WARM_UP: Final = 5
"""Frames at the start of each turn that are not counted."""


def time_in_turn(
    contestants: dict[str, Callable[[int], Sequence[float]]], rounds: int, frames: int, seed: int = 0
) -> dict[str, Samples]:
    """Let every contestant run `frames` frames in each round, in a random order.

    Args:
        contestants: Functions that return the milliseconds of as many frames as they are asked for.
        rounds: Number of rounds.
        frames: Frames of one turn.
        seed: Seed of the order.

    Returns:
        Milliseconds of each contestant, (rounds, frames).
    """
    samples = {name: np.zeros((rounds, frames)) for name in contestants}
    generator = np.random.default_rng(seed)
    # a bar that is redrawn between two rounds: no thread of its own disturbs a frame
    console = Console(stderr=True)
    for i in track(range(rounds), "rounds", console=console, transient=True, auto_refresh=False):
        for place in generator.permutation(len(contestants)):
            name = list(contestants)[place]
            samples[name][i] = contestants[name](frames)
    return samples


def runner_times(command: Sequence[str], frames: int) -> list[float]:
    """Return the milliseconds of the frames of one run of pocketdet-run.

    Args:
        command: The program and the arguments of `bench`, but for the number of frames.
        frames: Frames that count.

    Raises:
        EngineError: If the program fails.
    """
    words = [*command, "--frames-only", "--warmup", str(WARM_UP), "--frames", str(frames)]
    done = subprocess.run(words, capture_output=True, check=False)
    if done.returncode != 0:
        raise EngineError(done.stderr.decode(errors="replace").strip() or f"{command[0]}: failed")
    return [sum(stages) for stages in json.loads(done.stdout)["samples"]["milliseconds"]]


def python_times(detector: Detector, image: NDArray[np.uint8], frames: int) -> list[float]:
    """Return the milliseconds of `frames` calls of `Detector.detect`, after those that warm up.

    Args:
        detector: The detector.
        image: RGB image, (height, width, 3).
        frames: Frames that count.
    """
    spans = []
    for _ in range(WARM_UP + frames):
        start = time.perf_counter()
        detector.detect(image)
        spans.append(1e3 * (time.perf_counter() - start))
    return spans[WARM_UP:]


def compare(bundle: Path, image: Path, rounds: int, frames: int) -> dict[str, Samples]:
    """Time the three ways on one bundle, in fp32.

    Args:
        bundle: Folder of the bundle.
        image: The image to detect on.
        rounds: Number of rounds.
        frames: Frames of one turn.

    Returns:
        Milliseconds by contestant, (rounds, frames).

    Raises:
        BundleError: If the bundle is invalid.
        EngineError: If the library or pocketdet-run is missing or fails.
        UsageError: If pocketdet-run is not built.
    """
    if not X86_64.runner.is_file():
        raise UsageError(f"{X86_64.runner}: there is no such program; build it with: make {X86_64.recipe}")
    pixels = read_image(image)
    with Detector(bundle, engine="native", precision="fp32") as detector:
        command = (str(X86_64.runner), "bench", str(bundle), str(image), "--precision", "fp32")
        contestants: dict[str, Callable[[int], Sequence[float]]] = {
            RUNNER: lambda count: runner_times(command, count),
            NCNN_LAYERS: lambda count: runner_times([*command, "--ncnn-layers"], count),
            PYTHON: lambda count: python_times(detector, pixels, count),
        }
        return time_in_turn(contestants, rounds, frames)


def report(name: str, samples: dict[str, Samples]) -> Iterator[str]:
    """Yield the lines of a report: medians, and ratios of times with their 95% intervals."""
    rounds, frames = samples[RUNNER].shape
    yield f"{name}: fp32, one thread, {rounds} rounds of {frames} frames in turn"
    for contestant, times in samples.items():
        ratio = speed_ratio(times, samples[RUNNER])  # of speeds: that of the times the other way round
        yield (
            f"  {contestant:<28}{summarise(times).median:8.2f} ms, "
            f"{ratio.value:.3f} [{ratio.low:.3f}, {ratio.high:.3f}] times as long as {RUNNER}"
        )


@error_exit_code
def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table for each bundle.

    Args:
        arguments: The command line; `None` for that of the process.

    Returns:
        The exit code; a `PocketdetError` is written as one sentence.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("bundles", metavar="BUNDLE", nargs="+", type=Path, help=".pocketdet folders")
    parser.add_argument("--rounds", type=int, default=15, help="rounds in turn (15)")
    parser.add_argument("--frames", type=int, default=20, help="frames of one turn (20)")
    chosen = parser.parse_args(arguments)
    if min(chosen.rounds, chosen.frames) < 1:
        raise UsageError("--rounds and --frames: expected 1 or more")
    with tempfile.TemporaryDirectory(prefix="pocketdet-bench-") as scratch:
        image = Path(scratch, f"{FIRST_FRAME}.png")
        write_image(image, standard_frame())
        for bundle in chosen.bundles:
            samples = compare(bundle, image, chosen.rounds, chosen.frames)
            sys.stdout.write("\n".join(report(bundle.name, samples)) + "\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
