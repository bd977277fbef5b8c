"""libpocketdet.so through ctypes, as another language would call it."""

import ctypes
from ctypes import POINTER, Structure, byref, c_char_p, c_double, c_float, c_int32, c_size_t, c_void_p
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from same_detections import PlainDetections

from pocketdet.runtime.engines.native_library import Options

USAGE, BUNDLE, GRAPH, IMAGE = 1, 2, 3, 4
FORMATS = {"rgb": 0, "bgr": 1, "rgba": 2, "bgra": 3}


class Detection(Structure):
    """pocketdet_detection."""

    _fields_ = (*((name, c_float) for name in ("x1", "y1", "x2", "y2", "score")), ("label", c_int32))


class CallError(Exception):
    """A status other than POCKETDET_OK, with its sentence."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Library:
    """The functions of pocketdet.h. A failed call raises `CallError`."""

    def __init__(self, path: Path) -> None:
        self.functions = ctypes.CDLL(str(path))
        for name, result in (
            *((name, c_char_p) for name in ("version", "error_message", "detector_name", "detector_digest")),
            *((name, c_char_p) for name in ("class_name", "stage_name")),
            *((name, c_size_t) for name in ("class_count", "stage_count", "result_count", "result_rois")),
            ("result_detections", POINTER(Detection)),
            ("result_milliseconds", POINTER(c_double)),
            ("image_pixels", POINTER(ctypes.c_uint8)),
        ):
            self[name].restype = result

    def __getitem__(self, name: str) -> Any:
        return getattr(self.functions, f"pocketdet_{name}")

    def check(self, status: int) -> None:
        if status != 0:
            raise CallError(status, self["error_message"]().decode())

    def read_image(self, path: Path) -> NDArray[np.uint8]:
        image = c_void_p()
        self.check(self["image_read"](str(path).encode(), byref(image)))
        shape = (self["image_height"](image), self["image_width"](image), 3)
        pixels = np.ctypeslib.as_array(self["image_pixels"](image), shape).copy()
        self["image_free"](image)
        return pixels

    def open(self, bundle: Path, **options: Any) -> "Handle":
        raw = Options()
        self.check(self["options_init"](byref(raw), c_size_t(ctypes.sizeof(raw))))
        for name, value in options.items():
            setattr(raw, name, value)
        detector = c_void_p()
        self.check(self["detector_open"](str(bundle).encode(), byref(raw), byref(detector)))
        return Handle(self, detector)


class Handle:
    """A pocketdet_detector."""

    def __init__(self, library: Library, detector: c_void_p) -> None:
        self.library, self.detector = library, detector

    def __del__(self) -> None:
        self.library["detector_free"](self.detector)

    def text(self, name: str, *words: Any) -> str | None:
        found = self.library[name](self.detector, *words)
        return None if found is None else found.decode()

    def stages(self) -> tuple[str | None, ...]:
        count = self.library["stage_count"](self.detector)
        return tuple(self.text("stage_name", c_size_t(i)) for i in range(count))

    def class_names(self) -> list[str | None]:
        return [self.text("class_name", i) for i in range(self.library["class_count"](self.detector))]

    def detect(
        self, pixels: NDArray[np.uint8], width: int, height: int, stride: int = 0, layout: str = "rgb"
    ) -> PlainDetections:
        return self.timed(pixels, width, height, stride, FORMATS[layout])[0]

    def timed(
        self, pixels: NDArray[np.uint8], width: int, height: int, stride: int, layout: int
    ) -> tuple[PlainDetections, list[float], int]:
        """Detections, milliseconds of each stage, and RoIs."""
        call, result = self.library, c_void_p()
        data = pixels.ctypes.data_as(POINTER(ctypes.c_uint8))
        call.check(
            call["detect"](self.detector, data, width, height, c_size_t(stride), layout, byref(result))
        )
        raw = call["result_detections"](result)
        rows = [raw[i] for i in range(call["result_count"](result))]
        found = PlainDetections(
            np.array([(d.x1, d.y1, d.x2, d.y2) for d in rows], np.float32).reshape(-1, 4),
            np.array([d.score for d in rows], np.float32),
            np.array([d.label for d in rows], np.int32),
        )
        milliseconds = call["result_milliseconds"](result)[: call["stage_count"](self.detector)]
        rois = call["result_rois"](result)
        call["result_free"](result)
        return found, milliseconds, rois
