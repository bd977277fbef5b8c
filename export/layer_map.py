"""The layer map: which module of the reference computes which ncnn blob, found by value.

Converters fuse, rename and reorder layers, so names are no evidence. Two values that agree within the
export's tolerance in thousands of elements for a random input are. The map is made once during the export,
when the graph is known to be correct, and stored in the manifest. `verify --layers` uses it to report the
first blob that no longer agrees.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pocketdet.export.align_graph import read_channel_orders, restore_channel_order
from pocketdet.export.reference.network import Network
from pocketdet.models.trace import Value
from pocketdet.runtime.bundle import Bundle
from pocketdet.runtime.bundle.schema import GraphSpec
from pocketdet.runtime.engines.base import GraphName
from pocketdet.runtime.engines.ncnn_engine import NcnnEngine
from pocketdet.runtime.ncnn_graph import read_graph
from pocketdet.runtime.parity import compare
from pocketdet.runtime.verification import LayerCheck

Array = NDArray[np.float32]


def match_layers(
    network: Network,
    engine: NcnnEngine,
    graph: GraphName,
    spec: GraphSpec,
    blobs: Sequence[str],
    example: Array,
    relative: float,
) -> dict[str, str]:
    """Run `example` through a network and through ncnn, and match every blob; see `match_values`.

    Args:
        network: the original of the graph.
        engine: runs the ncnn graph in fp32.
        graph: the graph's name.
        spec: its files and inputs.
        blobs: names of the ncnn blobs to match.
        example: an input without a batch axis.
        relative: the tolerance, relative to the largest value of a tensor.
    """
    found = engine.run_blobs(graph, {spec.inputs[0].role: example}, blobs)
    return match_values(found, network.values(example), relative)


def match_values(blobs: Mapping[str, Array], values: Sequence[Value], relative: float) -> dict[str, str]:
    """Map every blob that equals a value within `relative` to the value's source.

    The closest value is chosen, the earliest of equally close ones.
    """
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
    """Largest absolute difference over the largest reference value; shapes may differ by axes of length 1."""
    scale = float(np.abs(reference).max(initial=0.0)) or 1.0
    gap = float(np.abs(reference.ravel() - subject.ravel()).max(initial=0.0))
    return gap / scale if np.isfinite(gap) else float("inf")


def compare_layers(
    bundle: Bundle,
    engine: NcnnEngine,
    graph: GraphName,
    counterpart: Network,
    inputs: Array,
    relative: float,
    least_snr_db: float | None = None,
) -> list[LayerCheck]:
    """Compare every blob of one graph with the module that computes it in the reference.

    Args:
        bundle: an open bundle.
        engine: runs its ncnn graphs.
        graph: the graph's name.
        counterpart: the folded original of the graph.
        inputs: the graph's input, without a batch axis.
        relative: the tolerance, relative to the largest value of a tensor.
        least_snr_db: the smallest signal-to-noise ratio, in dB, that is in tolerance, too.

    Returns:
        A check per blob in the order of execution; the first failure is where an error begins.

    Raises:
        GraphError: if the bundle's graph is damaged.
        EngineError: if it cannot run.
        BundleError: if the file of its channel alignment is damaged.
    """
    spec = bundle.manifest.graphs.by_name()[graph]
    network = read_graph(bundle.path(spec.param), bundle.path(spec.bin))
    values = {v.source: v.array for v in counterpart.values(inputs)}
    wanted = [blob for layer in network.layers for blob in layer.outputs]
    layouts = read_channel_orders(bundle.path(spec.lane_layouts)) if spec.lane_layouts else {}
    blobs = engine.run_blobs(graph, {spec.inputs[0].role: inputs}, wanted)
    rows = []
    for layer in network.layers:
        for blob in layer.outputs:
            source = spec.layer_sources.get(blob)
            reference = values.get(source) if source else None
            check = None
            if reference is not None:
                subject, reference = restore_channel_order(blobs[blob], reference, layouts.get(blob))
                if reference.size == subject.size:
                    reference = reference.reshape(subject.shape)
                check = compare(blob, reference, subject, relative=relative, least_snr_db=least_snr_db)
            rows.append(LayerCheck(graph, layer.name, layer.type, blob, source, check))
    return rows
