"""Run the fp32 graph over calibration items and see what goes into each layer."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pocketdet.export.quantize.histogram import Histogram
from pocketdet.export.quantize.items import Items
from pocketdet.export.quantize.network import Network, check_finite
from pocketdet.export.quantize.settings import Array
from pocketdet.runtime.ncnn_graph import Graph

Progress = Callable[[str, int, int], None]


@dataclass
class Seen:
    """What a blob held: magnitudes of all its values, and the largest of each channel (axis 0 of a map, the
    last axis of a matrix or vector).
    """

    histogram: Histogram = field(default_factory=Histogram)
    channels: NDArray[np.float32] | None = None

    def add(self, values: Array) -> None:
        """Take in one run."""
        self.histogram.add(values)
        along = values.reshape(len(values), -1) if values.ndim > 2 else values.reshape(-1, values.shape[-1]).T
        largest = np.abs(along).max(axis=1)
        self.channels = largest if self.channels is None else np.maximum(self.channels, largest)


def observe(graph: Graph, items: Items, blobs: Iterable[str], progress: Progress) -> Mapping[str, Seen]:
    """What each of `blobs` held over the items to calibrate on. Raises EngineError for NaN or infinity."""
    network = Network(graph)
    seen = {blob: Seen() for blob in blobs}
    for done, index in enumerate(items.calibrate, 1):
        values = network.run(items.all[index], seen)
        check_finite(values, index)
        for blob, array in values.items():
            seen[blob].add(array)
        progress("observe", done, len(items.calibrate))
    return seen
