"""Validation of the networks of a bundle before a native loader reads them."""

from collections.abc import Mapping
from pathlib import Path

import ncnn

from pocketdet.errors import GraphError
from pocketdet.runtime.bundle.schema import GraphSpec, TensorSpec
from pocketdet.runtime.ncnn_graph import (
    Shape,
    ValidGraph,
    check_no_int8,
    infer_shapes,
    read_graph,
    validate,
)

_FEWER_ROIS = (1, 7)


def check_graph(spec: GraphSpec, folder: Path, rois: int, label: str, *, has_int8: bool = True) -> ValidGraph:
    """Validate a graph against the installed ncnn and the shapes of the manifest.

    The C++ detector has the same steps in `detector/graph_check.cpp`.

    Args:
        spec: the graph's entry in the manifest.
        folder: folder with the files.
        rois: maximum number of RoIs. If shapes depend on it, smaller numbers are checked too.
        label: name of the bundle in messages.
        has_int8: whether layers may be int8.

    Raises:
        GraphError: if the graph is invalid.
    """
    try:
        graph = read_graph(folder / spec.param, folder / spec.bin)
        outputs = [output.blob for output in spec.outputs]
        valid = validate(graph, _shapes(spec.inputs, rois), ncnn_has_layer, outputs=outputs)
        if not has_int8:
            check_no_int8(graph)
        _check_outputs(spec, valid.shapes, rois)
        for fewer in _FEWER_ROIS if any(None in source.shape for source in spec.inputs) else ():
            _check_outputs(spec, infer_shapes(graph, _shapes(spec.inputs, fewer)), fewer)
    except GraphError as error:
        raise GraphError(f"{label}: {error}") from error
    return valid


def ncnn_has_layer(layer_type: str) -> bool:
    """Whether the installed ncnn has this layer type."""
    return bool(ncnn.layer_to_index(layer_type) >= 0)


def _shapes(tensors: tuple[TensorSpec, ...], rois: int) -> dict[str, Shape]:
    return {t.blob: tuple(rois if n is None else n for n in t.shape) for t in tensors}


def _check_outputs(spec: GraphSpec, found: Mapping[str, Shape], rois: int) -> None:
    for blob, shape in _shapes(spec.outputs, rois).items():
        if found.get(blob) != shape:
            raise GraphError(
                f"{spec.param}: blob {blob!r} has the shape {found.get(blob)}, the manifest says {shape}"
            )
