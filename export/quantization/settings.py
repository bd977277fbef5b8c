"""The settings of the quantization."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from pocketdet.errors import UsageError

Array = NDArray[np.float32]
Item = Mapping[str, Array]
Method = Literal["min-max", "mse"]

METHODS: Final[tuple[Method, ...]] = ("min-max", "mse")


@dataclass(frozen=True)
class QuantizeSettings:
    """How to quantize a graph.

    Attributes:
        method: how the range of an activation is found; "best" tries all methods and takes the one with the
            smallest error of the outputs.
        depthwise: whether depthwise convolutions are quantized, too. That costs accuracy, and on x86 ncnn's
            int8 kernels for them are slower than its fp32 ones.
        equalise: whether tensors are equalised; None measures both and takes the better one.
        max_output_error: the largest error of a region of an output, |int8 - fp32| / |fp32| in the Euclidean
            norm over all held-out items; None sets no limit.
        max_metric: the largest value of the metric; None without a metric.
        exclude: names of layers that stay in fp32.
        held_out: the largest number of items to measure errors on instead of calibrating.
        workers: processes that share the items while ranges are observed; the result is the same.

    Raises:
        UsageError: if a value is out of range.
    """

    method: Method | Literal["best"] = "best"
    depthwise: bool = False
    equalise: bool | None = None
    max_output_error: float | None = None
    max_metric: float | None = None
    exclude: tuple[str, ...] = ()
    held_out: int = 16
    workers: int = 1

    def __post_init__(self) -> None:
        if self.method not in (*METHODS, "best"):
            raise UsageError(f"method must be one of {(*METHODS, 'best')}, found {self.method!r}")
        for name in ("max_output_error", "max_metric"):
            value = getattr(self, name)
            if value is not None and not np.isfinite(value):
                raise UsageError(f"{name} must be a finite number, found {value}")
        if self.max_output_error is not None and self.max_output_error < 0:
            raise UsageError(f"max_output_error must not be negative, found {self.max_output_error}")
        for name in ("held_out", "workers"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1, found {getattr(self, name)}")
