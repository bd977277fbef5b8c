"""The public runtime: a bundle in, boxes out."""

import os
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NoReturn, Self

import numpy as np
from numpy.typing import NDArray

from pocketdet.errors import UsageError
from pocketdet.runtime.bundle import Bundle, load_bundle
from pocketdet.runtime.engines import Array, Engine, make_engine
from pocketdet.runtime.images import as_rgb
from pocketdet.runtime.make_pipeline import make_pipeline
from pocketdet.runtime.options import DetectorOptions
from pocketdet.runtime.pipeline import Stopwatch
from pocketdet.runtime.precision import Arithmetic, Precision, why_other


@dataclass(frozen=True)
class Detections:
    """What was found, best first.

    boxes (N, 4) float32 `(x1, y1, x2, y2)` in pixels of the image given; scores (N,) float32 in [0, 1];
    labels (N,) int32 from 0; names: one class name per box; milliseconds: wall time per stage.
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
        """From the image to the boxes."""
        return sum(self.milliseconds.values())


class Detector:
    """Runs one bundle on images. `detect` may be called from several threads at once.

    It may be used in a forked process, with any number of threads: the first call there loads the networks
    anew, from files that are there until the parent closes the detector. It cannot be sent to another process
    (`multiprocessing`'s "spawn"): make one there, from the bundle's path.

    engine: runs the networks in place of the one that the options name.

    Raises `BundleError` or `GraphError` if the bundle cannot be trusted, `EngineError` if the engine is
    missing, `UsageError` for bad options.
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
        """The stages by which `Detections.milliseconds` are told, in the order in which they run."""
        return self.pipeline.stages

    @property
    def precision(self) -> Arithmetic:
        """The arithmetic that the engine uses on this machine, which may differ from what was asked."""
        return self.engine.precision

    @property
    def precision_asked(self) -> Arithmetic:
        """What the options ask for, by default what the bundle was made for; fp32 of onnxruntime."""
        if self.options.engine == "onnxruntime":
            return "fp32"
        return self.options.precision or self.bundle.manifest.precision.arithmetic

    @property
    def score_threshold(self) -> float:
        """What the score of a detection is above: the options' choice, else the bundle's."""
        return self.pipeline.score_threshold

    @property
    def runs_in(self) -> Precision:
        """How the networks are stored and what really computes them; onnxruntime runs the ONNX twins."""
        storage = self.bundle.manifest.layout.weight_storage
        return Precision("fp32" if self.options.engine == "onnxruntime" else storage, self.precision)

    @property
    def precision_note(self) -> str:
        """A sentence if this machine does not compute in what was asked for, else nothing."""
        return why_other(self.precision_asked, self.precision)

    def detect(self, image: NDArray[Any]) -> Detections:
        """Find objects in an RGB image (H, W, 3) uint8; grey, RGBA and 16-bit arrays are converted.

        Raises `ImageError` if the array is not an image, `UsageError` if the detector is closed.
        """
        if self._closed:
            raise UsageError("the detector is closed; make a new one")
        pixels = as_rgb(image)
        watch = Stopwatch()
        found = self.pipeline.run(pixels, watch)
        names = tuple(self._names[i] for i in found.labels)
        return Detections(found.boxes, found.scores, found.labels, names, watch.milliseconds)

    def __reduce__(self) -> NoReturn:
        raise UsageError(
            "a detector cannot be sent to another process or saved: "
            f"make one there, from the path of its bundle ({self.bundle.source})"
        )

    def close(self) -> None:
        """Release the files of the bundle if this detector opened it. The detector cannot be used after.

        Calls that run in other threads come to their end. Closing twice is allowed.
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
