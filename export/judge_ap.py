"""What a graph in the place of its fp32 twin costs in average precision, on labelled pictures."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from pocketdet.datasets import Dataset
from pocketdet.errors import UsageError
from pocketdet.export.evaluate import evaluate
from pocketdet.export.subjects import in_engine
from pocketdet.runtime.bundle import Bundle
from pocketdet.runtime.engines.base import GraphName
from pocketdet.runtime.engines.ncnn_engine import NcnnEngine
from pocketdet.runtime.ncnn_graph import Graph, write_graph


@dataclass(frozen=True)
class ApLimit:
    """At most `max_drop` points of COCO AP may be lost on `dataset`. Raises `UsageError` unless in 0..100."""

    dataset: Dataset
    max_drop: float

    def __post_init__(self) -> None:
        if not 0 < self.max_drop <= 100:
            raise UsageError(
                f"the AP that int8 may cost is {self.max_drop:g} points: expected above 0, to 100"
            )


class ApJudge:
    """Runs `plain`, a bundle in fp32, with single graphs replaced. Close it, or use it as a context."""

    def __init__(self, plain: Bundle, dataset: Dataset) -> None:
        self._plain, self._dataset = plain, dataset
        self._folder = tempfile.TemporaryDirectory(prefix="pocketdet-judge-")
        self._settled: dict[GraphName, Graph] = {}
        self.fp32_ap = self._ap({})

    def __call__(self, name: GraphName, graph: Graph) -> float:
        """Points of AP lost with this graph and those that are settled."""
        return self.fp32_ap - self._ap({**self._settled, name: graph})

    def settle(self, name: GraphName, graph: Graph) -> None:
        """Go on with this graph."""
        self._settled[name] = graph

    def _ap(self, graphs: dict[GraphName, Graph]) -> float:
        specs = self._plain.manifest.graphs.by_name()
        files = {}
        for name, graph in graphs.items():
            for file in (specs[name].param, specs[name].bin):
                files[file] = Path(self._folder.name, file)
            write_graph(graph, files[specs[name].param], files[specs[name].bin])

        def locate(file: str) -> Path:
            return files[file] if file in files else self._plain.path(file)

        subject = in_engine(self._plain, "ncnn-int8", engine=NcnnEngine(specs, locate))
        return 100 * evaluate(subject, self._dataset).coco.ap

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folder.cleanup()
