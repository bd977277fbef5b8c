"""A detector on one backend, from PyTorch to what a phone runs: `detect` maps an image to `Detections`.

Each says what its weights are stored in and what its engine computes in on this machine.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pocketdet.errors import UsageError
from pocketdet.evaluation import Detections
from pocketdet.export.reference.base import Reference
from pocketdet.export.reference.factory import postprocessing_of_bundle, reference_of_bundle
from pocketdet.models.config import Postprocessing
from pocketdet.runtime.bundle import Bundle
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.engines import Engine
from pocketdet.runtime.options import DetectorOptions, EngineName
from pocketdet.runtime.precision import Arithmetic, Storage

Backend = Literal["pytorch", "onnx", "ncnn-fp32", "ncnn-fp16", "ncnn-int8"]

MEASURED_FROM = 0.05  # average precision counts uncertain detections, too
NAMES: dict[Backend, str] = {
    "pytorch": "PyTorch",
    "onnx": "ONNX",
    "ncnn-fp32": "ncnn fp32",
    "ncnn-fp16": "ncnn fp16",
    "ncnn-int8": "ncnn int8",
}


@dataclass(frozen=True)
class Variant:
    """One detector on one backend.

    Attributes:
        backend: the engine and the precision of its weights.
        weights: storage of its weights; those of ncnn fp16 are rounded to halves.
        arithmetic: what its engine computes in on this machine, whatever it was asked for.
        rule: score threshold and NMS that make its detections.
        class_names: of the detector, without background.
        detect: an RGB image (H, W, 3) uint8 -> what is in it; labels index `class_names`.
        bytes: of the files that its networks are read from.
        emulated: the processor, if it is not this machine's.
    """

    backend: Backend
    weights: Storage
    arithmetic: Arithmetic
    rule: Postprocessing
    class_names: tuple[str, ...]
    detect: Callable[[NDArray[np.uint8]], Detections]
    bytes: int | None = None
    emulated: str | None = None

    @property
    def name(self) -> str:
        """As people read it, such as "ncnn fp16 on cortex-a76"."""
        return NAMES[self.backend] + (f" on {self.emulated}" if self.emulated else "")


def in_pytorch(reference: Reference, score: float | None = None) -> Variant:
    """A model as it is, with `score` as its threshold unless that is None; one thread setting for all."""
    reference = reference.with_postprocessing(score=score)

    def detect(image: NDArray[np.uint8]) -> Detections:
        stages = reference.stages(image)
        return Detections(stages["boxes"], stages["scores"], stages["labels"].astype(np.int64))

    size = sum(values.nbytes for _, values in reference.every_weight())
    names = reference.identity.class_names
    return Variant("pytorch", "fp32", "fp32", reference.postprocessing, names, detect, size)


def bundle_in_pytorch(bundle: Bundle, score: float | None = None) -> Variant:
    """The weights that the bundle was made from and carries, not rounded, under the bundle's own rule."""
    reference = reference_of_bundle(bundle)
    if reference is None:
        raise UsageError(f"{bundle.source} carries no PyTorch weights")
    return in_pytorch(reference.with_postprocessing(bundle.manifest), score)


def evaluation_threshold(bundle: Bundle) -> float:
    """The score threshold that a bundle is measured with unless another one is asked for.

    The lowest of 0.05, the bundle's own, which may be one for display, and that of its golden test, which is
    at most the one that its model was trained and measured with.
    """
    own, golden = postprocessing_of_bundle(bundle).score_threshold, bundle.manifest.golden.score_threshold
    return min(MEASURED_FROM, own, own if golden is None else golden)


def in_engine(
    bundle: Bundle,
    backend: Backend,
    score: float | None = None,
    threads: int = 1,
    *,
    engine: Engine | None = None,
) -> Variant:
    """The bundle as ONNX, or as ncnn in the precision that it was made for, where this machine has it.

    engine: runs the networks in place of the one that `backend` names. Raises what `Detector` and
    `DetectorOptions` raise.
    """
    name: EngineName = "onnxruntime" if backend == "onnx" else "ncnn"
    options = DetectorOptions(engine=name, threads=threads, score_threshold=score)
    detector = Detector(bundle, options, engine=engine)

    def detect(image: NDArray[np.uint8]) -> Detections:
        found = detector.detect(image)
        return Detections(found.boxes, found.scores, found.labels.astype(np.int64))

    runs_in, names = detector.runs_in, bundle.manifest.class_names
    size = deployed_bytes(bundle, backend)
    rule = postprocessing_of_bundle(bundle, score)
    return Variant(backend, runs_in.storage, runs_in.arithmetic, rule, names, detect, size)


def deployed_bytes(bundle: Bundle, backend: Backend) -> int:
    """Bytes of the network files that an engine reads: what the backend costs on a device."""
    files = bundle.manifest.files
    graphs = bundle.manifest.graphs.by_name().values()
    names = [(g.onnx,) if backend == "onnx" else (g.param, g.bin) for g in graphs]
    return sum(files[name].size for of_graph in names for name in of_graph if name)
