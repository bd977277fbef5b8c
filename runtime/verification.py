"""Verification of a bundle: its stages and layers against PyTorch values, and the report.

Each stage receives the inputs of the reference, so that it does not inherit the error of the stage before:
the first failing row is the stage that is wrong. The last row runs the whole detector from the image. The
reference is PyTorch, either live or stored in the bundle as golden values.
"""

import importlib.util
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pocketdet.errors import BundleError
from pocketdet.runtime.bundle import Bundle, load_bundle
from pocketdet.runtime.bundle.schema import SizeChoice
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.options import DetectorOptions, EngineName
from pocketdet.runtime.parity import (
    TOLERANCES,
    Check,
    StageValues,
    Tolerances,
    compare,
    compare_detections,
    tolerances_of,
)
from pocketdet.runtime.pipeline import Stopwatch

__all__ = [
    "GOLDEN",
    "PYTORCH",
    "TOLERANCES",
    "ImageReport",
    "LayerCheck",
    "StageValues",
    "Tolerances",
    "VerifyReport",
    "compare_detections",
    "compare_engines",
    "compare_stages",
    "golden_checks",
    "golden_stages",
    "image_rows",
    "make_detectors",
    "name_at",
    "open_sizes",
    "replay",
    "tolerances_for",
]

GOLDEN: Final = "golden"
PYTORCH: Final = "pytorch"


@dataclass(frozen=True)
class LayerCheck:
    """The check of one blob of an ncnn graph. `source` is its PyTorch module, `None` if export found none."""

    graph: str
    layer: str
    layer_type: str
    blob: str
    source: str | None
    check: Check | None

    @property
    def ok(self) -> bool:
        """Whether the blob agrees or has no PyTorch value to compare with."""
        return self.check is None or self.check.ok

    def to_json(self) -> dict[str, Any]:
        """Return JSON-compatible values."""
        return {
            "graph": self.graph,
            "layer": self.layer,
            "type": self.layer_type,
            "blob": self.blob,
            "source": self.source,
            "check": self.check.to_json() if self.check else None,
        }

    def __str__(self) -> str:
        verdict = str(self.check) if self.check else f"-[ ] {self.blob}: no PyTorch value to compare with"
        return f"{verdict}  {self.layer_type} {self.layer!r} <- {self.source}"


@dataclass(frozen=True)
class ImageReport:
    """The checks of one image, in stage order, by subject ("pytorch", "onnxruntime", "ncnn")."""

    image: str
    checks: Mapping[str, Sequence[Check]]


@dataclass(frozen=True)
class VerifyReport:
    """The report of a verification.

    Attributes:
        bundle: path of the bundle.
        images: checks of each image.
        layers: checks of each layer, if layers were compared.
        overflows: one sentence per layer that overflows in the bundle's half precision on the compared
            images.
        costs: one line per output about the effect of rounded weights.
    """

    bundle: str
    images: Sequence[ImageReport]
    layers: Sequence[LayerCheck] = field(default_factory=tuple)
    overflows: Sequence[str] = field(default_factory=tuple)
    costs: Sequence[str] = field(default_factory=tuple)

    @property
    def ok(self) -> bool:
        """Whether all checks pass and nothing overflows."""
        return self.first_stage is None and self.first_layer is None and not self.overflows

    @property
    def first_stage(self) -> str | None:
        """The first stage out of tolerance, with its subject and image."""
        found = (
            f"{check.name} ({subject}, {part.image})"
            for part in self.images
            for subject, checks in part.checks.items()
            for check in checks
            if not check.ok
        )
        return next(found, None)

    @property
    def not_proved(self) -> list[str]:
        """The stages that had nothing to compare, each with its subject and image. They do not fail."""
        return [
            f"{check.name} ({subject}, {part.image})"
            for part in self.images
            for subject, checks in part.checks.items()
            for check in checks
            if check.ok and not check.proved
        ]

    @property
    def first_layer(self) -> LayerCheck | None:
        """The first ncnn layer out of tolerance."""
        return next((row for row in self.layers if not row.ok), None)

    def to_json(self) -> dict[str, Any]:
        """Return JSON-compatible values."""
        stage, layer = self.first_stage, self.first_layer
        return {
            "bundle": self.bundle,
            "ok": self.ok,
            "first_stage": stage,
            "first_layer": layer.layer if layer else None,
            "not_proved": self.not_proved,
            "images": [
                {"image": i.image, "subjects": {s: [c.to_json() for c in cs] for s, cs in i.checks.items()}}
                for i in self.images
            ],
            "layers": [row.to_json() for row in self.layers],
            "overflows": list(self.overflows),
            "costs": list(self.costs),
        }


