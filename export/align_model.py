"""Read and validate an untrusted ncnn model (.param and .bin), and write both files or none.

A layer without a shape rule is a barrier: it stays as it is, with all layers that depend on it. Only the
rest, `Model.known`, is validated and run in ncnn.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pocketdet.errors import ExportError, GraphError, UsageError
from pocketdet.io import check_writable, os_errors, scratch_folder
from pocketdet.runtime.bundle.load import ncnn_has_layer
from pocketdet.runtime.ncnn_graph import (
    Graph,
    Layer,
    Shape,
    has_known_weights,
    infer_shapes,
    read_graph,
    validate,
    write_graph,
)
from pocketdet.runtime.ncnn_graph.feature_mask import FEATURE_MASK
from pocketdet.runtime.ncnn_graph.layer_views import LAYER_TYPES

SHAPE_HINTS = 30  # a parameter that every layer may have, as the feature mask is


@dataclass(frozen=True)
class Model:
    """A validated model.

    Attributes:
        graph: The whole graph.
        inputs: Shape of every input, (c, h, w) without batch.
        barriers: The layers that are not understood, and those that depend on them.
    """

    graph: Graph
    inputs: Mapping[str, Shape]
    barriers: tuple[Layer, ...] = ()

    @property
    def known(self) -> Graph:
        """The layers before the barriers; they passed every check that is needed before ncnn runs them."""
        return self.before_barriers(self.graph)

    @property
    def kept_blobs(self) -> tuple[str, ...]:
        """The blobs that barriers read from the other layers: they must not change."""
        made = {blob for layer in self.barriers for blob in layer.outputs}
        read = (blob for layer in self.barriers for blob in layer.inputs)
        return tuple(dict.fromkeys(blob for blob in read if blob not in made))

    def before_barriers(self, graph: Graph) -> Graph:
        """A graph, this one or an aligned copy, without the barriers."""
        if not self.barriers:
            return graph
        names = {layer.name for layer in self.barriers}
        return replace(graph, layers=[layer for layer in graph.layers if layer.name not in names])


def read_model(
    param: Path, weights: Path, shapes: Mapping[str, Shape], extracted: Iterable[str] = ()
) -> Model:
    """Read and validate a model.

    Args:
        param: The .param file.
        weights: The .bin file.
        shapes: Input -> shape, (c, h, w) without batch; under "" the shape of all inputs without their own.
        extracted: Inner blobs that the model must have.

    Raises:
        GraphError: The model is damaged, or a layer of an unknown type may have weights.
        UsageError: `shapes` names an input that the model does not have, or lacks the shape of one.
    """
    graph = _read(param, weights)
    names = graph.input_names()
    unknown = [name for name in shapes if name and name not in names]
    if unknown:
        raise UsageError(f"{param.name} has no input {unknown[0]!r}, its inputs are {', '.join(names)}")
    declared = infer_shapes(graph, {}, partial=True)
    inputs: dict[str, Shape] = {}
    for name in names:
        shape = shapes.get(name) or declared.get(name) or shapes.get("")
        if shape is None:
            raise UsageError(
                f"{param.name} does not say the shape of its input {name!r}: pass --shape {name}=3x320x320"
            )
        inputs[name] = shape
    model = Model(graph, inputs, _barriers(graph, inputs))
    known = model.known
    behind = {blob for layer in model.barriers for blob in layer.outputs}
    validate(known, inputs, ncnn_has_layer, inner=[blob for blob in extracted if blob not in behind])
    return model


def _read(param: Path, weights: Path) -> Graph:
    """Read a model; layers of unknown types are taken to have no weights, as the size of the .bin shows."""
    types = {layer.type for layer in read_graph(param).layers}
    unknown = sorted(kind for kind in types if not has_known_weights(kind))
    try:
        return read_graph(param, weights, foreign=unknown)
    except GraphError as error:
        if not unknown:
            raise
        raise GraphError(
            f"{error}; {', '.join(unknown)} is of no known type, and weights that it may have cannot be read"
        ) from error


def _barriers(graph: Graph, inputs: Mapping[str, Shape]) -> tuple[Layer, ...]:
    """The layers without a shape rule, and those whose inputs depend on them."""
    shapes = infer_shapes(graph, inputs, partial=True)
    return tuple(
        layer
        for layer in graph.layers
        if not _has_rule(layer) or any(blob not in shapes for blob in (*layer.inputs, *layer.outputs))
    )


def _has_rule(layer: Layer) -> bool:
    kind = LAYER_TYPES.get(layer.type)
    return kind is not None and set(layer.params) <= {*kind.params.values(), SHAPE_HINTS, FEATURE_MASK}


def check_output_paths(*files: Path, overwrite: bool) -> None:
    """Check that files can be written.

    Raises:
        ExportError: A file exists and `overwrite` is false, or its folder does not exist.
        UsageError: Its folder is not writable.
    """
    for path in files:
        if path.exists() and not overwrite:
            raise ExportError(f"{path} exists already: choose another name, or pass --overwrite")
        if not path.parent.is_dir():
            raise ExportError(f"{path}: there is no folder {path.parent}")
        check_writable(path.parent)


def write_model(graph: Graph, param: Path, weights: Path) -> None:
    """Write both files, or none.

    The old .param is moved away first and the new one appears last: a process that is killed leaves no pair
    of files that do not belong together.

    Raises:
        ExportError: They cannot be written.
    """
    with (
        os_errors(ExportError, f"{param} cannot be written"),
        scratch_folder(param.parent) as one,
        scratch_folder(weights.parent) as other,
    ):
        write_graph(graph, one / "param", other / "bin")
        if param.exists():
            param.replace(one / "old")
        try:
            (other / "bin").replace(weights)
        except BaseException:
            if (one / "old").exists():
                (one / "old").replace(param)
            raise
        (one / "param").replace(param)
