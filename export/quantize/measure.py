"""How far a quantised graph is from the fp32 one, on the items held out."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pocketdet.errors import GraphError
from pocketdet.export.quantize.items import Items
from pocketdet.export.quantize.network import Network, check_finite
from pocketdet.export.quantize.settings import Array
from pocketdet.runtime.ncnn_graph import Graph

OutputErrors = Mapping[str, float]


@dataclass
class ErrorSum:
    """Sums of squares of a reference and of what another differs from it."""

    reference: float = 0.0
    error: float = 0.0

    def add(self, reference: Array, other: Array) -> None:
        """Take in one pair of equal shape."""
        exact = reference.astype(np.float64)
        self.reference += float(np.sum(exact**2))
        self.error += float(np.sum((other - exact) ** 2))

    @property
    def relative(self) -> float:
        """|other - reference| / |reference|, Euclidean; 0 where both are zero, infinite where only one is."""
        if self.error == 0:
            return 0.0
        return float(np.sqrt(self.error / self.reference)) if self.reference > 0 else float("inf")

    @property
    def decibels(self) -> float:
        """Signal to quantisation noise, 10 log10(signal power / noise power); infinite without noise."""
        if self.error == 0:
            return float("inf")
        return float(10 * np.log10(self.reference / self.error)) if self.reference > 0 else float("-inf")


class Measure:
    """Answers of the fp32 graph to the items held out, for comparison.

    `blobs` are inner blobs to be kept too. All kept values stay in memory: items times outputs and `blobs`.
    """

    def __init__(self, graph: Graph, items: Items, blobs: tuple[str, ...] = ()) -> None:
        self.outputs = tuple(graph.output_names())
        self._items, self._indices = items, items.measure
        network = Network(graph)
        wanted = (*self.outputs, *blobs)
        self._exact = [network.run(items.all[index], wanted) for index in self._indices]
        for index, values in zip(self._indices, self._exact, strict=True):
            check_finite(values, index)

    def compare(self, graph: Graph, blobs: tuple[str, ...] = ()) -> dict[str, ErrorSum]:
        """Error of each output and of `blobs` over all items. Raises EngineError if ncnn fails, GraphError if
        the graph's answers are not finite.
        """
        network = Network(graph)
        wanted = (*self.outputs, *blobs)
        sums = {blob: ErrorSum() for blob in wanted}
        for index, exact in zip(self._indices, self._exact, strict=True):
            for blob, array in network.run(self._items.all[index], wanted).items():
                if not np.isfinite(array).all():
                    raise GraphError(f"in int8 the blob {blob!r} holds NaN or infinity for item {index}")
                sums[blob].add(exact[blob], array)
        return sums

    def errors(self, graph: Graph) -> OutputErrors:
        """Relative error of each output."""
        return {name: total.relative for name, total in self.compare(graph).items()}


def worst(errors: OutputErrors) -> float:
    """The largest error of any output."""
    return max(errors.values(), default=0.0)
