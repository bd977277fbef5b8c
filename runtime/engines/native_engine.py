"""The native engine: the whole C++ detector, from the image to the boxes, in one call."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from pocketdet.errors import EngineError, PocketdetError, UsageError
from pocketdet.runtime.bundle import Bundle
from pocketdet.runtime.engines.base import Array, GraphName
from pocketdet.runtime.engines.native_library import NativeDetections, NativeDetector
from pocketdet.runtime.options import DetectorOptions
from pocketdet.runtime.precision import Arithmetic


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
            with self._naming_the_source():
                return detector.detect(np.ascontiguousarray(image))
        finally:
            self._idle.append(detector)

    def _open(self) -> NativeDetector:
        with self._naming_the_source():
            bundle = self._bundle
            return NativeDetector(bundle.folder, bundle.digest, bundle.manifest.input, self._options)

    @contextmanager
    def _naming_the_source(self) -> Iterator[None]:
        """Let errors name the bundle that was loaded, and not its private copy."""
        try:
            yield
        except PocketdetError as error:
            copy = str(self._bundle.folder)
            raise type(error)(str(error).replace(copy, str(self._bundle.source))) from error
