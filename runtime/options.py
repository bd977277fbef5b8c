"""Options of `Detector`."""

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from pocketdet.errors import UsageError
from pocketdet.runtime.bundle.schema import SizeChoice
from pocketdet.runtime.precision import ARITHMETICS, Arithmetic

EngineName = Literal["native", "ncnn", "onnxruntime"]
ENGINES: Final[tuple[EngineName, ...]] = ("native", "ncnn", "onnxruntime")


@dataclass(frozen=True)
class DetectorOptions:
    """Options of a detector. `None` means the value of the bundle.

    Args:
        engine: the inference engine. "native" is the C++ detector, which runs the whole detector in one call
            and on one thread; "ncnn" and "onnxruntime" run the networks alone. Default: "native" where its
            library is installed or built and `threads` is 1, else "ncnn".
        threads: CPU threads of the networks, 1 to 256. Post-processing uses one thread. Default: 1.
        precision: requested arithmetic of ncnn, in "ncnn" and "native": "fp32", "fp16-storage", "fp16" or
            "bf16-storage". ncnn falls back to fp32 on processors without it; `Detector.precision` is the
            arithmetic in use. onnxruntime always uses fp32.
        score_threshold: minimum score, exclusive, in [0, 1].
        nms: "hard" (greedy NMS), or "linear" or "gaussian" (soft-NMS).
        nms_iou: IoU threshold of NMS in [0, 1].
        rois: number of proposals after the RPN, 1 to 10,000. Two-stage detectors only.
        max_detections: maximum number of detections per image, 1 to 10,000.
        size: one of the bundle's input sizes in pixels, (height, width) or the side of a square.

    Raises:
        UsageError: for a value out of range.
    """

    engine: EngineName | None = None
    threads: int = 1
    precision: Arithmetic | None = None
    score_threshold: float | None = None
    nms: Literal["hard", "linear", "gaussian"] | None = None
    nms_iou: float | None = None
    rois: int | None = None
    max_detections: int | None = None
    size: SizeChoice | None = None

    def __post_init__(self) -> None:
        if self.engine is not None:
            _one_of("engine", self.engine, ENGINES)
        if self.precision is not None:
            _one_of("precision", self.precision, ARITHMETICS)
        if self.nms is not None:
            _one_of("nms", self.nms, ("hard", "linear", "gaussian"))
        _within("threads", self.threads, 1, 256, whole=True)
        for name, share in (("score_threshold", self.score_threshold), ("nms_iou", self.nms_iou)):
            if share is not None:
                _within(name, share, 0, 1, whole=False)
        for name, count in (("rois", self.rois), ("max_detections", self.max_detections)):
            if count is not None:
                _within(name, count, 1, 10_000, whole=True)
        if self.size is not None:
            _check_size(self.size)

    def selection(self) -> dict[str, Any]:
        """Return the overrides of the manifest's post-processing by field name."""
        chosen = {
            "score_threshold": self.score_threshold,
            "nms": self.nms,
            "nms_iou": self.nms_iou,
            "max_detections": self.max_detections,
        }
        return {name: value for name, value in chosen.items() if value is not None}


def _one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UsageError(f"{name}={value!r}: expected one of {', '.join(allowed)}")


def _check_size(value: object) -> None:
    sides = value if isinstance(value, tuple) else (value, value)
    if len(sides) != 2 or any(type(side) is not int for side in sides):
        raise UsageError(f"size={value!r}: expected a side in pixels or (height, width)")


def _within(name: str, value: object, low: int, high: int, *, whole: bool) -> None:
    kinds = (int, np.integer) if whole else (int, np.integer, float, np.floating)
    # bool is a subclass of int; NaN fails the comparison
    if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
        raise UsageError(f"{name}={value!r}: expected a {'whole ' * whole}number from {low} to {high}")
