"""A detector on one backend, from PyTorch to what a phone runs: `detect` maps an image to `Detections`.

Each says what its weights are stored in and what its engine computes in on this machine.
"""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pocketdet.errors import EngineError, UsageError
from pocketdet.evaluation import Detections
from pocketdet.export.reference.base import Reference
from pocketdet.export.reference.factory import postprocessing_of_bundle, reference_of_bundle
from pocketdet.models.config import Postprocessing
from pocketdet.runtime.bundle import Bundle
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.engines import Engine
from pocketdet.runtime.native_build import AARCH64, QEMU
from pocketdet.runtime.options import DetectorOptions, EngineName
from pocketdet.runtime.precision import ARITHMETICS, Arithmetic, Storage

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


_SECONDS_PER_IMAGE = 600


def what_is_missing() -> str | None:
    """Why no ARM processor can be emulated here, in words, or `None`."""
    if shutil.which(QEMU) is None:
        return f"no {QEMU}: on Debian, apt install qemu-user-static"
    if not AARCH64.runner.exists():
        return f"{AARCH64.runner} is not built: make {AARCH64.recipe}"
    return None


def in_emulator(bundle: Bundle, backend: Backend, cpu: str, score: float | None = None) -> Variant:
    """The bundle in the precision that it was made for, on a processor that qemu knows, such as cortex-a76.

    The detections are those of the processor: half precision and ARM's own kernels, without the device. Each
    image is a run of pocketdet-run for aarch64 of its own; the time that it takes says nothing.

    Raises `UsageError` if something is missing, the processor is unknown, or the bundle is a zip file, which
    pocketdet-run does not read; `EngineError` if it fails.
    """
    missing = what_is_missing()
    if missing:
        raise UsageError(f"--arm {cpu}: {missing}")
    if not bundle.source.is_dir():
        raise UsageError(
            f"--arm {cpu}: {bundle.source} is a zip file; pocketdet-run reads folders: unpack it"
        )
    rule = postprocessing_of_bundle(bundle, score)
    size = ("--size", str(bundle.manifest.input)) if len(bundle.sizes) > 1 else ()
    chosen = size if score is None else (*size, "--score-threshold", str(score))
    golden = _run(cpu, "detect", str(bundle.source), str(bundle.path(bundle.manifest.golden.image)), *size)

    def detect(image: NDArray[np.uint8]) -> Detections:
        with tempfile.TemporaryDirectory(prefix="pocketdet-arm-") as folder:
            path = Path(folder) / "image.ppm"
            height, width, _ = image.shape
            path.write_bytes(f"P6\n{width} {height}\n255\n".encode() + np.ascontiguousarray(image).tobytes())
            document = _run(cpu, "detect", str(bundle.source), str(path), *chosen)
        found = document["images"][0]["detections"]
        return Detections(
            np.array([one["box"] for one in found], np.float32).reshape(-1, 4),
            np.array([one["score"] for one in found], np.float32),
            np.array([one["label"] for one in found], np.int64),
        )

    used: Arithmetic = next(a for a in ARITHMETICS if a == golden["engine"]["precision"])
    manifest = bundle.manifest
    storage = manifest.layout.weight_storage
    count = deployed_bytes(bundle, backend)
    return Variant(backend, storage, used, rule, manifest.class_names, detect, count, emulated=cpu)


def _run(cpu: str, *words: str) -> dict[str, Any]:
    command = [QEMU, "-cpu", cpu, str(AARCH64.runner), *words]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_SECONDS_PER_IMAGE, check=False)
        if done.returncode == 0:
            return dict(json.loads(done.stdout))
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        raise EngineError(f"pocketdet-run on an emulated {cpu} failed: {error}") from error
    said = done.stderr.decode(errors="replace").strip().splitlines()
    problem = said[-1] if said else f"exit code {done.returncode}"
    raise EngineError(f"pocketdet-run on an emulated {cpu} failed: {problem}")
