"""The public runtime: run the detector of a bundle on images."""

import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from pocketdet.errors import BundleError, ImageError, UsageError
from pocketdet.runtime.bundle import Bundle, load_bundle
from pocketdet.runtime.bundle.one_stage import OneStageManifest
from pocketdet.runtime.bundle.schema import Manifest, SizeChoice
from pocketdet.runtime.bundle.two_stage import TwoStageManifest
from pocketdet.runtime.detections import Detections
from pocketdet.runtime.engines import Engine, NativeEngine, choose_engine, make_engine
from pocketdet.runtime.images import ColorOrder, as_rgb
from pocketdet.runtime.options import DetectorOptions, EngineName
from pocketdet.runtime.pipeline import NativePipeline, OneStagePipeline, Pipeline, Stopwatch, TwoStagePipeline
from pocketdet.runtime.precision import Arithmetic, Precision, fallback_note
from pocketdet.runtime.sources import Frame, iter_source


class Detector:
    """Runs the detector of a bundle on images.

    `detect` is thread-safe. A forked process may use the detector: its first call may reload the networks, so
    the parent must not close the detector before. A detector that was made from a path can be pickled and
    sent to a process of `multiprocessing`'s "spawn": its path and options are sent, and it is loaded anew.

    Args:
        bundle: path of a bundle folder or zip file, or a loaded `Bundle`. A detector closes only a bundle
            that it loaded itself.
        options: engine, threads and overrides of the bundle's settings. Default: `DetectorOptions()`.
        engine: "native", "ncnn" or "onnxruntime"; or an object that runs the networks.
        threads, precision, score_threshold, nms, nms_iou, rois, max_detections, size: each replaces the field
            of `options` with its name, see `DetectorOptions`.

    Raises:
        BundleError: if the bundle is missing, damaged or invalid.
        GraphError: if a network of the bundle is invalid.
        EngineError: if the engine is not installed or cannot load a network.
        UsageError: for an option out of range, or one that this detector or engine does not have; a size that
            the bundle does not have, or that a loaded `Bundle` was not loaded at.

    Example:
        >>> with Detector("thundernet-snet49.pocketdet", threads=2, score_threshold=0.4) as detector:
        ...     detections = detector.detect(read_image("photo.jpg"))
    """

    def __init__(
        self,
        bundle: str | os.PathLike[str] | Bundle,
        options: DetectorOptions | None = None,
        *,
        engine: EngineName | Engine | None = None,
        threads: int | None = None,
        precision: Arithmetic | None = None,
        score_threshold: float | None = None,
        nms: Literal["hard", "linear", "gaussian"] | None = None,
        nms_iou: float | None = None,
        rois: int | None = None,
        max_detections: int | None = None,
        size: SizeChoice | None = None,
    ) -> None:
        given = {
            "engine": engine if isinstance(engine, str) else None,
            "threads": threads,
            "precision": precision,
            "score_threshold": score_threshold,
            "nms": nms,
            "nms_iou": nms_iou,
            "rois": rois,
            "max_detections": max_detections,
            "size": size,
        }
        chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        self.options = replace(options or DetectorOptions(), **chosen)
        self._engine_name: EngineName = self.options.engine or "ncnn"  # of an object, which has no name
        self._closed = False
        self._owns_bundle = not isinstance(bundle, Bundle)
        self.bundle = bundle if isinstance(bundle, Bundle) else load_bundle(bundle, self.options.size)
        if self.options.size is not None and not self.bundle.manifest.input.is_size(self.options.size):
            raise UsageError(
                f"size={self.options.size!r}: {self.bundle.source} was loaded at "
                f"{self.bundle.manifest.input}; load it with load_bundle(path, size)"
            )
        # what a pickled detector is loaded from in another process, which may have another working folder
        self._home = None if isinstance(bundle, Bundle) else Path(bundle).absolute()
        try:
            if engine is None or isinstance(engine, str):
                self._engine_name = choose_engine(self.options)
                self.engine = make_engine(self._engine_name, self.bundle, self.options)
            else:
                self.engine, self._home = engine, None
            self.pipeline = make_pipeline(self.bundle.manifest, self.engine, self.options)
        except BaseException:
            self.close()
            raise

    def __repr__(self) -> str:
        manifest = self.bundle.manifest
        size = f"{manifest.input.width}x{manifest.input.height} input, {len(self.class_names)} classes"
        return f"<Detector {manifest.name}: {manifest.architecture}, {size}, {self.engine_name}>"

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes without background; a label is an index into them."""
        return self.bundle.manifest.class_names

    @property
    def engine_name(self) -> EngineName:
        """The engine of the options, or the one that was chosen if the options set none."""
        return self._engine_name

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
        if self.engine_name == "onnxruntime":
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
        return Precision("fp32" if self.engine_name == "onnxruntime" else storage, self.precision)

    @property
    def precision_note(self) -> str:
        """A sentence if the arithmetic in use differs from the requested one, else an empty string."""
        return fallback_note(self.requested_precision, self.precision)

    def detect(self, image: NDArray[Any], *, color: ColorOrder = "RGB") -> Detections:
        """Detect objects in an image.

        Args:
            image: (H, W, 3) uint8. Also accepts (H, W) and (H, W, 1) grey, (H, W, 4) with alpha, which is
                ignored, and uint16 arrays, which are converted.
            color: order of the channels of `image`: "RGB", or "BGR" as OpenCV reads images.

        Returns:
            The detections, boxes in pixels of `image`.

        Raises:
            ImageError: if the array is not an image or is too large.
            EngineError: if the engine fails.
            UsageError: if the detector is closed, or for another `color`.
        """
        if self._closed:
            raise UsageError("the detector is closed; make a new one")
        pixels = as_rgb(image, color)
        watch = Stopwatch()
        found = self.pipeline.run(pixels, watch)
        names = self.bundle.manifest.class_names
        return Detections(found.boxes, found.scores, found.labels, names, watch.milliseconds)

    def detect_batch(self, images: Iterable[NDArray[Any]], *, color: ColorOrder = "RGB") -> list[Detections]:
        """Detect objects in several images, one after the other: the networks of a bundle take one image.

        Args:
            images: a sequence of images of any sizes, or an array (N, H, W, 3). Each as in `detect`.
            color: order of the channels of every image.

        Returns:
            The detections of each image, in the same order.

        Raises:
            ImageError, EngineError, UsageError: as `detect`. An `ImageError` names the position from 0.
        """
        if isinstance(images, np.ndarray) and images.ndim != 4:
            raise ImageError(
                f"expected several images, a sequence or an array (N, H, W, 3), found {images.shape}; "
                "use detect for one image"
            )
        found = []
        for position, image in enumerate(images):
            try:
                found.append(self.detect(image, color=color))
            except ImageError as error:
                raise ImageError(f"image {position}: {error}") from error
        return found

    def detect_video(self, source: str | os.PathLike[str] | int) -> Iterator[tuple[Frame, Detections]]:
        """Detect objects in each frame of a video, lazily.

        Args:
            source: a video file, a camera index, or a folder of images, as in `iter_source`.

        Returns:
            An iterator of each frame, whose `image` is (H, W, 3) uint8 RGB, and its detections.

        Raises:
            ImageError: if the source does not exist or contains no image; during iteration for a frame that
                cannot be read, or at the end of a truncated video. To go on after an unreadable file, call
                `detect` on the frames of `iter_source`, which takes a function for such problems.
        """
        return ((frame, self.detect(frame.image)) for frame in iter_source(source))

    def pipeline_at(self, score_threshold: float | None) -> Pipeline:
        """Return a pipeline that shares the networks and has another score threshold; its own for `None`."""
        if score_threshold is None:
            return self.pipeline
        options = replace(self.options, score_threshold=score_threshold)
        return make_pipeline(self.bundle.manifest, self.engine, options)

    def __reduce__(self) -> tuple[Callable[..., "Detector"], tuple[Path, DetectorOptions, str]]:
        if self._home is None or self._closed:
            state = "closed" if self._closed else "made from a loaded bundle or with an engine"
            raise UsageError(
                f"a detector that is {state} cannot be sent to another process or saved: "
                f"make one there, from the path of its bundle ({self.bundle.source})"
            )
        return _restore, (self._home, self.options, self.bundle.digest)

    def close(self) -> None:
        """Close the detector, and its bundle if the detector loaded it. Closing twice is allowed.

        Running calls in other threads finish.
        """
        self._closed = True
        if self._owns_bundle:
            self.bundle.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _restore(path: Path, options: DetectorOptions, digest: str) -> Detector:
    """Load a pickled detector. Raises `BundleError` if its bundle has changed since."""
    detector = Detector(path, options)
    if detector.bundle.digest != digest:
        detector.close()
        raise BundleError(f"{path}: the bundle has changed since the detector was pickled; make a new one")
    return detector


def make_pipeline(manifest: Manifest, engine: Engine, options: DetectorOptions) -> Pipeline:
    """Return the pipeline for an engine and the kind of detector of a manifest.

    Raises:
        UsageError: for an option that this kind of detector does not have.
    """
    if isinstance(engine, NativeEngine):
        return NativePipeline(manifest, engine, options)
    if isinstance(manifest, OneStageManifest):
        return OneStagePipeline(manifest, engine, options)
    assert isinstance(manifest, TwoStageManifest)
    return TwoStagePipeline(manifest, engine, options)
