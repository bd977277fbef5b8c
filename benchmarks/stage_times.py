"""Time the stages of one detector on this machine: wall time per stage over many frames.

    python -m pocketdet.benchmarks.stage_times thundernet-snet49.pocketdet [--image photo.jpg] [--frames 200]

The frames are timed one after the other after a warm-up. Reported are median and 90th percentile; the share
of a stage is the median over frames of its fraction of that frame. fps is 1000 / median of the totals.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from pocketdet.benchmarks.machine import is_emulated
from pocketdet.datasets.standard_frames import standard_frame
from pocketdet.errors import UsageError, error_exit_code
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.images import read_image
from pocketdet.runtime.options import ENGINES, DetectorOptions

EMULATED: Final = "emulated processor: these times say nothing about a device"
POST_PROCESSING = ("proposals", "roi_align", "boxes")


@dataclass(frozen=True)
class StageTimes:
    """Milliseconds (frames, stages), in the order of `stages`."""

    stages: tuple[str, ...]
    samples: NDArray[np.float64]

    @property
    def totals(self) -> NDArray[np.float64]:
        """Milliseconds of each frame from the image to the boxes, (frames,)."""
        return np.asarray(self.samples.sum(axis=1))

    def share(self, stages: Sequence[str]) -> float:
        """Compute the median over frames of the fraction that some stages take.

        Returns:
            The fraction, 0..1.
        """
        columns = [self.stages.index(s) for s in stages]
        return float(np.median(self.samples[:, columns].sum(axis=1) / self.totals))

    def to_json(self) -> dict[str, dict[str, float]]:
        """Return median and 90th percentile in milliseconds of every stage and of the total."""
        columns = {**dict(zip(self.stages, self.samples.T, strict=True)), "total": self.totals}
        quantiles = {name: np.percentile(values, [50, 90]) for name, values in columns.items()}
        return {name: {"median": float(p50), "p90": float(p90)} for name, (p50, p90) in quantiles.items()}

    @property
    def fps(self) -> float | None:
        """1000 / median total; `None` on an emulated processor, whose time is not that of a device."""
        return None if is_emulated() else 1000.0 / float(np.median(self.totals))


def measure_stages(
    detector: Detector,
    image: NDArray[Any],
    frames: int = 200,
    warm_up: int = 20,
    progress: Callable[[], None] = lambda: None,
) -> StageTimes:
    """Time calls of `detector.detect(image)`.

    Returns:
        Milliseconds by frame and stage.

    Raises:
        UsageError: If `frames` is less than 1 or `warm_up` negative.
    """
    if frames < 1 or warm_up < 0:
        raise UsageError(f"{frames} frames after {warm_up}: expected at least 1 frame after 0 or more")
    samples = np.zeros((frames, len(detector.stages)))
    for i in range(-warm_up, frames):
        spans = detector.detect(image).milliseconds
        progress()
        if i >= 0:
            samples[i] = [spans[s] for s in detector.stages]
    return StageTimes(detector.stages, samples)


def count_rois(detector: Detector, image: NDArray[np.uint8]) -> str:
    """Count the RoIs of an image, as a phrase for the time that depends on them.

    Args:
        detector: The detector.
        image: RGB image, (height, width, 3).

    Returns:
        Such as ", 200 RoIs" or ", 58 of 200 RoIs"; empty for a one-stage detector.
    """
    kept = detector.options.rois or detector.bundle.manifest.max_rois
    if not detector.bundle.manifest.max_rois:
        return ""
    found = detector.pipeline.count_proposals(image)
    return f", {found} RoIs" if found >= kept else f", {found} of {kept} RoIs"


def stage_table(times: StageTimes, title: str) -> Table:
    """Make a table: median, p90 and share per stage, of all post-processing, and of the total.

    Returns:
        The table; post-processing has a row if it is more than one stage.
    """
    table = Table(title=title, title_justify="left")
    table.add_column("stage")
    for column in ("median ms", "p90 ms", "share"):
        table.add_column(column, justify="right")

    def row(name: str, values: NDArray[np.float64], share: float, end: bool = False) -> None:
        p50, p90 = np.percentile(values, [50, 90])
        table.add_row(name, f"{p50:.2f}", f"{p90:.2f}", f"{share:.1%}", end_section=end)

    for i, stage in enumerate(times.stages):
        row(stage, times.samples[:, i], times.share([stage]), end=stage == times.stages[-1])
    post = [stage for stage in times.stages if stage in POST_PROCESSING]
    if len(post) > 1:
        columns = [times.stages.index(stage) for stage in post]
        row(f"post-processing ({', '.join(post)})", times.samples[:, columns].sum(axis=1), times.share(post))
    row("total", times.totals, 1.0)
    return table


def speed_line(times: StageTimes, rois: str) -> str:
    """Describe the speed in one line.

    Args:
        times: The times.
        rois: What `count_rois` returns.

    Returns:
        The frames per second, or why there are none.
    """
    if times.fps is None:
        return EMULATED
    return f"{times.fps:.1f} fps on this machine (1000 / median total{rois})"


@error_exit_code
def main() -> int:
    """Run the command line; returns 0, or 2 for bad input."""
    parser = argparse.ArgumentParser(prog="stage_times", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--image", type=Path, help="by default a standard frame")
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--engine", choices=ENGINES, default="ncnn")
    args = parser.parse_args()
    console = Console()
    with Detector(args.bundle, DetectorOptions(engine=args.engine)) as detector:
        image = read_image(args.image) if args.image else standard_frame()
        times = measure_stages(detector, image, args.frames)
        name, rois = detector.bundle.manifest.name, count_rois(detector, image)
    console.print(stage_table(times, f"{name}, {args.engine}, 1 thread, {args.frames} frames"))
    console.print(speed_line(times, rois))
    return 0


if __name__ == "__main__":
    sys.exit(main())
