"""The native engine: the whole C++ detector, libpocketdet.so, called through its C API with ctypes.

Names, types and ranges are those of runtime/native/api/include/pocketdet/pocketdet.h.
"""

import functools
import os
import weakref
from collections.abc import Mapping
from ctypes import (
    CDLL,
    POINTER,
    Structure,
    byref,
    c_char_p,
    c_double,
    c_int32,
    c_size_t,
    c_void_p,
    sizeof,
    string_at,
)
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pocketdet import __version__
from pocketdet.errors import BundleError, EngineError, GraphError, ImageError, PocketdetError, UsageError
from pocketdet.runtime.bundle import Bundle
from pocketdet.runtime.bundle.schema import InputSize
from pocketdet.runtime.engines.base import Array, GraphName
from pocketdet.runtime.native_build import library_path
from pocketdet.runtime.options import DetectorOptions
from pocketdet.runtime.precision import ARITHMETICS, Arithmetic

# by pocketdet_status; any other is an EngineError
_ERRORS: Final[dict[int, type[PocketdetError]]] = {
    1: UsageError,
    2: BundleError,
    3: GraphError,
    4: ImageError,
}
_NMS: Final = ("hard", "linear", "gaussian")  # by pocketdet_nms
_RGB: Final = 0
_DETECTION: Final = np.dtype([("box", np.float32, 4), ("score", np.float32), ("label", np.int32)])


class Options(Structure):
    """pocketdet_options."""

    _fields_ = (
        ("size", c_size_t),
        ("score_threshold", c_double),
        ("nms_iou", c_double),
        ("nms", c_int32),
        ("precision", c_int32),
        ("rois", c_int32),
        ("max_detections", c_int32),
        ("digest", c_char_p),
        ("input_size", c_char_p),
    )


# result and arguments of each function, without its prefix pocketdet_
_FUNCTIONS: Final[dict[str, tuple[Any, tuple[Any, ...]]]] = {
    "version": (c_char_p, ()),
    "error_message": (c_char_p, ()),
    "options_init": (c_int32, (POINTER(Options), c_size_t)),
    "detector_open": (c_int32, (c_char_p, POINTER(Options), POINTER(c_void_p))),
    "detector_free": (None, (c_void_p,)),
    "detector_precision": (c_int32, (c_void_p,)),
    "stage_count": (c_size_t, (c_void_p,)),
    "stage_name": (c_char_p, (c_void_p, c_size_t)),
    "detect": (c_int32, (c_void_p, c_void_p, c_int32, c_int32, c_size_t, c_int32, POINTER(c_void_p))),
    "result_free": (None, (c_void_p,)),
    "result_count": (c_size_t, (c_void_p,)),
    "result_detections": (c_void_p, (c_void_p,)),
    "result_rois": (c_size_t, (c_void_p,)),
    "result_milliseconds": (POINTER(c_double), (c_void_p,)),
}


@functools.cache
def load_library() -> "NativeLibrary":
    """Return the library of this process.

    Raises:
        EngineError: if it is not built, cannot be loaded, or is of another pocketdet.
    """
    return NativeLibrary(library_path())


def has_library() -> bool:
    """Whether `load_library` returns one."""
    try:
        load_library()
    except EngineError:
        return False
    return True


class NativeLibrary:
    """The functions of one libpocketdet.so; `library["detect"]` is pocketdet_detect.

    ctypes releases the GIL during each call.

    Args:
        path: the library.

    Raises:
        EngineError: if it cannot be loaded, or is of another pocketdet.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise EngineError(
                f"engine 'native' needs {path}: make native builds it in a checkout; "
                "engine='ncnn' needs nothing more"
            )
        try:
            library = CDLL(str(path))
            self._functions = {name: _function(library, name) for name in _FUNCTIONS}
        except (OSError, AttributeError) as error:
            problem = f"{path}: cannot be loaded as the library of engine 'native': {error}"
            raise EngineError(problem) from error
        found = self["version"]().decode(errors="replace")
        # a build from before an option was added has the same version
        if found != __version__ or self["options_init"](byref(Options()), sizeof(Options)) != 0:
            raise EngineError(
                f"{path}: expected the library of this pocketdet, {__version__}, found another build, "
                f"of {found}; build it again: make native"
            )

    def __getitem__(self, name: str) -> Any:
        return self._functions[name]

    def check(self, status: int) -> None:
        """Raise the error of a call that failed in this thread."""
        if status != 0:
            message = self["error_message"]().decode(errors="replace")
            raise _ERRORS.get(status, EngineError)(message)


def _function(library: CDLL, name: str) -> Any:
    function = library[f"pocketdet_{name}"]
    function.restype, function.argtypes = _FUNCTIONS[name]
    return function


@dataclass(frozen=True)
class NativeDetections:
    """The result of one call.

    Attributes:
        boxes: (N, 4) float32 in pixels of the image, best first.
        scores, labels: (N,) float32 and int32.
        milliseconds: wall time of each stage.
        rois: proposals that the head saw; 0 for a one-stage detector.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int32]
    milliseconds: tuple[float, ...]
    rois: int


