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

from pocketdet.errors import CheckFailed

if TYPE_CHECKING:
    from pocketdet.cli.annotated import AnnotatedFiles, Window
    from pocketdet.cli.detect_report import Summary
    from pocketdet.runtime.detector import Detector
    from pocketdet.runtime.sources import Frame


def detect(
    bundle: Annotated[Path, typer.Argument(help="A .pocketdet folder or zip file.")],
    source: Annotated[str, typer.Argument(help="An image, a folder, a video or a camera index (0).")],
    out: Annotated[Path, typer.Option(help="Folder for annotated files; made if missing.")] = Path(
        "detections"
    ),
    engine: Annotated[Literal["ncnn", "onnxruntime"], typer.Option(help="What runs the networks.")] = "ncnn",
    precision: Annotated[
        Literal["fp32", "fp16-storage", "fp16", "bf16-storage"] | None,
        typer.Option(help="Arithmetic asked of ncnn; by default what the bundle was made for."),
    ] = None,
    score: Annotated[
        float | None, typer.Option(help="Lowest score shown, 0..1; the bundle's own by default.")
    ] = None,
    nms: Annotated[
        Literal["hard", "linear", "gaussian"] | None, typer.Option(help="NMS; the bundle's own by default.")
    ] = None,
    nms_iou: Annotated[float | None, typer.Option(help="IoU above which boxes compete, 0..1.")] = None,
    rois: Annotated[
        int | None, typer.Option(help="Proposals kept by a two-stage detector; fewer is faster.")
    ] = None,
    threads: Annotated[int, typer.Option(help="CPU threads of the networks.")] = 1,
    save: Annotated[bool, typer.Option("--save/--no-save", help="Write annotated files.")] = True,
    show: Annotated[bool, typer.Option("--show", help="Show a window; q or Esc ends.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print every detection as JSON.")] = False,
) -> None:
    """Find objects and write annotated copies: a JPEG per image, an MP4 per video or camera.

    Prints what was found and the milliseconds of every stage. Ctrl-C ends a camera and keeps its video.

    An image of a folder that cannot be read, and the missing end of a video, are listed; the rest is done,
    and the exit code is 1.

    Example: pocketdet detect snet49.pocketdet photos/ --score 0.5 --out found
    """
    from cv2.utils import logging as cv2_logging

    from pocketdet.cli.annotated import AnnotatedFiles, Window
    from pocketdet.cli.detect_report import Summary, print_problems, print_summary
    from pocketdet.runtime.detector import Detector
    from pocketdet.runtime.options import DetectorOptions
    from pocketdet.runtime.sources import iter_source

    # What OpenCV and FFmpeg would log about a broken file is said in one sentence.
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
    )
    window = Window(f"{bundle} {source}") if show else None
    with Detector(bundle, options) as detector:
        summary = Summary(detector.stages, keep_records=as_json)
        frames = iter_source(source, summary.problems.append)
        files = AnnotatedFiles(out, Path(source).stem if Path(source).exists() else f"camera{source}")
        with files if save else nullcontext():
            _run(detector, frames, files if save else None, window, summary)
        head = {"bundle": str(bundle), "source": source, "engine": engine, "threads": threads}
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
            title = f"{engine} {detector.precision}, {threads} thread{'s' * (threads > 1)}"
            console = Console(highlight=False)
            print_summary(summary, title, files.written, console)
            whose = "the bundle's threshold" if score is None else "--score"
            console.print(f"scores above {threshold:g}: {whose}", markup=False)
            if detector.precision_note:
                console.print(detector.precision_note, markup=False, soft_wrap=True)
    print_problems(summary.problems, Console(stderr=True, highlight=False))
    if summary.failures:
        one = summary.failures == 1
        count = "1 file" if one else f"{summary.failures} files"
        raise CheckFailed(f"{source}: {count} could not be read, or not to {'its' if one else 'their'} end")


def _run(
    detector: "Detector",
    frames: "Iterator[Frame]",
    files: "AnnotatedFiles | None",
    window: "Window | None",
    summary: "Summary",
) -> None:
    from pocketdet.runtime.draw import draw_detections

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    live = warm = False
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("detecting", total=None)
        try:
            for frame in frames:
                live = frame.total is None
                if not warm:
                    detector.detect(frame.image)  # pays for caches and allocations, so that no time does
                    warm = True
                found = detector.detect(frame.image)
                summary.add(frame, found)
                picture = draw_detections(frame.image, found) if files or window else frame.image
                if files:
                    files.write(frame, picture)
                if window and not window.show(picture, wait=not frame.moving):
                    break
                progress.update(task, total=frame.total, completed=frame.index + 1)
        except KeyboardInterrupt:
            if not live:  # a camera has no other end
                raise
