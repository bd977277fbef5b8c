"""Whether two sets of detections are one."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pocketdet.runtime.parity import Check, StageValues, compare
from pocketdet.runtime.pipeline import Boxes
from pocketdet.runtime.tolerances import Tolerances


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
