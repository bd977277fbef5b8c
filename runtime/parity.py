"""Comparison of a detector's values with those of a reference: arrays, sets of detections, tolerances."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any, Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from pocketdet.runtime.precision import Arithmetic, Precision

NOTHING_DETECTED: Final = "nothing detected: not proved"

# all intermediate arrays of one image by stage name
StageValues = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Check:
    """The result of one comparison of a subject with a reference.

    A subject fails if its largest absolute difference exceeds `tolerance`, if its shape differs, or if its
    NaN and infinite values are not exactly those of the reference.

    Attributes:
        name: what was compared.
        shape: shape of the subject.
        max_abs: largest absolute difference.
        snr_db: 10 log10(sum ref^2 / sum diff^2); `None` if nothing differs.
        cosine: cosine similarity in [-1, 1].
        tolerance: absolute limit of `max_abs`.
        ok: whether the comparison passed.
        note: details of a failure.
        proved: whether there was anything to compare. An empty comparison passes and proves nothing.
    """

    name: str
    shape: tuple[int, ...]
    max_abs: float
    snr_db: float | None
    cosine: float
    tolerance: float
    ok: bool
    note: str = ""
    proved: bool = True

    @property
    def mark(self) -> str:
        """A tick, "x" if the comparison failed, "?" if there was nothing to compare."""
        return ("✓" if self.proved else "?") if self.ok else "x"

    def __str__(self) -> str:
        figures = f"max abs {self.max_abs:.1e} (tolerance {self.tolerance:.0e})"
        return f"-[{self.mark}] {self.name} {self.shape} {figures}" + (f": {self.note}" if self.note else "")

    def to_json(self) -> dict[str, Any]:
        """Return JSON-compatible values; an infinite difference becomes `None`."""
        record = asdict(self)
        record["max_abs"] = self.max_abs if np.isfinite(self.max_abs) else None
        return record


@dataclass(frozen=True)
class ValueRange:
    """What the values of an array mean for its tolerance.

    Attributes:
        least: least range that a relative tolerance refers to, in units of the values.
        matters: of probabilities, the least that matters; `None` for other values. Elements that are below it
            in both arrays do not count in the signal-to-noise ratio.
    """

    least: float = 0.0
    matters: float | None = None

    def of(self, largest: float) -> float:
        """Return the range of values up to `largest`.

        Of probabilities up to p it is `p * max(1, -ln p)`: an error of the logit changes ln p by as much at
        most, and the range of the logit is -ln p.
        """
        found = max(largest, self.least)
        return found if self.matters is None or found <= 0 else found * max(1.0, -math.log(found))


EXACT_RANGE: Final = ValueRange()
"""The range of an array is its largest value."""


def compare(
    name: str,
    reference: NDArray[Any],
    subject: NDArray[Any],
    *,
    relative: float = 0.0,
    absolute: float = 0.0,
    least_snr_db: float | None = None,
    values: ValueRange = EXACT_RANGE,
) -> Check:
    """Compare an array with a reference.

    The tolerance is `absolute + relative * values.of(max|reference|)`; by default the range is the largest
    value. Arrays without a finite value agree, but nothing is proved.

    Args:
        name: name of the check.
        reference: expected values, float32 or integers.
        subject: values to check.
        relative: relative part of the tolerance.
        absolute: absolute part of the tolerance. If both are 0, the arrays must be equal.
        least_snr_db: minimum signal-to-noise ratio in dB, for subjects with coarsely rounded values.
        values: what the values mean for the tolerance.

    Returns:
        The check; a different shape fails it.
    """
    if reference.shape != subject.shape:
        note = f"expected shape {reference.shape}, found {subject.shape}"
        return Check(name, tuple(subject.shape), float("inf"), None, 0.0, absolute, False, note)
    ref, sub = reference.astype(np.float64).ravel(), subject.astype(np.float64).ravel()
    finite = np.isfinite(ref) & np.isfinite(sub)
    if not np.array_equal(ref[~finite], sub[~finite], equal_nan=True):
        wrong, expected = (int(np.count_nonzero(~np.isfinite(a))) for a in (sub, ref))
        note = f"{wrong} values are NaN or infinite, expected {expected}"
        return Check(name, tuple(subject.shape), float("inf"), None, 0.0, absolute, False, note)
    ref, sub = ref[finite], sub[finite]
    diff = sub - ref
    max_abs = float(np.abs(diff).max(initial=0.0))
    tolerance = absolute + relative * values.of(float(np.abs(ref).max(initial=0.0)))
    if values.matters is None:
        noise, signal = float(diff @ diff), float(ref @ ref)
    else:
        counts = np.maximum(ref, sub) >= values.matters
        noise, signal = (float(x @ x) for x in (diff[counts], ref[counts]))
    # the floor and the difference of logarithms keep it finite if the reference is all zeros
    snr = None if noise == 0 else 10 * float(np.log10(max(signal, 1e-300)) - np.log10(noise))
    norms = float(np.linalg.norm(ref) * np.linalg.norm(sub))
    cosine = float(ref @ sub) / norms if norms > 0 else float(max_abs == 0)
    noisy = least_snr_db is not None and snr is not None and snr < least_snr_db
    note = f"SNR {snr:.1f} dB, expected {least_snr_db:g} or more" if noisy else ""
    ok = max_abs <= tolerance and not noisy
    return Check(name, tuple(subject.shape), max_abs, snr, cosine, tolerance, ok, note, proved=ref.size > 0)


@dataclass(frozen=True)
class Tolerances:
    """Tolerances of a comparison with PyTorch.

    Attributes:
        features: of the features graph, relative to the largest value of the reference.
        head: of the head graph, likewise.
        outputs: of a one-stage graph, likewise.
        box_pixels: of box coordinates in pixels.
        score: of scores.
        lost: share of detections that may be unmatched, because rounding moves scores across a threshold.
        roi_features: of RoI features, relative to the largest value of the reference.
        proposal_pixels: of proposals in pixels.
        least_snr_db: minimum signal-to-noise ratio of features, head and outputs in dB.
    """

    features: float
    head: float
    outputs: float
    box_pixels: float
    score: float
    lost: float
    roi_features: float = 1e-5
    proposal_pixels: float = 1e-3
    least_snr_db: float | None = None

    def of_graph(self, name: str) -> float:
        """Return the tolerance of a graph's outputs, relative to the largest value of each."""
        return {"features": self.features, "head": self.head, "model": self.outputs}[name]


