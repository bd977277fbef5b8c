"""The public runtime: run the detector of a bundle on images."""

import os
import warnings
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, NoReturn, Self

import numpy as np
from numpy.typing import NDArray

from pocketdet.errors import UsageError
from pocketdet.runtime.bundle import Bundle, load_bundle
from pocketdet.runtime.bundle.one_stage import OneStageManifest
from pocketdet.runtime.bundle.schema import Manifest
from pocketdet.runtime.bundle.two_stage import TwoStageManifest
from pocketdet.runtime.engines import Array, Engine, make_engine
from pocketdet.runtime.images import as_rgb
from pocketdet.runtime.one_stage import OneStagePipeline
from pocketdet.runtime.options import DetectorOptions
from pocketdet.runtime.pipeline import Pipeline, Stopwatch
from pocketdet.runtime.precision import Arithmetic, Precision, fallback_note
from pocketdet.runtime.two_stage import TwoStagePipeline


@dataclass(frozen=True)
class Detections:
    """Detections of one image, best first.

    Attributes:
        boxes: (N, 4) float32, `(x1, y1, x2, y2)` in pixels of the input image.
        scores: (N,) float32 in [0, 1], descending.
        labels: (N,) int32, class indices from 0.
        names: class name of each box.
        milliseconds: wall time of each stage, by stage name.
    """

    boxes: Array
    scores: Array
    labels: NDArray[np.int32]
    names: tuple[str, ...]
    milliseconds: dict[str, float]

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def total_milliseconds(self) -> float:
        """Wall time of all stages in milliseconds."""
        return sum(self.milliseconds.values())


class Detector:
    """Runs the detector of a bundle on images.

    `detect` is thread-safe. A forked process may use the detector: its first call reloads the networks, so
    the parent must not close the detector before. A detector cannot be pickled; with `multiprocessing`'s
    "spawn", create one in each process from the path of the bundle.

    Args:
        bundle: path of a bundle folder or zip file, or a loaded `Bundle`. A detector closes only a bundle
            that it loaded itself.
        options: engine, threads and overrides of the bundle's settings. Default: `DetectorOptions()`.
        engine: runs the networks instead of the engine named by `options`.

    Raises:
        BundleError: if the bundle is missing, damaged or invalid.
        GraphError: if a network of the bundle is invalid.
        EngineError: if the engine is not installed or cannot load a network.
        UsageError: for options that this detector does not have.

    Example:
        >>> with Detector("thundernet-snet49.pocketdet") as detector:
        ...     detections = detector.detect(read_image("photo.jpg"))
    """

    def __init__(
        self,
        bundle: str | os.PathLike[str] | Bundle,
        options: DetectorOptions | None = None,
        *,
        engine: Engine | None = None,
    ) -> None:
        self.options = options or DetectorOptions()
        self._owns_bundle = not isinstance(bundle, Bundle)
        self._closed = False
        self.bundle = bundle if isinstance(bundle, Bundle) else load_bundle(bundle)
        try:
            self.engine = engine or make_engine(self.bundle, self.options)
            self.pipeline = make_pipeline(self.bundle.manifest, self.engine, self.options)
        except BaseException:
            self.close()
            raise
        self._names = self.bundle.manifest.class_names

    @property
    def stages(self) -> tuple[str, ...]:
        """The keys of `Detections.milliseconds`, in execution order."""
        return self.pipeline.stages

    @property
    def precision(self) -> Arithmetic:
        """The arithmetic in use on this machine; it may differ from `requested_precision`."""
        return self.engine.precision

    @property
    def requested_precision(self) -> Arithmetic:
        """The arithmetic of the options, or of the bundle if the options set none; "fp32" for onnxruntime."""
        if self.options.engine == "onnxruntime":
            return "fp32"
        return self.options.precision or self.bundle.manifest.precision.arithmetic

    @property
    def precision_asked(self) -> Arithmetic:
        """Deprecated: use `requested_precision`."""
        warnings.warn(
            "Detector.precision_asked is deprecated: use requested_precision",
            DeprecationWarning,
            stacklevel=2,
        )
        return self.requested_precision

    @property
    def score_threshold(self) -> float:
        """The score threshold of the options, or of the bundle if the options set none."""
        return self.pipeline.score_threshold

    @property
    def runs_in(self) -> Precision:
        """Weight storage and arithmetic in use. onnxruntime runs the ONNX counterparts in fp32."""
        storage = self.bundle.manifest.layout.weight_storage
        return Precision("fp32" if self.options.engine == "onnxruntime" else storage, self.precision)

    @property
    def precision_note(self) -> str:
        """A sentence if the arithmetic in use differs from the requested one, else an empty string."""
        return fallback_note(self.requested_precision, self.precision)

    def detect(self, image: NDArray[Any]) -> Detections:
        """Detect objects in an image.

        Args:
            image: (H, W, 3) uint8 RGB. Also accepts (H, W) and (H, W, 1) grey, (H, W, 4) RGBA (alpha is
                ignored) and uint16 arrays, which are converted.

        Returns:
            The detections, boxes in pixels of `image`.

        Raises:
            ImageError: if the array is not an image or is too large.
            EngineError: if the engine fails.
            UsageError: if the detector is closed.
        """
        if self._closed:
            raise UsageError("the detector is closed; make a new one")
        pixels = as_rgb(image)
        watch = Stopwatch()
        found = self.pipeline.run(pixels, watch)
        names = tuple(self._names[i] for i in found.labels)
        return Detections(found.boxes, found.scores, found.labels, names, watch.milliseconds)

    def pipeline_at(self, score_threshold: float | None) -> Pipeline:
        """Return a pipeline that shares the networks and has another score threshold; its own for `None`."""
        if score_threshold is None:
            return self.pipeline
        options = replace(self.options, score_threshold=score_threshold)
        return make_pipeline(self.bundle.manifest, self.engine, options)

    def __reduce__(self) -> NoReturn:
        raise UsageError(
            "a detector cannot be sent to another process or saved: "
            f"make one there, from the path of its bundle ({self.bundle.source})"
        )

    def close(self) -> None:
        """Close the detector, and its bundle if the detector loaded it. Closing twice is allowed.

        Running calls in other threads finish.
        """
        self._closed = True
        if self._owns_bundle:
            self.bundle.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def make_pipeline(manifest: Manifest, engine: Engine, options: DetectorOptions) -> Pipeline:
    """Return the pipeline for the kind of detector of a manifest.

    Raises:
        UsageError: for an option that this kind of detector does not have.
    """
    if isinstance(manifest, OneStageManifest):
        return OneStagePipeline(manifest, engine, options)
    assert isinstance(manifest, TwoStageManifest)
    return TwoStagePipeline(manifest, engine, options)
