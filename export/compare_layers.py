"""Which layer went wrong first: every ncnn blob against the module that made it."""

from pocketdet.export.lay_out import as_before, read_layouts
from pocketdet.export.network import Network
from pocketdet.runtime.bundle import Bundle
from pocketdet.runtime.engines.base import Array, GraphName
from pocketdet.runtime.engines.ncnn_engine import NcnnEngine
from pocketdet.runtime.ncnn_graph import read_graph
from pocketdet.runtime.parity import compare
from pocketdet.runtime.verification import LayerCheck


def compare_layers(
    bundle: Bundle,
    engine: NcnnEngine,
    graph: GraphName,
    twin: Network,
    inputs: Array,
    relative: float,
    least_snr_db: float | None = None,
) -> list[LayerCheck]:
    """Every blob of one graph in the order of execution, so that the first failure is where an error begins.

    `twin` is the folded original of the graph; `inputs` its input without a batch axis. Raises
    `GraphError` or `EngineError` if the bundle's graph cannot run, `BundleError` if its layouts are damaged.
    """
    spec = bundle.manifest.graphs.by_name()[graph]
    network = read_graph(bundle.path(spec.param), bundle.path(spec.bin))
    values = {v.source: v.array for v in twin.values(inputs)}
    wanted = [blob for layer in network.layers for blob in layer.outputs]
    layouts = read_layouts(bundle.path(spec.lane_layouts)) if spec.lane_layouts else {}
    blobs = engine.run_blobs(graph, {spec.inputs[0].role: inputs}, wanted)
    rows = []
    for layer in network.layers:
        for blob in layer.outputs:
            source = spec.layer_sources.get(blob)
            reference = values.get(source) if source else None
            check = None
            if reference is not None:
                subject, reference = as_before(blobs[blob], reference, layouts.get(blob))
                if reference.size == subject.size:
                    reference = reference.reshape(subject.shape)
                check = compare(blob, reference, subject, relative=relative, least_snr_db=least_snr_db)
            rows.append(LayerCheck(graph, layer.name, layer.type, blob, source, check))
    return rows