# Rounding errors over the 60 layers of a detector. The trained SNet49 uses a sixth to a fifth of each
# tolerance on emulated ARM processors (docs/explanation/precision.md). fp32: order of additions.
# fp16-storage: blobs are rounded to 11 bits, sums are not. fp16: every addition is rounded too. bf16-storage:
# blobs have 8 bits. int8: activations have 7 bits and one scale per blob, so single values may differ much;
# the total noise is limited to a fifth of the signal. One-stage outputs get ten times the fp32 tolerance,
# because a deformable convolution multiplies the error of its offsets by the slope of the map (MimicDet:
# folding alone changes 1.7e-4).
TOLERANCES: Mapping[Arithmetic | Literal["int8"], Tolerances] = MappingProxyType(
    {
        "fp32": Tolerances(features=1e-4, head=1e-4, outputs=1e-3, box_pixels=0.1, score=1e-3, lost=0.0),
        "fp16-storage": Tolerances(
            features=1e-2, head=1e-2, outputs=1e-2, box_pixels=4.0, score=5e-2, lost=0.2
        ),
        "fp16": Tolerances(features=3e-2, head=3e-2, outputs=3e-2, box_pixels=4.0, score=5e-2, lost=0.2),
        "bf16-storage": Tolerances(
            features=5e-2, head=5e-2, outputs=5e-2, box_pixels=8.0, score=1e-1, lost=0.3
        ),
        "int8": Tolerances(
            features=1.0, head=1.0, outputs=1.0, box_pixels=8.0, score=2e-1, lost=0.4, least_snr_db=14.0
        ),
    }
)


def tolerances_of(runs_in: Precision) -> Tolerances:
    """Return the tolerances for the arithmetic in use.

    The reference of a bundle already has fp16-rounded weights. It does not have int8 rounding, because int8
    also rounds activations.
    """
    return TOLERANCES["int8" if runs_in.storage == "int8" else runs_in.arithmetic]


class DetectionArrays(Protocol):
    """Detections of one image, such as `Detections`."""

    @property
    def boxes(self) -> NDArray[Any]:
        """(N, 4) `(x1, y1, x2, y2)` in pixels, best first."""
        ...

    @property
    def scores(self) -> NDArray[Any]:
        """(N,) in [0, 1]."""
        ...

    @property
    def labels(self) -> NDArray[Any]:
        """(N,) class indices from 0."""
        ...


def compare_detections(name: str, reference: StageValues, found: DetectionArrays, tol: Tolerances) -> Check:
    """Compare two sets of detections: equal labels, boxes and scores within tolerance.

    Args:
        name: name of the check.
        reference: reference values with "boxes" (N, 4), "scores" (N,) and "labels" (N,).
        found: detections to check.
        tol: tolerances; `lost` is the permitted share of unmatched detections.

    Returns:
        The check. `max_abs` is the largest box difference in pixels among matched detections.
    """
    ours, theirs = match_detections(reference, found, tol)
    check = compare(name, reference["boxes"][ours], found.boxes[theirs], absolute=tol.box_pixels)
    total, agreed = max(len(reference["scores"]), len(found.scores)), len(ours)
    ok = check.ok and total - agreed <= tol.lost * total
    note = f"{agreed}/{total} agree" if total else NOTHING_DETECTED
    return replace(check, ok=ok, note=note, proved=total > 0)


def match_detections(
    reference: StageValues, found: DetectionArrays, tol: Tolerances
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Match each reference detection with the nearest unused one within tolerance; return both indices."""
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
