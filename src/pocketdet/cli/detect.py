"""`pocketdet detect`: boxes on images, videos and cameras."""

import json
import os
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pocketdet.cli.arguments import SIZE_HELP, optional_size, require_bundle
from pocketdet.errors import CheckFailed

if TYPE_CHECKING:
    from pocketdet.cli.detect_report import AnnotatedFiles, Summary, Window
    from pocketdet.runtime.detector import Detector
    from pocketdet.runtime.sources import Frame


def detect(
    bundle: Annotated[Path, typer.Argument(help="A .pocketdet folder or zip file.")],
    source: Annotated[str, typer.Argument(help="An image, a folder, a video or a camera index (0).")],
    out: Annotated[Path, typer.Option(help="Folder for annotated files; created if missing.")] = Path(
        "detections"
    ),
    engine: Annotated[
        Literal["native", "ncnn", "onnxruntime"] | None,
        typer.Option(help="Inference engine; by default native, the C++ detector, if it is there."),
    ] = None,
    precision: Annotated[
        Literal["fp32", "fp16-storage", "fp16", "bf16-storage"] | None,
        typer.Option(help="Requested arithmetic of ncnn; the bundle's by default."),
    ] = None,
    score: Annotated[
        float | None, typer.Option(help="Score threshold, 0..1; the bundle's by default.")
    ] = None,
    nms: Annotated[
        Literal["hard", "linear", "gaussian"] | None,
        typer.Option(help="NMS method; the bundle's by default."),
    ] = None,
    nms_iou: Annotated[
        float | None, typer.Option(help="IoU threshold of NMS, 0..1; the bundle's by default.")
    ] = None,
    rois: Annotated[
        int | None, typer.Option(help="Proposals of a two-stage detector; fewer are faster.")
    ] = None,
    size: Annotated[str | None, typer.Option(help=SIZE_HELP + "; its first by default.")] = None,
    threads: Annotated[int, typer.Option(help="CPU threads of the networks.")] = 1,
    save: Annotated[bool, typer.Option("--save/--no-save", help="Write annotated files.")] = True,
    show: Annotated[bool, typer.Option("--show", help="Show a window; q or Esc closes it.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print every detection as JSON.")] = False,
) -> None:
    """Detect objects and write annotated copies: a JPEG per image, an MP4 per video or camera.

    Prints the detections and the milliseconds of each stage. Ctrl-C stops a camera and keeps its video.

    Unreadable images of a folder and truncated videos are listed; the rest is processed and the exit code is
    1.

    Example: pocketdet detect snet49.pocketdet photos/ --score 0.5 --out found
    """
    from cv2.utils import logging as cv2_logging

    from pocketdet.cli.detect_report import AnnotatedFiles, Summary, Window, print_problems, print_summary
    from pocketdet.runtime.detector import Detector
    from pocketdet.runtime.options import DetectorOptions
    from pocketdet.runtime.sources import iter_source

    require_bundle(bundle)
    # Errors of files are reported in one sentence each, without the logs of OpenCV and FFmpeg.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    cv2_logging.setLogLevel(cv2_logging.LOG_LEVEL_SILENT)
    options = DetectorOptions(
        engine=engine,
        threads=threads,
        precision=precision,
        score_threshold=score,
        nms=nms,
        nms_iou=nms_iou,
        rois=rois,
        size=optional_size(size),
    )
    window = Window(f"{bundle} {source}") if show else None
    with Detector(bundle, options) as detector:
        summary = Summary(detector.stages, keep_records=as_json)
        frames = iter_source(source, summary.problems.append)
        files = AnnotatedFiles(out, Path(source).stem if Path(source).exists() else f"camera{source}")
        with files if save else nullcontext():
            _run(detector, frames, files if save else None, window, summary)
        head = {"bundle": str(bundle), "source": source, "engine": detector.engine_name, "threads": threads}
        threshold = detector.score_threshold
        if as_json:
            ran = {
                "score_threshold": threshold,
                "precision_asked": detector.requested_precision,
                "precision": detector.precision,
            }
            record: dict[str, Any] = {**head, **ran, **summary.to_json()}
            typer.echo(json.dumps({**record, "files": [str(path) for path in files.written]}, indent=2))
        else:
            title = f"{detector.engine_name} {detector.precision}, {threads} thread{'s' * (threads > 1)}"
            console = Console(highlight=False)
            print_summary(summary, title, files.written, console)
            origin = "the bundle's threshold" if score is None else "set by --score"
            console.print(f"scores above {threshold:g} ({origin})", markup=False)
            if detector.precision_note:
                console.print(detector.precision_note, markup=False, soft_wrap=True)
    print_problems(summary.problems, Console(stderr=True, highlight=False))
    if summary.failures:
        count = "1 file" if summary.failures == 1 else f"{summary.failures} files"
        raise CheckFailed(f"{source}: {count} could not be read completely")


def _run(
    detector: "Detector",
    frames: "Iterator[Frame]",
    files: "AnnotatedFiles | None",
    window: "Window | None",
    summary: "Summary",
) -> None:
    from pocketdet.benchmarks.stage_times import count_rois
    from pocketdet.runtime.draw import draw_detections

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    live = warm = False
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("detecting", total=None)
        try:
            for frame in frames:
                live = frame.total is None
                if not warm:
                    detector.detect(
                        frame.image
                    )  # warm-up: excludes allocations and cold caches from the times
                    summary.rois = count_rois(detector, frame.image)
                    warm = True
                found = detector.detect(frame.image)
                summary.add(frame, found)
                annotated = draw_detections(frame.image, found) if files or window else frame.image
                if files:
                    files.write(frame, annotated)
                if window and not window.show(annotated, wait=not frame.moving):
                    break
                progress.update(task, total=frame.total, completed=frame.index + 1)
        except KeyboardInterrupt:
            if not live:  # Ctrl-C is the normal end of a camera
                raise
