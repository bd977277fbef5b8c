"""Run a graph in ncnn, and measure the error of a quantized graph on the held-out items."""

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import ncnn
import numpy as np

from pocketdet.errors import EngineError, GraphError
from pocketdet.export.compare_graphs import load_net
from pocketdet.export.quantization.settings import Array, Item, Items
from pocketdet.runtime.ncnn_graph import Graph
from pocketdet.runtime.output_fields import WHOLE, Regions

OutputErrors = Mapping[str, float]
"""The relative error of each region of an output, by its name."""

"""The elements of each output, by blob, that errors are measured on together; all where it has none."""


class GraphRunner:
    """A graph in ncnn, on one thread, in fp32 except for int8 layers, so that runs repeat bit for bit.

    The graph must be valid since ncnn crashes on invalid ones. Raises EngineError if ncnn rejects it.
    """

    def __init__(self, graph: Graph) -> None:
        with tempfile.TemporaryDirectory(prefix="pocketdet-int8-") as folder:
            self._net = load_net(graph, Path(folder), "quantise")
        self._order = {blob: index for index, blob in enumerate(graph.blob_names())}

    def run(self, item: Item, blobs: Iterable[str]) -> dict[str, Array]:
        """Run one item and return the values of `blobs` by name. Raises EngineError if ncnn fails."""
        wanted = sorted(set(blobs), key=self._order.__getitem__)
        extractor = self._net.create_extractor()
        extractor.set_light_mode(False)  # keeps inner blobs until all are read
        for name, array in item.items():
            extractor.input(name, ncnn.Mat(np.ascontiguousarray(array)).clone())
        found: dict[str, Array] = {}
        for name in wanted:
            status, mat = extractor.extract(name)
            if status != 0:
                raise EngineError(f"ncnn failed at blob {name!r} (status {status}) while int8 was calibrated")
            found[name] = np.array(mat)
        return found


def check_finite(values: Mapping[str, Array], item: int) -> None:
    """Raise EngineError naming the first blob that holds NaN or infinity."""
    for name, array in values.items():
        if not np.isfinite(array).all():
            raise EngineError(
                f"blob {name!r} holds NaN or infinity for calibration item {item}; such a graph has no scales"
            )


@dataclass
class ErrorSum:
    """The sums of squares of a reference and of the difference from it."""

    reference: float = 0.0
    error: float = 0.0

    def add(self, reference: Array, other: Array, matters: float | None = None) -> None:
        """Add a pair of arrays of equal shape, without elements that are below `matters` in both."""
        exact = reference.astype(np.float64)
        if matters is not None:
            counts = np.maximum(exact, other) >= matters
            exact, other = exact[counts], other[counts]
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
    """Compares graphs with the fp32 graph on the held-out items.

    The fp32 values of the outputs and of `blobs` stay in memory for every held-out item.

    Args:
        graph: the fp32 graph.
        items: the items.
        regions: the regions of its outputs. Elements that no field reads are not measured.
        blobs: inner blobs to measure, too.
    """

    def __init__(self, graph: Graph, items: Items, regions: Regions, blobs: tuple[str, ...] = ()) -> None:
        self.outputs = tuple(graph.output_names())
        self._regions = {
            output: [part for part in regions.get(output, (WHOLE,)) if part.is_read]
            for output in self.outputs
        }
        self._items, self._indices = items, items.measure
        runner = GraphRunner(graph)
        wanted = (*self.outputs, *blobs)
        self._exact = [runner.run(items.all[index], wanted) for index in self._indices]
        for index, values in zip(self._indices, self._exact, strict=True):
            check_finite(values, index)

    def compare(
        self, graph: Graph, blobs: tuple[str, ...] = ()
    ) -> tuple[dict[str, ErrorSum], dict[str, ErrorSum]]:
        """The error of each region of an output, and of `blobs`, over all held-out items.

        Raises:
            EngineError: if ncnn fails.
            GraphError: if a value is not finite.
        """
        runner = GraphRunner(graph)
        wanted = (*self.outputs, *blobs)
        parts = {part.label(o): ErrorSum() for o, regions in self._regions.items() for part in regions}
        sums = {blob: ErrorSum() for blob in blobs}
        for index, exact in zip(self._indices, self._exact, strict=True):
            for blob, array in runner.run(self._items.all[index], wanted).items():
                if not np.isfinite(array).all():
                    raise GraphError(f"in int8 the blob {blob!r} holds NaN or infinity for item {index}")
                for part in self._regions.get(blob, ()):
                    values = part.of(exact[blob]), part.of(array)
                    parts[part.label(blob)].add(*values, part.values.matters)
                if blob in sums:
                    sums[blob].add(exact[blob], array)
        return parts, sums

    def errors(self, graph: Graph) -> OutputErrors:
        """The relative error of each region of the outputs of `graph`."""
        return {name: total.relative for name, total in self.compare(graph)[0].items()}


def worst(errors: OutputErrors) -> float:
    """The largest error of all regions of outputs."""
    return max(errors.values(), default=0.0)


def worst_name(errors: OutputErrors) -> str:
    """The name of the region with the largest error; empty without regions."""
    return max(errors, key=errors.__getitem__, default="")
