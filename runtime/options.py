"""What a caller of `Detector` may choose."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from pocketdet.errors import UsageError
from pocketdet.runtime.precision import ARITHMETICS, Arithmetic

EngineName = Literal["ncnn", "onnxruntime"]


@dataclass(frozen=True)
class DetectorOptions:
    """Options of a detector; `None` means what the bundle's manifest says.

    engine: what runs the networks. threads: CPU threads of the networks (post-processing uses one).
    precision: arithmetic asked of ncnn, by default what the bundle was made for; `Detector.precision` tells
    what runs on this processor. onnxruntime computes in fp32.
    score_threshold and nms_iou are in [0, 1]; rois is the number of proposals kept (200 in ThunderNet), which
    one-stage detectors do not have; nms is greedy ("hard") or soft-NMS with linear or gaussian decay.
    Raises `UsageError` for a value out of its range.
    """

    engine: EngineName = "ncnn"
    threads: int = 1
    precision: Arithmetic | None = None
    score_threshold: float | None = None
    nms: Literal["hard", "linear", "gaussian"] | None = None
    nms_iou: float | None = None
    rois: int | None = None
    max_detections: int | None = None

    def __post_init__(self) -> None:
        _one_of("engine", self.engine, ("ncnn", "onnxruntime"))
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

    def selection(self) -> dict[str, Any]:
        """What is to replace the manifest's rules on which boxes become detections, by their field names."""
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


def _within(name: str, value: object, low: int, high: int, *, whole: bool) -> None:
    kinds = (int, np.integer) if whole else (int, np.integer, float, np.floating)
    # True and False are integers to Python, not to a reader of this option; NaN is in no range
    if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
        raise UsageError(f"{name}={value!r}: expected a {'whole ' * whole}number from {low} to {high}")
