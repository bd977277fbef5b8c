"""The networks of a bundle, checked before any native loader sees them."""

from pathlib import Path

import ncnn

from pocketdet.errors import GraphError
from pocketdet.runtime.bundle.schema import GraphSpec
from pocketdet.runtime.ncnn_graph import read_graph


def check_graph(spec: GraphSpec, folder: Path, label: str) -> None:
    """Check that the ncnn at hand can run the graph and that its blobs are what the manifest says.

    `label` names the bundle in messages. Raises `GraphError`.
    """
    try:
        graph = read_graph(folder / spec.param, folder / spec.bin)
        for layer in graph.layers:
            if ncnn.layer_to_index(layer.type) < 0:
                raise layer.error(f"ncnn {ncnn.__version__} has no layer type {layer.type!r}")
    except GraphError as error:
        raise GraphError(f"{label}: {error}") from error
