"""How far a subject may be from PyTorch, by what it computes in."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from pocketdet.runtime.precision import Arithmetic, Precision


@dataclass(frozen=True)
class Tolerances:
    """How far a subject may be from PyTorch.

    features, head, outputs (of a one-stage detector) and roi_features are relative to the largest value of
    the reference; least_snr_db bounds the noise in features, head and outputs. `lost` is the share of
    detections that may be without a partner: rounding moves a few across a threshold or past an NMS.
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
        """For the outputs of a graph, relative to the largest value of each."""
        return {"features": self.features, "head": self.head, "model": self.outputs}[name]


# By what a number of the type may be off, over the 60 layers of a detector. The trained SNet49 needs a sixth
# to a fifth of each on emulated ARM processors (docs/explanation/precision.md). fp32: order of additions.
# fp16-storage: blobs are rounded to 11 binary digits, sums are not. fp16: sums are rounded, too, at each
# addition. bf16-storage: blobs have 8 digits. int8: activations have 7, within one scale for a whole blob: a
# single value may be far off, so the noise of all together is bounded, to a fifth of the signal. Outputs of
# one-stage detectors get ten times as much of fp32: a deformable convolution multiplies what its offsets are
# off by with the slope of the map (MimicDet with calibrated random weights: folding alone changes 1.7e-4).
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
    """By the arithmetic in use. That weights are halves is part of the reference that a bundle carries; that
    they are int8 is not, for activations are rounded too.
    """
    return TOLERANCES["int8" if runs_in.storage == "int8" else runs_in.arithmetic]
