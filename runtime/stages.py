"""Stage-by-stage parity: each stage is fed the reference's own inputs, so that only its own error shows.

`StageValues` holds every intermediate array of one image by name. PyTorch makes the reference (live, or
stored in the bundle as golden); a `Detector` is the subject. Because no stage inherits the error of the one
before, the first failing row names the stage at fault. The last row runs the whole detector from the image.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pocketdet.errors import BundleError
from pocketdet.runtime.bundle import Bundle
from pocketdet.runtime.bundle.schema import Manifest
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.parity import Check, compare
from pocketdet.runtime.pipeline import Boxes
from pocketdet.runtime.precision import Arithmetic

StageValues = Mapping[str, NDArray[Any]]

# name: (type, shape), in the order of the stages. (H, W) is the picture, (h, w) the network input, (y, x) its
# grid of A anchors a cell; R RoIs, N detections. What the manifest does not fix is fixed by its first use.
STAGE_SHAPES: dict[str, tuple[str, tuple[str | int, ...]]] = {
    "image": ("uint8", ("H", "W", 3)),  # RGB, after decoding
    "image_rows": ("int64", ("H", 3)),  # sums over each row: proves the decoder without a second picture
    "resized": ("uint8", ("h", "w", 3)),  # in the network's channel order
    "normalised": ("float32", (3, "h", "w")),
    "rpn_scores": ("float32", ("2A", "y", "x")),
    "rpn_deltas": ("float32", ("4A", "y", "x")),
    "sam": ("float32", ("alpha*p*p", "y", "x")),
    "proposal_indices": ("int32", ("R",)),  # anchors
    "proposal_boxes": ("float32", ("R", 4)),  # network pixels
    "roi_features": ("float32", ("R", "alpha*p*p")),
    "head": ("float32", ("R", "classes+1+4")),
    "boxes": ("float32", ("N", 4)),  # original pixels
    "scores": ("float32", ("N",)),
    "labels": ("int32", ("N",)),
}


@dataclass(frozen=True)
class Tolerances:
    """How far a subject may be from PyTorch.

    features, head and roi_features are relative to the largest value of the reference; least_snr_db bounds
    the noise in features and head. `lost` is the share of detections that may be without a partner: rounding
    moves a few across a threshold or past an NMS.
    """

    features: float
    head: float
    box_pixels: float
    score: float
    lost: float
    roi_features: float = 1e-5
    proposal_pixels: float = 1e-3
    least_snr_db: float | None = None


# By what a number of the type may be off, over the 60 layers of a detector. The trained SNet49 needs a sixth
# to a fifth of each on emulated ARM processors (docs/PRECISION.md). fp32: another order of additions.
# fp16-storage: blobs are rounded to 11 binary digits, sums are not. fp16: sums are rounded, too, at each
# addition. bf16-storage: blobs have 8 digits. int8: activations have 7, within one scale for a whole blob: a
# single value may be far off, so the noise of all together is bounded, to a fifth of the signal.
TOLERANCES: dict[Arithmetic | Literal["int8"], Tolerances] = {
    "fp32": Tolerances(features=1e-4, head=1e-4, box_pixels=0.1, score=1e-3, lost=0.0),
    "fp16-storage": Tolerances(features=1e-2, head=1e-2, box_pixels=4.0, score=5e-2, lost=0.2),
    "fp16": Tolerances(features=3e-2, head=3e-2, box_pixels=4.0, score=5e-2, lost=0.2),
    "bf16-storage": Tolerances(features=5e-2, head=5e-2, box_pixels=8.0, score=1e-1, lost=0.3),
    "int8": Tolerances(features=1.0, head=1.0, box_pixels=8.0, score=2e-1, lost=0.4, least_snr_db=14.0),
}


def golden_stages(bundle: Bundle) -> StageValues:
    """The stored reference of a bundle, complete and of types and shapes that fit together.

    Raises `BundleError` if it is not, or cannot be read; `ImageError` if its picture cannot.
    """
    values = bundle.golden()
    sizes = _sizes(bundle.manifest)
    for name, (kind, shape) in STAGE_SHAPES.items():
        array = values.get(name)
        fits = array is not None and array.dtype == kind and array.ndim == len(shape)
        if array is not None and fits:
            for axis, length in zip(shape, array.shape, strict=True):
                known = sizes.setdefault(axis, length) if isinstance(axis, str) else axis
                fits = fits and known == length
        if not fits:
            wanted = ", ".join(f"{a}={sizes[a]}" if a in sizes else str(a) for a in shape)
            found = "nothing" if array is None else f"{array.dtype} {array.shape}"
            raise BundleError(
                f"{bundle.source}: golden stage {name!r}: expected {kind} ({wanted}), found {found}"
            )
    return {name: values[name] for name in STAGE_SHAPES}


def _sizes(manifest: Manifest) -> dict[str | int, int]:
    """The axes of `STAGE_SHAPES` whose length the manifest fixes."""
    size, stride, per_cell = manifest.input, manifest.anchors.stride, len(manifest.anchors.sizes)
    return {
        "h": size.height,
        "w": size.width,
        "y": size.height // stride,
        "x": size.width // stride,
        "2A": 2 * per_cell,
        "4A": 4 * per_cell,
        "alpha*p*p": manifest.roi_head.alpha * manifest.roi_head.pool_size**2,
        "classes+1+4": len(manifest.class_names) + 1 + 4,
    }


def compare_stages(reference: StageValues, detector: Detector) -> list[Check]:
    """One check per stage of one image, in the order of the stages.

    `reference` holds every stage, as `golden_stages` or the exporter's torch reference give it; it must have
    been made with the manifest's own thresholds. Raises `EngineError` if the engine fails.
    """
    p, tol = detector.pipeline, tolerances_for(detector)
    ref = reference
    image = np.ascontiguousarray(ref["image"])
    checks = [
        compare("decode", ref["image_rows"], image_rows(image)),
        compare("resize", ref["resized"], p.resize(image)),
        compare("normalise", ref["normalised"], p.preprocess(image)),
    ]
    maps = p.features(np.ascontiguousarray(ref["normalised"]))
    checks += [
        compare(
            f"features.{role}", ref[role], maps[role], relative=tol.features, least_snr_db=tol.least_snr_db
        )
        for role in ("rpn_scores", "rpn_deltas", "sam")
    ]
    rois = p.propose(ref["rpn_scores"], ref["rpn_deltas"])
    roi_features = p.roi_features(ref["sam"], ref["proposal_boxes"])
    head = p.head(np.ascontiguousarray(ref["roi_features"]))
    checks += [
        compare("proposals.anchors", ref["proposal_indices"], rois.indices),
        compare("proposals.boxes", ref["proposal_boxes"], rois.boxes, absolute=tol.proposal_pixels),
        compare("roi_features", ref["roi_features"], roi_features, relative=tol.roi_features),
        compare("head", ref["head"], head, relative=tol.head, least_snr_db=tol.least_snr_db),
    ]
    found = p.boxes(ref["head"], ref["proposal_boxes"], (image.shape[0], image.shape[1]))
    checks.append(compare_detections("boxes", ref, found, tol))
    whole = detector.detect(image)
    found = Boxes(whole.boxes, whole.scores, whole.labels)
    checks.append(compare_detections("image to boxes", ref, found, tol))
    return checks


def image_rows(image: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Sums (H, 3) over the columns of a picture (H, W, 3)."""
    return np.asarray(image.sum(axis=1, dtype=np.int64))


