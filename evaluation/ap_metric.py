"""Average precision that an export loses if one of its graphs is replaced, measured on labelled images."""

import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from pocketdet.datasets import Dataset
from pocketdet.evaluation.evaluate import evaluate
from pocketdet.evaluation.variants import in_engine
from pocketdet.export.options import MetricLimit
from pocketdet.runtime.bundle import Bundle
from pocketdet.runtime.engines.base import GraphName
from pocketdet.runtime.engines.ncnn_engine import NcnnEngine
from pocketdet.runtime.ncnn_graph import Graph, write_graph


def ap_limit(dataset: Dataset, max_drop: float, workers: int = 1) -> MetricLimit:
    """A limit for `ExportOptions`: int8 may lose at most `max_drop` points of COCO AP on `dataset`.

    `workers` processes share its images (`evaluate`).

    Raises:
        UsageError: if `max_drop` is not above 0 and at most 100.
    """
    return MetricLimit(lambda plain: ApMetric(plain, dataset, workers), max_drop)


class ApMetric:
    """Points of COCO AP that `plain`, an fp32 bundle, loses if graphs of it are replaced.

    A context manager; its temporary files are removed on exit.
    """

    def __init__(self, plain: Bundle, dataset: Dataset, workers: int = 1) -> None:
        self._plain, self._dataset, self._workers = plain, dataset, workers
        self._folder = tempfile.TemporaryDirectory(prefix="pocketdet-metric-")
        self._committed: dict[GraphName, Graph] = {}
        self.fp32_ap = self._ap({})

    def __call__(self, name: GraphName, graph: Graph) -> float:
        """Points of AP lost with this graph and the committed ones."""
        return self.fp32_ap - self._ap({**self._committed, name: graph})

    def commit(self, name: GraphName, graph: Graph) -> None:
        """Use this graph in all later measurements."""
        self._committed[name] = graph

    def _ap(self, graphs: dict[GraphName, Graph]) -> float:
        specs = self._plain.manifest.graphs.by_name()
        files = {}
        for name, graph in graphs.items():
            for file in (specs[name].param, specs[name].bin):
                files[file] = Path(self._folder.name, file)
            write_graph(graph, files[specs[name].param], files[specs[name].bin])

        def locate(file: str) -> Path:
            return files[file] if file in files else self._plain.path(file)

        variant = in_engine(self._plain, "ncnn-int8", engine=NcnnEngine(specs, locate))
        return 100 * evaluate(variant, self._dataset, workers=self._workers).coco.ap

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folder.cleanup()
