"""What a user may choose about int8."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from pocketdet.errors import UsageError

Array = NDArray[np.float32]
Item = Mapping[str, Array]
Method = Literal["min-max", "kl", "mse"]

METHODS: Final[tuple[Method, ...]] = ("min-max", "kl", "mse")


@dataclass(frozen=True)
class QuantizeSettings:
    """How to quantise a graph.

    method: how the range of an activation is found; "best" tries all and takes the one with the smallest
    error of the outputs. depthwise: quantise depthwise convolutions too; they cost accuracy, and on x86
    ncnn's int8 kernels for them are slower than its fp32 ones. equalise, correct_bias: None measures both
    ways and keeps what helps. max_output_error: the most that any output may differ, as |int8 - fp32| /
    |fp32| in the Euclidean norm over all items held out; None sets no limit. max_judged: the most that a
    judge may say. keep: layers that stay in fp32. held_out: at most so many items are left out of
    calibration, to measure on. correction_items: at most so many items are used to correct biases.

    Raises UsageError for a value that makes no sense.
    """

    method: Method | Literal["best"] = "best"
    depthwise: bool = False
    equalise: bool | None = None
    correct_bias: bool | None = None
    max_output_error: float | None = None
    max_judged: float | None = None
    keep: tuple[str, ...] = ()
    held_out: int = 16
    correction_items: int = 48

    def __post_init__(self) -> None:
        if self.method not in (*METHODS, "best"):
            raise UsageError(f"method must be one of {(*METHODS, 'best')}, found {self.method!r}")
        for name in ("max_output_error", "max_judged"):
            value = getattr(self, name)
            if value is not None and not np.isfinite(value):
                raise UsageError(f"{name} must be a finite number, found {value}")
        if self.max_output_error is not None and self.max_output_error < 0:
            raise UsageError(f"max_output_error must not be negative, found {self.max_output_error}")
        for name in ("held_out", "correction_items"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1, found {getattr(self, name)}")
