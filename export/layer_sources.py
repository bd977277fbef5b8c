"""Which module made which ncnn blob, found by value.

Converters fuse, rename and reorder, so names prove nothing. Two values that agree within the export's
tolerance over thousands of numbers of a random input do. The map is found once at export, while the graph is
known to be right, and stored in the manifest; `verify --layers` names the first blob that no longer agrees.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pocketdet.export.dataflow import Value
from pocketdet.export.network import Network
from pocketdet.runtime.bundle.schema import GraphSpec
from pocketdet.runtime.engines.base import GraphName
from pocketdet.runtime.engines.ncnn_engine import NcnnEngine

Array = NDArray[np.float32]


def find_sources(
    network: Network,
    engine: NcnnEngine,
    graph: GraphName,
    spec: GraphSpec,
    blobs: Sequence[str],
    example: Array,
    relative: float,
) -> dict[str, str]:
    """Run `example` through the network and through ncnn and match every blob; see `match_sources`."""
    found = engine.run_blobs(graph, {spec.inputs[0].role: example}, blobs)
    return match_sources(found, network.values(example), relative)


def match_sources(blobs: Mapping[str, Array], values: Sequence[Value], relative: float) -> dict[str, str]:
    """Blob name -> source, for every blob that equals some value; the closest wins, then the earliest."""
    by_size: defaultdict[int, list[Value]] = defaultdict(list)
    for value in values:
        by_size[value.array.size].append(value)
    sources = {}
    for name, blob in blobs.items():
        distances = [(relative_difference(v.array, blob), i) for i, v in enumerate(by_size[blob.size])]
        best, index = min(distances, default=(np.inf, 0))
        if best <= relative:
            sources[name] = by_size[blob.size][index].source
    return sources


def relative_difference(reference: Array, subject: Array) -> float:
    """Largest absolute difference over the largest reference value; shapes may differ by axes of 1."""
    scale = float(np.abs(reference).max(initial=0.0)) or 1.0
    gap = float(np.abs(reference.ravel() - subject.ravel()).max(initial=0.0))
    return gap / scale if np.isfinite(gap) else float("inf")
