"""The output of `pocketdet detect`: tables of detections, frames, classes and times, and annotated images.

Those are a JPEG per image, an MP4 per video or camera, or a window.
"""

import os
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from pocketdet.benchmarks.stage_times import EMULATED, StageTimes, stage_table
from pocketdet.errors import ImageError, UsageError
from pocketdet.io import os_errors
from pocketdet.runtime.detections import Detections
from pocketdet.runtime.images import MAX_JPEG_SIDE, write_image
from pocketdet.runtime.sources import Frame, Problem

_ROWS = 20


@dataclass
class Summary:
    """Collects the results of all frames. `keep_records` stores each detection for JSON output.

    `rois` is a phrase with the number of RoIs of the first frame, on which the times depend.
    """

    stages: tuple[str, ...]
    keep_records: bool = False
    frames: list[tuple[str, int, str, float]] = field(default_factory=list)
    classes: Counter[str] = field(default_factory=Counter)
    samples: list[list[float]] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    last: Detections | None = None
    rois: str = ""

    def add(self, frame: Frame, found: Detections) -> None:
        """Add one frame."""
        counts = Counter(found.names)
        text = ", ".join(f"{count} {name}" for name, count in counts.most_common())
        self.frames.append((frame.name, len(found), text, found.total_milliseconds))
        self.classes.update(counts)
        self.last = found
        self.samples.append([found.milliseconds[stage] for stage in self.stages])
        if self.keep_records:
            self.records.append(_record(frame, found))

    @property
    def failures(self) -> int:
        """Number of files that could not be read completely."""
        return sum(problem.lost for problem in self.problems)

    def times(self) -> StageTimes | None:
        """Milliseconds of each frame and stage; `None` without frames."""
        return StageTimes(self.stages, np.array(self.samples)) if self.samples else None

    def to_json(self) -> dict[str, Any]:
        """Frames with detections, class counts, times, failed files and warnings."""
        problems = {
            key: [{"file": p.file, "message": p.message} for p in self.problems if p.lost == lost]
            for key, lost in (("failures", True), ("warnings", False))
        }
        counts = {"frames": self.records, **problems, "classes": dict(self.classes)}
        times = self.times()
        milliseconds = times.to_json() if times else {}
        return {**counts, "milliseconds": milliseconds, "fps": times.fps if times else None}


def detection_table(found: Detections) -> Table:
    """Return a table of the detections, best first: class, score, box in pixels."""
    table = Table("class", title=f"{len(found)} detection{'s' * (len(found) != 1)}", title_justify="left")
    for column in ("score", "x1", "y1", "x2", "y2"):
        table.add_column(column, justify="right")
    for name, score, box in list(zip(found.names, found.scores, found.boxes, strict=True))[:_ROWS]:
        table.add_row(escape(name), f"{score:.2f}", *(f"{v:.1f}" for v in box))
    if len(found) > _ROWS:
        table.add_row(f"... and {len(found) - _ROWS} more")
    return table


def print_summary(summary: Summary, title: str, written: list[Path], console: Console) -> None:
    """Print the detections of one image, or one row per frame and totals; then times and files."""
    if not summary.frames:
        console.print("no image could be read")
    elif len(summary.frames) == 1 and summary.last is not None:
        console.print(detection_table(summary.last))
    else:
        console.print(_frame_table(summary))
    times = summary.times()
    if times:
        console.print(stage_table(times, title))
        rois = f"{summary.rois} in the first image" if summary.rois else ""
        if times.fps is None:
            speed = EMULATED
        elif len(summary.samples) == 1:
            speed = "one frame, and the first is slower than later ones: pocketdet bench measures fps"
        else:
            speed = f"{times.fps:.1f} fps{rois}: 1000 / median total, without reading, drawing, writing"
        console.print(speed)
    for path in written[:3]:
        console.print(f"wrote {path}", markup=False, soft_wrap=True)
    if len(written) > 3:
        console.print(f"... and {len(written) - 3} more", markup=False)


def print_problems(problems: list[Problem], console: Console) -> None:
    """Print one row per file that could not be read completely, and warnings."""
    failed = [problem for problem in problems if problem.lost]
    if failed:
        table = Table("file", "problem", title=f"{len(failed)} could not be read", title_justify="left")
        for problem in failed:
            message = problem.message.removeprefix(f"{problem.file}: ")
            table.add_row(Text(Path(problem.file).name, overflow="fold"), Text(message, overflow="fold"))
        console.print(table)
    for problem in problems:
        if not problem.lost:
            console.print(f"warning: {problem.message}", style="yellow", markup=False, soft_wrap=True)


