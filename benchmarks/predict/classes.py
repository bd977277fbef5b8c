"""Which layers share one coefficient: detailed classes of layers, and how they are put together for a fit.

The groups are the smallest that cross-validation did not improve on; `python -m
pocketdet.benchmarks.predict.compare` prints what was tried.
"""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from pocketdet.benchmarks.predict.workload import Workload

Classes = Mapping[str, tuple[str, ...]]

DETAILS = (
    "dense_1x1",
    "dense_1x1_odd",  # odd: channels that are no multiple of 4
    "winograd_3x3",
    "dense_kxk",
    "grouped",
    "depthwise_3x3",
    "depthwise_5x5",
    "depthwise_odd",
    "fully_connected",
    "moved_dense",
    "moved_others",
    "layers",
)

FLOAT: Classes = MappingProxyType(
    {
        "dense_1x1": ("dense_1x1", "dense_1x1_odd"),
        "winograd_3x3": ("winograd_3x3",),
        "dense_kxk": ("dense_kxk", "grouped"),
        "depthwise": ("depthwise_3x3", "depthwise_5x5", "depthwise_odd"),
        "fully_connected": ("fully_connected",),
        "values_moved": ("moved_dense", "moved_others"),
    }
)
# Eight published models only: one coefficient less for each that they could not tell apart.
INT8: Classes = MappingProxyType(
    {
        "dense": ("dense_1x1", "dense_1x1_odd", "winograd_3x3", "dense_kxk", "grouped"),
        "depthwise": ("depthwise_3x3", "depthwise_5x5", "depthwise_odd", "fully_connected"),
        "values_moved": ("moved_dense", "moved_others"),
    }
)
BY_PRECISION: Mapping[str, Classes] = MappingProxyType({"float": FLOAT, "int8": INT8})


def amounts(work: Workload, classes: Classes) -> NDArray[np.float64]:
    """Amounts of a workload by class, (classes,), in millions."""
    return np.array([sum(work.amounts.get(part, 0.0) for part in parts) for parts in classes.values()])


def precision_of(work: Workload) -> str:
    """The fit that a workload belongs to: "int8" if most of its MACs are in int8 layers."""
    return "int8" if work.int8 > 0.5 else "float"
