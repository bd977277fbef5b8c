"""Output of annotated images: a JPEG per image, an MP4 per video or camera, or a window."""

import os
import sys
import tempfile
from pathlib import Path
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from pocketdet.errors import ImageError, UsageError
from pocketdet.io import os_errors
from pocketdet.runtime.images import MAX_JPEG_SIDE, write_image
from pocketdet.runtime.sources import Frame

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
            self._video, self._size = cv2.VideoWriter(str(self._part), _codec(), rate, size), size
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


def _codec() -> int:
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
