"""What the checks of the rules ask about a value."""

import numpy as np
from numpy.typing import NDArray
from onnxscript import ir


def shape_of(value: ir.Value | None) -> tuple[int, ...] | None:
    """The shape of a value; None if a length is not known."""
    if value is None or value.shape is None:
        return None
    axes = tuple(axis for axis in value.shape if isinstance(axis, int))
    return axes if len(axes) == len(value.shape) else None


def constant_of(value: ir.Value | None) -> NDArray[np.generic] | None:
    """The elements of a constant; None for a computed value."""
    found = ir.convenience.get_const_tensor(value) if value is not None else None
    return None if found is None else found.numpy()


def integers_of(value: ir.Value | None) -> tuple[int, ...] | None:
    """The elements of a constant of integers; None for anything else."""
    found = constant_of(value)
    if found is None or found.dtype.kind not in "iu":
        return None
    return tuple(int(element) for element in found.reshape(-1))
