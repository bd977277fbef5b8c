"""Run a graph in ncnn and read any of its blobs."""

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import ncnn
import numpy as np

from pocketdet.errors import EngineError
from pocketdet.export.compare_graphs import load_net
from pocketdet.export.quantize.settings import Array, Item
from pocketdet.runtime.ncnn_graph import Graph


class Network:
    """A graph in ncnn: one thread, fp32 wherever the graph does not say int8, so that runs repeat bit for
    bit.

    The graph must be sound: ncnn crashes on others. Raises EngineError if ncnn refuses it.
    """

    def __init__(self, graph: Graph) -> None:
        with tempfile.TemporaryDirectory(prefix="pocketdet-int8-") as folder:
            self._net = load_net(graph, Path(folder), "quantise")
        self._order = {blob: index for index, blob in enumerate(graph.blob_names())}

    def run(self, item: Item, blobs: Iterable[str]) -> dict[str, Array]:
        """Values of these blobs, by name. Raises EngineError if ncnn fails at one."""
        wanted = sorted(set(blobs), key=self._order.__getitem__)
        extractor = self._net.create_extractor()
        extractor.set_light_mode(False)  # keeps inner blobs until all were read
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