def tolerances_for(detector: Detector) -> Tolerances:
    """By the arithmetic in use. That weights are halves is part of the reference that a bundle carries; that
    they are int8 is not, for activations are rounded too.
    """
    runs_in = detector.runs_in
    return TOLERANCES["int8" if runs_in.storage == "int8" else runs_in.arithmetic]


def compare_detections(name: str, reference: StageValues, found: Boxes, tol: Tolerances) -> Check:
    """Whether two sets of detections are one: the same labels, boxes and scores within tolerance.

    `max_abs` is the largest box difference in pixels among the detections that agree.
    """
    ours, theirs = _partners(reference, found, tol)
    check = compare(name, reference["boxes"][ours], found.boxes[theirs], absolute=tol.box_pixels)
    total, agreed = max(len(reference["scores"]), len(found.scores)), len(ours)
    ok = check.ok and total - agreed <= tol.lost * total
    return replace(check, ok=ok, note=f"{agreed}/{total} agree")


def _partners(
    reference: StageValues, found: Boxes, tol: Tolerances
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of each reference detection and of the nearest unused one that agrees with it."""
    free = np.ones(len(found.scores), bool)
    ours, theirs = [], []
    for i, box in enumerate(reference["boxes"]):
        distance = np.abs(found.boxes - box).max(axis=1, initial=0.0)
        agrees = free & (found.labels == reference["labels"][i]) & (distance <= tol.box_pixels)
        agrees &= np.abs(found.scores - reference["scores"][i]) <= tol.score
        if agrees.any():
            nearest = int(np.where(agrees, distance, np.inf).argmin())
            free[nearest] = False
            ours.append(i)
            theirs.append(nearest)
    return np.array(ours, np.int64), np.array(theirs, np.int64)
