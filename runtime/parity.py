"""How far one array is from another, and how far it may be."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# every intermediate array of one picture, by the name of its stage
StageValues = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Check:
    """One comparison: `subject` against `reference`, judged by the largest absolute difference.

    `snr_db` is 10 log10(sum ref^2 / sum diff^2), `None` where nothing differs; `cosine` is in [-1, 1].
    `tolerance` is absolute. A subject with another shape fails, and so does one whose NaN and infinite
    values are not exactly those of the reference.
    """

    name: str
    shape: tuple[int, ...]
    max_abs: float
    snr_db: float | None
    cosine: float
    tolerance: float
    ok: bool
    note: str = ""

    def __str__(self) -> str:
        mark = "✓" if self.ok else "x"
        figures = f"max abs {self.max_abs:.1e} (tolerance {self.tolerance:.0e})"
        return f"-[{mark}] {self.name} {self.shape} {figures}" + (f": {self.note}" if self.note else "")

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON report; an infinite difference becomes `None`."""
        record = asdict(self)
        record["max_abs"] = self.max_abs if np.isfinite(self.max_abs) else None
        return record


def compare(
    name: str,
    reference: NDArray[Any],
    subject: NDArray[Any],
    *,
    relative: float = 0.0,
    absolute: float = 0.0,
    least_snr_db: float | None = None,
) -> Check:
    """Compare two arrays of one shape, float32 or integers.

    The tolerance is `absolute + relative * max|reference|`; 0 and 0 asks for equality. `least_snr_db` bounds
    the power of all differences together, for subjects whose every value is rounded coarsely.
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
    tolerance = absolute + relative * float(np.abs(ref).max(initial=0.0))
    noise, signal = float(diff @ diff), float(ref @ ref)
    # a floor, and logarithms before the quotient, keep it finite where the reference is all zeros
    snr = None if noise == 0 else 10 * float(np.log10(max(signal, 1e-300)) - np.log10(noise))
    norms = float(np.linalg.norm(ref) * np.linalg.norm(sub))
    cosine = float(ref @ sub) / norms if norms > 0 else float(noise == 0)
    noisy = least_snr_db is not None and snr is not None and snr < least_snr_db
    note = f"SNR {snr:.1f} dB, expected {least_snr_db:g} or more" if noisy else ""
    ok = max_abs <= tolerance and not noisy
    return Check(name, tuple(subject.shape), max_abs, snr, cosine, tolerance, ok, note)
