"""Light-Weight RetinaNet's Figure 6 with measured time: is a lighter head better than a smaller image?

    python -m pocketdet.benchmarks.lw_retinanet BUNDLE... [--image photo.jpg] [--rounds 5] [--plot six.png]

Each bundle is one row of the paper's Table 3, by its architecture and input size. All are timed from the
image to the boxes in one run, one thread, one frame each in turn, in a random order in every round. The AP is
that of the paper's trained models: weights do not change the time of a network.
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from pocketdet.benchmarks.interleaved import Ratio, Summary, run_interleaved, speed_ratio, summarise
from pocketdet.benchmarks.plan import InterleavedPlan
from pocketdet.benchmarks.predict.workload import bundle_work
from pocketdet.datasets.standard_frames import standard_frame
from pocketdet.errors import UsageError, error_exit_code
from pocketdet.evaluation.figures import COLOURS, INK, MARKS, MUTED, WIDTH, drawn, plain_axes
from pocketdet.models.counting import TABLE_3, Table3Row
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.images import read_image

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEIGHT = 460


@dataclass(frozen=True)
class Timed:
    """A row of Table 3 with its measurement.

    Attributes:
        paper: The row.
        gmacs: Billions of MACs of the graph.
        times: Milliseconds from the image to the boxes.
        ratio: How many times as fast as the first row, with its 95% interval.
    """

    paper: Table3Row
    gmacs: float
    times: Summary
    ratio: Ratio

    @property
    def name(self) -> str:
        """Model and input side."""
        return f"{self.paper.arch} {self.paper.scale}"


def paper_row(detector: Detector) -> Table3Row:
    """Find the row of Table 3 that a detector implements.

    Returns:
        The row with its architecture and input size.

    Raises:
        UsageError: If there is none.
    """
    arch, size = detector.bundle.manifest.architecture, detector.bundle.manifest.input
    for row in TABLE_3:
        if (row.arch, row.scale, row.scale) == (arch, size.height, size.width):
            return row
    known = ", ".join(f"{row.arch} at {row.scale}" for row in TABLE_3)
    raise UsageError(
        f"{detector.bundle.source}: {arch} at {size.height}x{size.width} is no row of the paper's Table 3: "
        f"{known}"
    )


def measure(detectors: Sequence[Detector], image: NDArray[Any], rounds: int, console: Console) -> list[Timed]:
    """Time the detectors interleaved.

    Args:
        detectors: The detectors.
        image: RGB image, (height, width, 3).
        rounds: Number of frames of each.
        console: Where to show the progress.

    Returns:
        The measurements, in the order of Table 3.

    Raises:
        UsageError: As `paper_row`, or if two detectors are the same row.
    """
    rows = {paper_row(detector): detector for detector in detectors}
    if len(rows) < len(detectors):
        raise UsageError("two of the bundles are the same model at the same input size")
    ordered = [row for row in TABLE_3 if row in rows]
    functions = {str(TABLE_3.index(row)): partial(rows[row].detect, image) for row in ordered}
    plan = InterleavedPlan(rounds=rounds, burst=2, refill=1, warm_up=1)
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("timing", total=rounds * len(functions))
        samples = list(run_interleaved(functions, plan, progress=lambda: bar.advance(task)).values())
    return [
        Timed(row, bundle_work(rows[row].bundle).macs / 1e3, summarise(taken), speed_ratio(samples[0], taken))
        for row, taken in zip(ordered, samples, strict=True)
    ]


def timed_table(timed: Sequence[Timed], title: str) -> Table:
    """Make a table with one line per row of Table 3."""
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("model", no_wrap=True)
    for column in ("GMACs", "paper", "ms", "p90", "x first [95%]", "AP"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in timed:
        ratio = f"{row.ratio.value:.2f} [{row.ratio.low:.2f}, {row.ratio.high:.2f}]"
        table.add_row(
            row.name,
            f"{row.gmacs:.1f}",
            str(row.paper.gflops),
            f"{row.times.median:.0f}",
            f"{row.times.p90:.0f}",
            ratio,
            f"{row.paper.ap:.1f}",
        )
    return table


def write_figure(path: Path, timed: Sequence[Timed]) -> None:
    """Draw the paper's Figure 6, AP against MACs, and the same against measured time.

    Raises:
        UsageError: If matplotlib is missing, or the file cannot be written.
    """
    with drawn(path, HEIGHT) as figure:
        title = "Lighter head or smaller image: the paper's AP against MACs and against measured time"
        figure.text(24 / WIDTH, 1 - 30 / HEIGHT, title, size=13, color=INK)
        panels = (
            (70, "billions of MACs", [row.gmacs for row in timed]),
            (640, "seconds per image, one thread, measured", [row.times.median / 1e3 for row in timed]),
        )
        for left, label, across in panels:
            box = (left / WIDTH, 64 / HEIGHT, 510 / WIDTH, (HEIGHT - 64 - 64) / HEIGHT)
            axes = figure.add_axes(box)
            _draw(axes, timed, across)
            axes.set_xlabel(label)
        figure.axes[0].set_ylabel("AP on COCO test-dev, as the paper has it")
        figure.axes[0].legend(loc="lower right", frameon=False)


def _draw(axes: "Axes", timed: Sequence[Timed], across: Sequence[float]) -> None:
    plain_axes(axes)
    for i, (series, is_light) in enumerate((("input scaling", False), ("light-weight head", True))):
        # both lines start at the plain model at full size
        line = [
            (x, row.paper.ap, row)
            for x, row in zip(across, timed, strict=True)
            if row.paper.is_light == is_light or row is timed[0]
        ]
        xs, aps = [x for x, _, _ in line], [ap for _, ap, _ in line]
        axes.plot(xs, aps, f"{MARKS[i]}-", color=COLOURS[i], markersize=7, linewidth=1.2, label=series)
        for x, ap, row in line:
            label = row.paper.arch.split("-")[2] if row.paper.is_light else str(row.paper.scale)
            place = (6, -14) if row.paper.is_light else (-6, 7)
            align = "left" if row.paper.is_light else "right"
            if row.paper.is_light == is_light:
                axes.annotate(label, (x, ap), xytext=place, textcoords="offset points", ha=align, color=MUTED)
    axes.margins(0.12)


@error_exit_code
def main() -> int:
    """Run the command line; returns 0, or 2 for bad input."""
    parser = argparse.ArgumentParser(prog="lw_retinanet", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("bundles", type=Path, nargs="+")
    parser.add_argument("--image", type=Path, help="by default a standard frame")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--plot", type=Path, help="also draw Figure 6 to this PNG or JPEG file")
    args = parser.parse_args()
    console = Console()
    with ExitStack() as stack:
        detectors = [stack.enter_context(Detector(path, engine="ncnn")) for path in args.bundles]
        image = read_image(args.image) if args.image else standard_frame()
        timed = measure(detectors, image, args.rounds, console)
    title = f"Table 3 of Light-Weight RetinaNet and its AP; {args.rounds} rounds, 1 thread"
    console.print(timed_table(timed, title))
    if args.plot:
        write_figure(args.plot, timed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
