"""`pocketdet bench-engines`: one detector on several engines, timed interleaved on this machine."""

import contextlib
import importlib.util
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pocketdet.cli.arguments import require_bundle, require_export_packages, require_files
from pocketdet.errors import UsageError
from pocketdet.io import atomic_write, check_writable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pocketdet.benchmarks.comparison import ComparisonReport, ComparisonResult
    from pocketdet.benchmarks.plan import InterleavedPlan
    from pocketdet.export.passes.channel_alignment import AlignmentTarget

_QUICK_ROUNDS = 5
_ROUNDS = 25


def bench_engines(
    bundles: Annotated[list[Path], typer.Argument(metavar="BUNDLE", help=".pocketdet folders or zip files.")],
    image: Annotated[
        Path | None, typer.Option(help="Image to detect on; a standard frame by default.")
    ] = None,
    rois: Annotated[
        int | None, typer.Option(help="Proposals kept; the bundle's own number by default.")
    ] = None,
    rounds: Annotated[int | None, typer.Option(help=f"Rounds in turn; {_ROUNDS} by default.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help=f"{_QUICK_ROUNDS} rounds: a first look.")] = False,
    target: Annotated[
        Literal["neon-fp16", "neon-fp32", "avx2", "avx512"],
        typer.Option(help="What a bundle that is not aligned is aligned for here."),
    ] = "neon-fp16",
    record: Annotated[Path | None, typer.Option("--json", help="Write every sample to this file.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the medians to this .png or .jpg file.")] = None,
) -> None:
    """Compare plain ncnn, aligned ncnn, the C++ detector, onnxruntime and OpenVINO on this machine.

    One thread, fp32, the same pre- and post-processing. An engine whose detections
    differ from those of plain ncnn is reported and not timed (exit code 1). The others run in turn, a few
    frames each, in a random order in every round. The ratio says how many times as fast as plain ncnn an
    engine is, with its 95% interval. Close other programs; the numbers hold for this machine only, not for a
    phone.

    Example: pocketdet bench-engines snet49.pocketdet snet146.pocketdet --plot engines.png --json engines.json
    """
    require_export_packages()
    _check_outputs(record, plot, len(bundles))
    for bundle in bundles:
        require_bundle(bundle)
    require_files(*bundles, image)

    from pocketdet.benchmarks.comparison import ComparisonReport
    from pocketdet.benchmarks.machine import Peak, fma_peak, load_average, read_machine
    from pocketdet.benchmarks.plan import InterleavedPlan
    from pocketdet.benchmarks.report.comparison import print_report
    from pocketdet.datasets.standard_frames import FIRST_FRAME, standard_frame
    from pocketdet.export.passes.channel_alignment import alignment_target
    from pocketdet.runtime.images import read_image
    from pocketdet.runtime.options import DetectorOptions

    plan = InterleavedPlan(rounds=rounds if rounds is not None else _QUICK_ROUNDS if quick else _ROUNDS)
    DetectorOptions(rois=rois)  # raises for an invalid number before the work begins
    pixels = read_image(image) if image else standard_frame()
    machine, (before, instructions) = read_machine(), fma_peak()
    results = tuple(_run(bundle, pixels, rois, plan, alignment_target(target)) for bundle in bundles)
    peak = Peak(instructions, before, fma_peak()[0])
    name = image.name if image else FIRST_FRAME
    report = ComparisonReport(machine, load_average(), peak, plan, name, results)
    print_report(report, Console(highlight=False))
    _write(report, record, plot)
    if not report.ok:
        raise typer.Exit(1)


def _run(
    path: Path,
    image: "NDArray[np.uint8]",
    rois: int | None,
    plan: "InterleavedPlan",
    target: "AlignmentTarget",
) -> "ComparisonResult":
    from pocketdet.benchmarks.comparison import compare_engines
    from pocketdet.cli.bench_cases import make_comparison
    from pocketdet.runtime.bundle import load_bundle

    with (
        load_bundle(path) as bundle,
        tempfile.TemporaryDirectory(prefix="pocketdet-bench-") as scratch,
        _progress() as progress,
    ):
        task = progress.add_task(f"{bundle.manifest.name}: preparing", total=None)
        comparison = make_comparison(bundle, target, Path(scratch))
        seen: dict[str, int] = {}

        def step(part: str, bursts: int) -> None:
            seen[part] = seen.get(part, 0) + 1
            label = f"{bundle.manifest.name}: {part}"
            progress.update(task, description=label, total=bursts, completed=seen[part], refresh=True)

        return compare_engines(comparison, image, rois, plan, step)


@contextlib.contextmanager
def _progress() -> Iterator[Progress]:
    """A bar that is redrawn between two bursts: no thread of its own disturbs a frame."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, auto_refresh=False) as progress:
        yield progress


def _check_outputs(record: Path | None, plot: Path | None, bundles: int) -> None:
    """Raise `UsageError` before the measurement if its results could not be written."""
    for path in filter(None, (record, plot)):
        if not path.parent.is_dir():
            raise UsageError(f"{path}: there is no folder {path.parent}")
        check_writable(path.parent)
    if not plot:
        return
    from pocketdet.benchmarks.report.comparison import MOST_BUNDLES

    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError("--plot needs matplotlib: pip install 'pocketdet[bench]'")
    if plot.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise UsageError(f"{plot}: expected a name that ends in .png or .jpg")
    if bundles > MOST_BUNDLES:
        raise UsageError(f"--plot shows at most {MOST_BUNDLES} bundles side by side, found {bundles}")


def _write(report: "ComparisonReport", record: Path | None, plot: Path | None) -> None:
    if record:
        atomic_write(record, json.dumps(report.to_json(), indent=1) + "\n")
    if plot:
        from pocketdet.benchmarks.report.comparison import write_plot

        write_plot(plot, report)
    for path in filter(None, (record, plot)):
        typer.echo(f"wrote {path}")
