"""A bundle on an emulated ARM processor: half precision, and ARM's own kernels, without the device.

pocketdet-run for aarch64 runs under qemu's user mode; each image is a run of its own. What it finds is what
the processor would find; how long it takes says nothing.
"""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketdet.errors import EngineError, UsageError
from pocketdet.evaluation import Detections
from pocketdet.evaluation.variants import Backend, Variant, deployed_bytes
from pocketdet.export.reference.factory import postprocessing_of_bundle
from pocketdet.runtime.bundle import Bundle
from pocketdet.runtime.native_build import AARCH64, QEMU
from pocketdet.runtime.precision import ARITHMETICS, Arithmetic

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
    chosen = () if score is None else ("--score-threshold", str(score))
    golden = _run(cpu, "detect", str(bundle.source), str(bundle.path(bundle.manifest.golden.image)))

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
    size = deployed_bytes(bundle, backend)
    return Variant(backend, storage, used, rule, manifest.class_names, detect, size, emulated=cpu)


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