class NativeDetector:
    """A pocketdet_detector, freed with the last reference. Calls from several threads wait for each other.

    Args:
        folder: folder of a bundle.
        digest: SHA-256 of its manifest.json, in hex.
        size: one of its input sizes.
        options: overrides of the bundle's settings. Engine, number of threads and size are ignored.

    Attributes:
        stages: names of the stages that are timed, in execution order.

    Raises:
        BundleError, GraphError: if the bundle has another digest, or is invalid.
        EngineError: if the library is missing, or ncnn refuses a network.
        UsageError: for an option that this detector does not have.
    """

    def __init__(self, folder: Path, digest: str, size: InputSize, options: DetectorOptions) -> None:
        self._library = load_library()
        raw = Options()
        self._library.check(self._library["options_init"](byref(raw), sizeof(raw)))
        raw.digest, raw.input_size = digest.encode(), str(size).encode()
        if options.precision is not None:
            raw.precision = ARITHMETICS.index(options.precision)
        if options.nms is not None:
            raw.nms = _NMS.index(options.nms)
        for name in ("score_threshold", "nms_iou", "rois", "max_detections"):
            if (value := getattr(options, name)) is not None:
                setattr(raw, name, value)
        pointer = c_void_p()
        self._library.check(self._library["detector_open"](os.fsencode(folder), byref(raw), byref(pointer)))
        self._pointer = pointer
        count = self._library["stage_count"](pointer)
        self.stages = tuple(self._library["stage_name"](pointer, i).decode() for i in range(count))
        # not at exit, when another thread may be in a call
        weakref.finalize(self, self._library["detector_free"], pointer).atexit = False

    @property
    def precision(self) -> Arithmetic:
        """The arithmetic in use on this machine, the narrowest of all networks."""
        index: int = self._library["detector_precision"](self._pointer)
        return ARITHMETICS[index]

    def detect(self, image: NDArray[np.uint8]) -> NativeDetections:
        """Detect objects in an image, RGB (H, W, 3) uint8 in C order.

        Raises:
            ImageError: for an image that is empty or too large.
            UsageError: for rows that are shorter than `W` pixels.
            EngineError: if ncnn fails.
        """
        call, result = self._library, c_void_p()
        height, width, _ = image.shape
        address, _ = image.__array_interface__["data"]  # a third of the time of `image.ctypes`
        call.check(
            call["detect"](self._pointer, address, width, height, image.strides[0], _RGB, byref(result))
        )
        try:
            count = call["result_count"](result)
            data = string_at(call["result_detections"](result), count * _DETECTION.itemsize) if count else b""
            found = np.frombuffer(data, _DETECTION)
            spans = call["result_milliseconds"](result)[: len(self.stages)]
            return NativeDetections(
                found["box"].copy(),
                found["score"].copy(),
                found["label"].copy(),
                tuple(spans),
                call["result_rois"](result),
            )
        finally:
            call["result_free"](result)


class NativeEngine:
    """Runs a bundle with libpocketdet.so. It has its own ncnn and kernels, and computes on one thread.

    Thread-safe: calls at the same time have a copy of the networks each, which are loaded when they are first
    needed, from the bundle. A forked process uses the copies that were idle.

    Args:
        bundle: a validated bundle.
        options: overrides of the bundle's settings.

    Attributes:
        precision: the arithmetic in use, the narrowest of all graphs.
        stages: names of the stages that are timed, in execution order.

    Raises:
        EngineError: if the library is missing or of another version, or ncnn refuses a network.
        UsageError: for several threads, or an option that this detector does not have.
    """

    def __init__(self, bundle: Bundle, options: DetectorOptions) -> None:
        if options.threads != 1:
            raise UsageError(
                f"threads={options.threads}: engine 'native' computes on one thread; "
                "leave threads at 1, or use engine 'ncnn'"
            )
        self._bundle = bundle
        self._options = options
        first = self._open()
        self._idle = [first]
        self.precision: Arithmetic = first.precision
        self.stages = first.stages

    def with_options(self, options: DetectorOptions) -> "NativeEngine":
        """Return an engine of the same bundle with these options, this one if it has them."""
        return self if options == self._options else NativeEngine(self._bundle, options)

    def run(self, graph: GraphName, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Raise `EngineError`: the C++ detector gives detections, and no outputs of its networks."""
        raise EngineError(
            f"engine 'native' gives detections, and no outputs of graph {graph!r}: use engine 'ncnn'"
        )

    def detect(self, image: NDArray[np.uint8]) -> NativeDetections:
        """Detect objects in an image, RGB (H, W, 3).

        Raises:
            ImageError: for an image that is empty or too large.
            BundleError: if the networks must be loaded and the bundle is closed.
            EngineError: if ncnn fails.
        """
        try:
            detector = self._idle.pop()
        except IndexError:
            detector = self._open()
        try:
            return detector.detect(np.ascontiguousarray(image))
        except PocketdetError as error:
            raise self._naming_the_source(error) from error
        finally:
            self._idle.append(detector)

    def _open(self) -> NativeDetector:
        bundle = self._bundle
        try:
            return NativeDetector(bundle.folder, bundle.digest, bundle.manifest.input, self._options)
        except PocketdetError as error:
            raise self._naming_the_source(error) from error

    def _naming_the_source(self, error: PocketdetError) -> PocketdetError:
        """The error with the name of the bundle that was loaded instead of that of its private copy."""
        return type(error)(str(error).replace(str(self._bundle.folder), str(self._bundle.source)))
