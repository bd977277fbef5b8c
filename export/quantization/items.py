"""Calibration items: validation, warnings, and the choice of the items held out for measurements."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pocketdet.errors import UsageError
from pocketdet.export.quantization.settings import Array, Item
from pocketdet.runtime.ncnn_graph import Shape

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
