"""Stage-by-stage parity: each stage is fed the reference's own inputs, so that only its own error shows.

`StageValues` holds every intermediate array of one image by name. PyTorch makes the reference (live, or
stored in the bundle as golden); a `Detector` is the subject. Because no stage inherits the error of the one
before, the first failing row names the stage at fault. The last row runs the whole detector from the image.
"""

import numpy as np
from numpy.typing import NDArray

from pocketdet.errors import BundleError
from pocketdet.runtime.agreement import compare_detections
from pocketdet.runtime.bundle import Bundle
from pocketdet.runtime.detector import Detector
from pocketdet.runtime.parity import Check, StageValues, compare
from pocketdet.runtime.pipeline import Boxes
from pocketdet.runtime.tolerances import TOLERANCES, Tolerances, tolerances_of

__all__ = [
    "TOLERANCES",
    "StageValues",
    "Tolerances",
    "compare_detections",
    "compare_stages",
    "golden_stages",
    "image_rows",
    "tolerances_for",
]


def golden_stages(bundle: Bundle) -> StageValues:
    """The stored reference of a bundle, complete and of types and shapes that fit together.

    Raises `BundleError` if it is not, or cannot be read; `ImageError` if its picture cannot.
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


def compare_stages(reference: StageValues, detector: Detector) -> list[Check]:
    """One check per stage of one image, in the order of the stages.

    `reference` holds every stage, as `golden_stages` or the exporter's torch reference give it; it must have
    been made with the manifest's own thresholds. Raises `EngineError` if the engine fails.
    """
    p, tol = detector.pipeline, tolerances_for(detector)
    image = np.ascontiguousarray(reference["image"])
    checks = [
        compare("decode", reference["image_rows"], image_rows(image)),
        compare("resize", reference["resized"], p.resize(image)),
        compare("normalise", reference["normalised"], p.preprocess(image)),
        *p.compare(reference, tol),
    ]
    whole = detector.detect(image)
    found = Boxes(whole.boxes, whole.scores, whole.labels)
    return [*checks, compare_detections("image to boxes", reference, found, tol)]


def image_rows(image: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Sums (H, 3) over the columns of a picture (H, W, 3)."""
    return np.asarray(image.sum(axis=1, dtype=np.int64))


def tolerances_for(detector: Detector) -> Tolerances:
    """By what really computes the detector's networks."""
    return tolerances_of(detector.runs_in)
