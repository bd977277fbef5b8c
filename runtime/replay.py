"""Prove a bundle on the machine at hand, without torch: its golden picture through every engine it has."""

import importlib.util
import os
from collections.abc import Mapping

from pocketdet.runtime.bundle import Bundle, load_bundle
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.options import DetectorOptions, EngineName
from pocketdet.runtime.parity import Check
from pocketdet.runtime.report import ImageReport, VerifyReport
from pocketdet.runtime.stages import StageValues, compare_stages, golden_stages

GOLDEN = "golden"


def replay(path: str | os.PathLike[str]) -> VerifyReport:
    """Replay the golden picture of the bundle at `path` against the PyTorch stages stored with it.

    Raises `BundleError`, `GraphError` or `EngineError` if the bundle cannot be loaded or run.
    """
    with load_bundle(path) as bundle:
        checks = compare_engines(golden_stages(bundle), make_detectors(bundle))
        return VerifyReport(str(path), (ImageReport(GOLDEN, checks),))


def make_detectors(bundle: Bundle) -> dict[str, Detector]:
    """A detector per engine that this bundle and this machine have; always ncnn."""
    has_onnx = bundle.manifest.has_onnx and importlib.util.find_spec("onnxruntime")
    engines: list[EngineName] = ["onnxruntime", "ncnn"] if has_onnx else ["ncnn"]
    return {e: Detector(bundle, DetectorOptions(engine=e)) for e in engines}


def compare_engines(reference: StageValues, detectors: Mapping[str, Detector]) -> dict[str, list[Check]]:
    """The stage checks of one picture, by engine."""
    return {name: compare_stages(reference, detector) for name, detector in detectors.items()}