def _frame_table(summary: Summary) -> Table:
    total = sum(summary.classes.values())
    table = Table("image", title=f"{total} detections in {len(summary.frames)} images", title_justify="left")
    table.add_column("found", overflow="fold")
    table.add_column("ms", justify="right")
    for name, _, text, milliseconds in summary.frames[:_ROWS]:
        table.add_row(escape(name), escape(text) or "-", f"{milliseconds:.1f}")
    if len(summary.frames) > _ROWS:
        totals = ", ".join(f"{count} {name}" for name, count in summary.classes.most_common())
        table.add_row(f"... and {len(summary.frames) - _ROWS} more", "", "")
        table.add_row("all", escape(totals) or "-", "")
    return table


def _record(frame: Frame, found: Detections) -> dict[str, Any]:
    height, width = frame.image.shape[:2]
    return {"name": frame.name, "width": width, "height": height, **found.to_dict()}


_USUAL_RATE = 30.0
_CODEC = "mp4v"
_PROBE_BYTES = 1 << 18


class AnnotatedFiles:
    """Writes annotated files into a folder, which is created on the first write.

    A video gets its final name when it is complete. An image too large for JPEG becomes a PNG. Video frames
    of another size are scaled to the size of the first one.

    Raises:
        UsageError: if the folder cannot be created.
        ImageError: if a file cannot be written.
    """

    def __init__(self, folder: Path, stem: str) -> None:
        self._folder, self._stem = folder, stem
        self._video: cv2.VideoWriter | None = None
        self._size, self._frames = (0, 0), 0
        self.written: list[Path] = []

    @property
    def _part(self) -> Path:
        return self._folder / f".{self._stem}.part.mp4"

    def write(self, frame: Frame, image: NDArray[np.uint8]) -> None:
        """Write one annotated image, (H, W, 3) uint8 RGB, of `frame`."""
        with os_errors(UsageError, f"{self._folder}: the folder cannot be made"):
            self._folder.mkdir(parents=True, exist_ok=True)
        if frame.moving:
            self._write_frame(image, frame.rate or _USUAL_RATE)
        else:
            suffix = "jpg" if max(image.shape) <= MAX_JPEG_SIDE else "png"
            path = self._folder / f"{frame.name}_boxes.{suffix}"
            write_image(path, image)
            self.written.append(path)

    def _write_frame(self, image: NDArray[np.uint8], rate: float) -> None:
        size = image.shape[1], image.shape[0]
        if self._video is None:
            self._video, self._size = cv2.VideoWriter(str(self._part), _video_codec(), rate, size), size
            if not self._video.isOpened():
                raise self._error()
        if size != self._size:
            image = np.asarray(cv2.resize(image, self._size, interpolation=cv2.INTER_AREA), np.uint8)
        self._video.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        self._frames += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._video is None:
            return
        self._video.release()
        if kind is not None:
            self._part.unlink(missing_ok=True)
            return
        if _frame_count(self._part) != self._frames:
            problem = self._error()
            self._part.unlink(missing_ok=True)
            raise problem
        path = self._folder / f"{self._stem}_boxes.mp4"
        self._part.replace(path)
        self.written.append(path)

    def _error(self) -> ImageError:
        """The error of a video that OpenCV, which gives no reason, has not written."""
        reason = "OpenCV cannot encode it"
        try:
            with tempfile.TemporaryFile(dir=self._folder) as probe:
                probe.write(bytes(_PROBE_BYTES))
                probe.flush()
        except OSError as error:
            reason = error.strerror or str(error)
        width, height = self._size
        return ImageError(f"{self._folder}: a video of {width} x {height} cannot be written there: {reason}")


def _frame_count(path: Path) -> int:
    """Frames by the header, which is written last."""
    video = cv2.VideoCapture(str(path))
    count = int(video.get(cv2.CAP_PROP_FRAME_COUNT)) if video.isOpened() else 0
    video.release()
    return count


def _video_codec() -> int:
    return int(cv2.VideoWriter.fourcc(*_CODEC))


class Window:
    """A window on the screen; Esc or q closes it. Raises `UsageError` without a screen."""

    def __init__(self, title: str) -> None:
        # OpenCV's window library ends the process if there is no display.
        if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise UsageError("--show needs a screen, and neither DISPLAY nor WAYLAND_DISPLAY is set")
        self._title = title

    def show(self, image: NDArray[np.uint8], wait: bool) -> bool:
        """Show an image; `wait` for a key if set. Returns false if the user closes the window."""
        try:
            cv2.imshow(self._title, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
            return cv2.waitKey(0 if wait else 1) & 0xFF not in (27, ord("q"))
        except cv2.error as error:
            raise UsageError("--show needs an OpenCV with windows: pip install opencv-python") from error
