"""The settings of the quantization, and its calibration items: validated, some held out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from pocketdet.errors import UsageError
from pocketdet.runtime.ncnn_graph import Shape

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
        slower: names of layers that stay in fp32 because they are predicted to be slower in int8 on ARM.
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
    slower: tuple[str, ...] = ()
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


FEW = 32


@dataclass(frozen=True)
class Items:
    """The items of a calibration.

    Attributes:
        all: every item.
        calibrate: the indices of the items that scales are found on.
        measure: the indices of the items that errors are measured on.
        shapes: each set of input shapes that occurs.
        warnings: for the user.
    """

    all: Sequence[Item]
    calibrate: tuple[int, ...]
    measure: tuple[int, ...]
    shapes: tuple[Mapping[str, Shape], ...]
    warnings: tuple[str, ...]


def take_items(
    calibration: Iterable[Mapping[str, Array]], inputs: Mapping[str, Shape], held_out: int
) -> Items:
    """Validate calibration items and split off those that errors are measured on.

    Args:
        calibration: float32 arrays by input name. A sequence is indexed several times and may create its
            items on demand; any other iterable is kept in memory.
        inputs: the shape of each input; an input with two dimensions may have any number of rows.
        held_out: the largest number of items to measure on; at most a fifth, evenly spaced, is held out.

    Raises:
        UsageError: if there are no items, or an item has a wrong shape or dtype, NaN or infinity; the message
            contains its index.
    """
    items = calibration if isinstance(calibration, Sequence) else list(calibration)
    if not len(items):
        raise UsageError("int8 needs calibration images to find the range of each activation, found none")
    shapes: list[Mapping[str, Shape]] = []
    for index in range(len(items)):
        found = _check(index, items[index], inputs)
        if found not in shapes:
            shapes.append(found)
    count = min(held_out, len(items) // 5)
    measure = tuple(len(items) * (2 * i + 1) // (2 * count) for i in range(count))
    calibrate = tuple(index for index in range(len(items)) if index not in set(measure))
    warnings = []
    if len(items) < FEW:
        warnings.append(
            f"only {len(items)} calibration items: ranges seen in so few are likely too small for others; "
            f"use {FEW} or more"
        )
    if not measure:
        measure = calibrate
        warnings.append("too few calibration items to hold any out: errors are measured on the same items")
    return Items(items, calibrate, measure, tuple(shapes), tuple(warnings))


def _check(index: int, item: Item, inputs: Mapping[str, Shape]) -> dict[str, Shape]:
    """The input shapes of a valid item."""
    if set(item) != set(inputs):
        raise UsageError(
            f"calibration item {index}: expected the inputs {sorted(inputs)}, found {sorted(item)}"
        )
    for name, shape in inputs.items():
        array = item[name]
        found = getattr(array, "dtype", type(array).__name__)
        if found != np.float32:
            raise UsageError(f"calibration item {index}: {name!r} must be float32, found {found}")
        rows_free = len(shape) == 2 and array.ndim == 2 and array.shape[0] > 0
        expected = (array.shape[0], shape[1]) if rows_free else tuple(shape)
        if array.shape != expected:
            raise UsageError(
                f"calibration item {index}: {name!r} must have the shape {shape}, found {array.shape}"
            )
        if not np.isfinite(array).all():
            raise UsageError(f"calibration item {index}: {name!r} holds NaN or infinity")
    return {name: item[name].shape for name in inputs}
