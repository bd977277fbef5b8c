"""Differences between two detectors that rounding explains.

Of two proposals with almost equal scores or overlaps, rounding decides which one is kept, and another
processor decides differently. All stages before and after that choice are compared without it.
"""

import numpy as np
import pytest
from numpy.typing import NDArray

from pocketdet.runtime.detector import Detector
from pocketdet.runtime.parity import StageValues, match_detections
from pocketdet.runtime.pipeline import Boxes
from pocketdet.runtime.verification import TOLERANCES

ROUNDING = 1e-5  # of the largest value of a map
RUNS = 16


def unexplained_differences(
    reference: StageValues, found: Boxes, detector: Detector, image: NDArray[np.uint8]
) -> list[str]:
    """List the detections that one side lacks although no rounding of the feature maps decides about them.

    Args:
        reference: reference values with "boxes" (N, 4), "scores" (N,) and "labels" (N,).
        found: what `detector` found in `image`.
        detector: a two-stage detector. Its feature maps are changed by noise of `ROUNDING`, `RUNS` times.
        image: RGB (H, W, 3).

    Returns:
        One line for each detection of the reference that no run finds, and for each detection of `found`
        that the reference lacks and every run finds.
    """
    tol = TOLERANCES["fp32"]
    ours, theirs = match_detections(reference, found, tol)
    lost = sorted(set(range(len(reference["scores"]))) - set(ours.tolist()))
    extra = sorted(set(range(len(found.scores))) - set(theirs.tolist()))
    if not lost and not extra:
        return []
    runs = _runs_with_noise(detector, image)
    wanted = {name: reference[name][lost] for name in ("boxes", "scores", "labels")}
    added = {name: getattr(found, name)[extra] for name in ("boxes", "scores", "labels")}
    seen = {int(i) for run in runs for i in match_detections(wanted, run, tol)[0]}
    stable = set(range(len(extra))).intersection(
        *({int(i) for i in match_detections(added, run, tol)[0]} for run in runs)
    )
    return [f"lost: {reference['boxes'][i]}" for n, i in enumerate(lost) if n not in seen] + [
        f"extra: {found.boxes[i]}" for n, i in enumerate(extra) if n in stable
    ]


def _runs_with_noise(detector: Detector, image: NDArray[np.uint8]) -> list[Boxes]:
    exact, rng = detector.pipeline.features, np.random.default_rng(0)  # type: ignore[attr-defined]

    def rounded(tensor: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        maps = exact(tensor)
        return {
            role: (v + rng.normal(0, ROUNDING * np.abs(v).max(), v.shape)).astype(np.float32)
            for role, v in maps.items()
        }

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detector.pipeline, "features", rounded)
        runs = [detector.detect(image) for _ in range(RUNS)]
    return [Boxes(run.boxes, run.scores, run.labels) for run in runs]
