"""Prove a bundle: PyTorch against ONNX against ncnn, stage by stage and, on request, layer by layer.

The golden image's reference is stored in the bundle, so it needs no torch weights to be judged; any other
image needs the PyTorch weights, which a bundle carries unless it was exported slim.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketdet.errors import UsageError
from pocketdet.export.compare_layers import LayerCheck, compare_layers
from pocketdet.export.fold_bn import fold_batch_norm
from pocketdet.export.reference import reference_values
from pocketdet.models.checkpoint import load_checkpoint
from pocketdet.models.thundernet import FeaturesGraph, HeadGraph, ThunderNet
from pocketdet.runtime.bundle import Bundle, load_bundle
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.engines.ncnn_engine import NcnnEngine
from pocketdet.runtime.images import read_image
from pocketdet.runtime.options import DetectorOptions, EngineName
from pocketdet.runtime.parity import Check, compare
from pocketdet.runtime.stages import TOLERANCES, StageValues, compare_stages

GOLDEN = "golden"


@dataclass(frozen=True)
class ImageReport:
    """The checks of one image, in stage order, by subject ("pytorch", "onnxruntime", "ncnn")."""

    image: str
    checks: Mapping[str, Sequence[Check]]


@dataclass(frozen=True)
class VerifyReport:
    """Everything that was compared. `ok` is the verdict; the first failure names where trouble begins."""

    bundle: str
    images: Sequence[ImageReport]
    layers: Sequence[LayerCheck] = field(default_factory=tuple)

    @property
    def ok(self) -> bool:
        """Whether every check of every image and layer holds."""
        return self.first_stage is None and self.first_layer is None

    @property
    def first_stage(self) -> Check | None:
        """The first stage out of tolerance."""
        found = (c for i in self.images for checks in i.checks.values() for c in checks)
        return next((c for c in found if not c.ok), None)

    @property
    def first_layer(self) -> LayerCheck | None:
        """The first ncnn layer out of tolerance."""
        return next((row for row in self.layers if not row.ok), None)

    def to_json(self) -> dict[str, Any]:
        """The report as plain values."""
        stage, layer = self.first_stage, self.first_layer
        return {
            "bundle": self.bundle,
            "ok": self.ok,
            "first_stage": stage.name if stage else None,
            "first_layer": layer.layer if layer else None,
            "images": [
                {"image": i.image, "subjects": {s: [c.to_json() for c in cs] for s, cs in i.checks.items()}}
                for i in self.images
            ],
            "layers": [
                {
                    "graph": row.graph,
                    "layer": row.layer,
                    "type": row.layer_type,
                    "blob": row.blob,
                    "source": row.source,
                    "check": row.check.to_json() if row.check else None,
                }
                for row in self.layers
            ],
        }


def verify(
    path: Path, images: Sequence[Path] = (), *, layers: bool = False, weights: Path | None = None
) -> VerifyReport:
    """Replay golden and `images` through every stage of the bundle at `path`.

    `weights` are the PyTorch weights to compare with; by default those in the bundle.
    Raises `UsageError` if `images` or `layers` are asked for and there are no weights.
    """
    with load_bundle(path) as bundle:
        model = _reference_model(bundle, weights)
        if model is None and (images or layers):
            raise UsageError(
                f"{path} carries no PyTorch weights (it was exported slim): name them with --weights FILE, "
                "or verify without --image and --layers"
            )
        detectors = dict(_detectors(bundle))
        golden = bundle.golden()
        reports = [ImageReport(GOLDEN, _compare(golden, detectors, model))]
        for image in images:
            assert model is not None
            values = reference_values(model, read_image(image))
            reports.append(ImageReport(str(image), _compare(values, detectors, None)))
        rows: list[LayerCheck] = []
        if layers:
            assert model is not None
            rows = _layer_rows(bundle, detectors["ncnn"], model, golden)
        return VerifyReport(str(path), tuple(reports), tuple(rows))


def _reference_model(bundle: Bundle, weights: Path | None) -> ThunderNet | None:
    stored = bundle.manifest.reference_weights
    if weights is None and stored is None:
        return None
    path = weights if weights is not None else bundle.path(stored or "")
    manifest = bundle.manifest
    size = (manifest.input.height, manifest.input.width)
    return load_checkpoint(
        path, arch=manifest.architecture, class_names=manifest.class_names, input_size=size
    )


def _detectors(bundle: Bundle) -> Iterator[tuple[str, Detector]]:
    engines: list[EngineName] = ["onnxruntime"] if bundle.manifest.graphs.features.onnx else []
    for engine in [*engines, "ncnn"]:
        yield engine, Detector(bundle, DetectorOptions(engine=engine))


def _compare(
    reference: StageValues, detectors: Mapping[str, Detector], model: ThunderNet | None
) -> dict[str, list[Check]]:
    checks: dict[str, list[Check]] = {}
    if model is not None:
        checks["pytorch"] = _compare_stored(reference, model)
    for name, detector in detectors.items():
        checks[name] = compare_stages(reference, detector, name)
    return checks


def _compare_stored(golden: StageValues, model: ThunderNet) -> list[Check]:
    """Whether today's PyTorch still gives the answers that were stored."""
    image: NDArray[np.uint8] = np.ascontiguousarray(golden["image"])
    live, tol = reference_values(model, image), TOLERANCES["fp32"]
    limits = {"boxes": tol.box_pixels, "proposal_boxes": tol.proposal_pixels}
    return [
        compare(
            f"pytorch {name}",
            golden[name],
            live[name],
            relative=0.0 if name in limits or golden[name].dtype.kind != "f" else tol.features,
            absolute=limits.get(name, 0.0),
        )
        for name in golden
    ]


def _layer_rows(
    bundle: Bundle, detector: Detector, model: ThunderNet, golden: StageValues
) -> list[LayerCheck]:
    assert isinstance(detector.engine, NcnnEngine)
    tol = TOLERANCES[bundle.manifest.layout.weight_storage]
    folded, _ = fold_batch_norm(FeaturesGraph(model))
    image = np.ascontiguousarray(golden["normalised"], np.float32)
    rois = np.ascontiguousarray(golden["roi_features"], np.float32)
    rows = compare_layers(bundle, detector.engine, "features", folded, image, tol.features)
    return rows + compare_layers(bundle, detector.engine, "head", HeadGraph(model).eval(), rois, tol.head)
