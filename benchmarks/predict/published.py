"""Read the published runs of ncnn's benchmark, and the structure of the models that they ran."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pocketdet.benchmarks.predict.coefficients import Cores
from pocketdet.benchmarks.predict.workload import Workload, graph_work
from pocketdet.errors import UsageError
from pocketdet.runtime.ncnn_graph import Shape, infer_shapes, read_graph

RUNS, STRUCTURES = "benchncnn_runs.json", "benchmark_params"
# Inputs of benchncnn that the .param file does not specify.
INPUTS: Mapping[str, Shape] = {"FastestDet": (3, 352, 352)}
_ATTENTION_MODELS = frozenset({"vision_transformer"})
_CORES: Mapping[int, Cores] = {0: "all", 1: "little", 2: "big"}
_CLOCKS = re.compile(r"\s*\((?:[^()]*(?:Hz|ARMv|cores|cpu)[^()]*)\)?", re.IGNORECASE)
_COMMAND = re.compile(r"^(nice |~/|/)|benchncnn")


@dataclass(frozen=True)
class PublishedRun:
    """The minimum milliseconds of each model in one run; `cores` are those that ncnn may use."""

    name: str
    published_as: str
    threads: int
    cores: Cores
    milliseconds: Mapping[str, float]


def read_workloads(folder: Path) -> dict[str, Workload]:
    """Count the work of every convolutional network of the benchmark.

    Raises:
        UsageError: If there are no `.param` files.
        GraphError: If one is damaged.
    """
    paths = sorted((folder / STRUCTURES).glob("*.param"))
    if not paths:
        raise UsageError(f"{folder / STRUCTURES}: expected the .param files of ncnn's benchmark, found none")
    works = {}
    for path in paths:
        if path.stem not in _ATTENTION_MODELS:
            graph = read_graph(path)
            inputs = {graph.input_names()[0]: INPUTS[path.stem]} if path.stem in INPUTS else {}
            works[model_name(path.stem)] = graph_work(graph, infer_shapes(graph, inputs, partial=True))
    return works


def read_runs(folder: Path) -> list[PublishedRun]:
    """Read the runs on CPUs, in the order of publication, without those that do not name their device.

    Returns:
        The runs; the second run of a device gets a number behind its name.

    Raises:
        UsageError: If the file is missing or damaged.
    """
    path = folder / RUNS
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: expected the published runs as JSON: {error}") from error
    try:
        return _named([r for r in records if _is_cpu(r) and not _COMMAND.search(r["hdr"])])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UsageError(
            f"{path}: a run lacks what was expected (hdr, num_threads, powersave, d): {error}"
        ) from error


def _is_cpu(record: Mapping[str, Any]) -> bool:
    return record.get("gpu_device", -1) in (-1, None)


def _named(records: list[dict[str, Any]]) -> list[PublishedRun]:
    seen: Counter[tuple[str, int, int]] = Counter()
    numbers: dict[tuple[str, int], int] = {}
    taken: Counter[str] = Counter()
    runs = []
    for record in records:
        header = " ".join(record["hdr"].split())
        setting = header, int(record["num_threads"]), int(record["powersave"])
        device = header, seen[setting]
        seen[setting] += 1
        title = short_name(header)
        if device not in numbers:
            taken[title] += 1
            numbers[device] = taken[title]
        number = f" [{numbers[device]}]" if numbers[device] > 1 else ""
        times = {model_name(name): float(least) for name, (least, _) in record["d"].items()}
        runs.append(PublishedRun(title + number, header, setting[1], _CORES[setting[2]], times))
    return runs


def short_name(header: str) -> str:
    """Remove the parentheses about clocks and cores from a published headline."""
    plain, before = header, ""
    while plain != before:
        plain, before = _CLOCKS.sub("", plain), plain
    return plain.strip(" ,") or header


def model_name(name: str) -> str:
    """Replace hyphens, which older runs and some files have in place of underscores."""
    return name.replace("-", "_")
