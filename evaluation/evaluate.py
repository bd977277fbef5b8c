"""Run a variant over annotated images and measure what it found, whatever backend it has."""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from pocketdet.datasets import Dataset, read_stored_image
from pocketdet.errors import UsageError
from pocketdet.evaluation import CocoAccuracy, Detections, VocAccuracy, coco_accuracy, voc_accuracy
from pocketdet.evaluation.variants import Variant, in_engine
from pocketdet.export.options import MetricLimit
from pocketdet.runtime.bundle import Bundle
from pocketdet.runtime.engines.base import GraphName
from pocketdet.runtime.engines.fork_map import map_in_forks
from pocketdet.runtime.engines.ncnn_engine import NcnnEngine
from pocketdet.runtime.ncnn_graph import Graph, write_graph

SHOWN_NAMES = 5


@dataclass(frozen=True)
class Evaluated:
    """What one variant found in a dataset, its labels being those of the dataset, and how good that is.

    milliseconds: the median image, from pixels to boxes; a first idea, `pocketdet bench` measures.
    """

    variant: Variant
    found: tuple[Detections, ...]
    coco: CocoAccuracy
    voc: VocAccuracy
    milliseconds: float


def evaluate(
    variant: Variant, dataset: Dataset, progress: Callable[[], None] = lambda: None, workers: int = 1
) -> Evaluated:
    """Run `variant` over every image as it is stored; `progress` is called after each.

    `workers` processes share the images; what is found does not depend on their number, the milliseconds do.
    Classes are matched by name. Raises `UsageError` if variant and dataset do not have the same ones or no
    object counts, `ImageError` if an image cannot be read, and what the variant raises.
    """
    check_classes("the detector", variant.class_names, "the data", dataset.class_names)
    position = np.array([dataset.class_names.index(name) for name in variant.class_names], np.int64)

    def detect(index: int) -> tuple[Detections, float]:
        pixels = read_stored_image(dataset.images[index].path)
        start = time.perf_counter()
        one = variant.detect(pixels)
        seconds = time.perf_counter() - start
        return Detections(one.boxes, one.scores, position[one.labels]), seconds

    found, seconds = [], []
    for one, took in map_in_forks(detect, range(len(dataset.images)), workers):
        found.append(one)
        seconds.append(took)
        progress()
    coco, voc = coco_accuracy(dataset, found), voc_accuracy(dataset, found)
    return Evaluated(variant, tuple(found), coco, voc, 1e3 * float(np.median(seconds)))


def check_classes(one: str, one_has: Sequence[str], other: str, other_has: Sequence[str]) -> None:
    """Raise `UsageError`, naming the difference, unless both have the same classes, in any order."""
    differences = [
        f"only {who} has {_listed(names)}"
        for who, names in (
            (other, [name for name in other_has if name not in one_has]),
            (one, [name for name in one_has if name not in other_has]),
        )
        if names
    ]
    if differences:
        raise UsageError(
            f"{one} and {other} do not have the same classes: {'; '.join(differences)}; "
            "classes are matched by name, and average precision needs all of them on both sides"
        )
    for who, names in ((one, one_has), (other, other_has)):
        twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
        if twice:
            raise UsageError(f"{who} has more than one class named {_listed(twice)}")


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:SHOWN_NAMES])
    return shown if len(names) <= SHOWN_NAMES else f"{shown} and {len(names) - SHOWN_NAMES} more"


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