def replay(path: str | os.PathLike[str], size: SizeChoice | None = None) -> VerifyReport:
    """Compare the golden images of a bundle with their stored PyTorch stages on every available engine.

    Does not need torch.

    Args:
        path: a bundle folder or zip file.
        size: the input size to check, as in `load_bundle`. Default: all of them.

    Returns:
        The report with one `ImageReport` for each input size.

    Raises:
        BundleError, GraphError, EngineError, UsageError: if the bundle cannot be loaded or run.
    """
    reports = []
    for bundle in open_sizes(path, size):
        checks = golden_checks(bundle, make_detectors(bundle))
        reports.append(ImageReport(name_at(GOLDEN, bundle), checks))
    return VerifyReport(str(path), tuple(reports))


def open_sizes(path: str | os.PathLike[str], size: SizeChoice | None = None) -> Iterator[Bundle]:
    """Yield a bundle at each of its input sizes, the default one first, or at `size` alone.

    Each is closed when the next one is asked for. Raises what `load_bundle` raises.
    """
    with load_bundle(path, size) as bundle:
        yield bundle
        others = () if size is not None else bundle.sizes[1:]
    for other in others:
        with load_bundle(path, (other.height, other.width)) as bundle:
            yield bundle


def name_at(name: str, bundle: Bundle) -> str:
    """Return the name of an image in a report, with the input size if it is not the bundle's default."""
    size = bundle.manifest.input
    return name if size == bundle.sizes[0] else f"{name} at {size}"


def golden_checks(bundle: Bundle, detectors: Mapping[str, Detector]) -> dict[str, list[Check]]:
    """Compare detectors of a bundle with its golden stages, at the score threshold that made them.

    Raises:
        BundleError: if a golden stage is missing, unreadable or inconsistent.
        ImageError: if the golden image cannot be read.
        EngineError: if an engine fails.
    """
    threshold = bundle.manifest.golden.score_threshold
    return compare_engines(golden_stages(bundle), detectors, score_threshold=threshold)


def make_detectors(bundle: Bundle) -> dict[str, Detector]:
    """Return a detector per available engine: ncnn, and onnxruntime if installed and the bundle has ONNX."""
    has_onnx = bundle.manifest.has_onnx and importlib.util.find_spec("onnxruntime")
    engines: list[EngineName] = ["onnxruntime", "ncnn"] if has_onnx else ["ncnn"]
    return {e: Detector(bundle, DetectorOptions(engine=e)) for e in engines}


def compare_engines(
    reference: StageValues, detectors: Mapping[str, Detector], *, score_threshold: float | None = None
) -> dict[str, list[Check]]:
    """Return the stage checks of one image by engine; see `compare_stages`."""
    return {
        name: compare_stages(reference, detector, score_threshold=score_threshold)
        for name, detector in detectors.items()
    }


def golden_stages(bundle: Bundle) -> StageValues:
    """Read the golden stages of a bundle and validate their names, types and shapes.

    Raises:
        BundleError: if a stage is missing, unreadable or inconsistent.
        ImageError: if the golden image cannot be read.
    """
    values, wanted = bundle.golden(), bundle.manifest.golden_stages()
    sizes: dict[str, int] = {}
    for name, (kind, shape) in wanted.items():
        array = values.get(name)
        fits = array is not None and array.dtype == kind and array.ndim == len(shape)
        if array is not None and fits:
            for axis, length in zip(shape, array.shape, strict=True):
                known = sizes.setdefault(axis, length) if isinstance(axis, str) else axis
                fits = fits and known == length
        if not fits:
            axes = ", ".join(
                f"{a}={sizes[a]}" if isinstance(a, str) and a in sizes else str(a) for a in shape
            )
            found = "nothing" if array is None else f"{array.dtype} {array.shape}"
            raise BundleError(
                f"{bundle.source}: golden stage {name!r}: expected {kind} ({axes}), found {found}"
            )
    return {name: values[name] for name in wanted}


def compare_stages(
    reference: StageValues, detector: Detector, *, score_threshold: float | None = None
) -> list[Check]:
    """Compare all stages of one image with a reference.

    Args:
        reference: all stages by name, as `golden_stages` or the exporter's PyTorch reference returns them,
            computed with the thresholds of the manifest.
        detector: the detector to check.
        score_threshold: the score threshold that the reference was computed with, if it is not the
            detector's.

    Returns:
        One check per stage in execution order, then one of the whole detector.

    Raises:
        EngineError: if the engine fails.
    """
    p, tol = detector.pipeline_at(score_threshold), tolerances_for(detector)
    image = np.ascontiguousarray(reference["image"])
    checks = [
        compare("decode", reference["image_rows"], image_rows(image)),
        compare("resize", reference["resized"], p.resize(image)),
        compare("normalise", reference["normalised"], p.preprocess(image)),
        *p.compare(reference, tol),
    ]
    return [*checks, compare_detections("image to boxes", reference, p.run(image, Stopwatch()), tol)]


def image_rows(image: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the sums (H, 3) over the columns of an image (H, W, 3)."""
    return np.asarray(image.sum(axis=1, dtype=np.int64))


def tolerances_for(detector: Detector) -> Tolerances:
    """Return the tolerances for the arithmetic that the detector uses."""
    return tolerances_of(detector.runs_in)
