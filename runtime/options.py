"""What a caller of `Detector` may choose."""

from dataclasses import dataclass
from typing import Literal

from pocketdet.errors import UsageError

EngineName = Literal["ncnn", "onnxruntime"]
Precision = Literal["fp32", "fp16"]


@dataclass(frozen=True)
class DetectorOptions:
    """Options of a detector; `None` means what the bundle's manifest says.

    engine: what runs the networks. threads: CPU threads of the networks (post-processing uses one).
    precision: arithmetic asked of the engine; `Detector.precision` tells what it uses.
    score_threshold and nms_iou are in [0, 1]; rois is the number of proposals kept (200 in ThunderNet);
    nms is greedy ("hard") or soft-NMS with linear or gaussian decay.
    Raises `UsageError` for a value out of its range.
    """

    engine: EngineName = "ncnn"
    threads: int = 1
    precision: Precision = "fp32"
    score_threshold: float | None = None
    nms: Literal["hard", "linear", "gaussian"] | None = None
    nms_iou: float | None = None
    rois: int | None = None
    max_detections: int | None = None

    def __post_init__(self) -> None:
        _one_of("engine", self.engine, ("ncnn", "onnxruntime"))
        _one_of("precision", self.precision, ("fp32", "fp16"))
        if self.nms is not None:
            _one_of("nms", self.nms, ("hard", "linear", "gaussian"))
        _within("threads", self.threads, 1, 256)
        _within("score_threshold", self.score_threshold, 0, 1)
        _within("nms_iou", self.nms_iou, 0, 1)
        _within("rois", self.rois, 1, 10_000)
        _within("max_detections", self.max_detections, 1, 10_000)


def _one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UsageError(f"{name}={value!r}: expected one of {', '.join(allowed)}")


def _within(name: str, value: float | None, low: float, high: float) -> None:
    if value is not None and not low <= value <= high:
        raise UsageError(f"{name}={value!r}: expected a number from {low} to {high}")
