"""Anybody's ncnn model: a .param and a .bin in, checked before ncnn sees them, and a pair written whole."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pocketdet.errors import ExportError, UsageError
from pocketdet.runtime.bundle.graphs import ncnn_has_layer
from pocketdet.runtime.ncnn_graph import Graph, Shape, infer_shapes, read_graph, validate, write_graph
from pocketdet.whole_files import check_writable, scratch_folder


@dataclass(frozen=True)
class Model:
    """A graph that has passed every check there is before ncnn may run it, with the shapes of its inputs."""

    graph: Graph
    inputs: Mapping[str, Shape]


def read_model(
    param: Path, weights: Path, shapes: Mapping[str, Shape], extracted: Iterable[str] = ()
) -> Model:
    """Read a model; `shapes` (c, h, w) by input, or under "" for all inputs that do not say theirs.

    `extracted` are inner blobs that it must have.

    Raises `GraphError` for a model that is damaged or that cannot be proved, because a layer's type is not
    known or its shape not given, and `UsageError` for a shape of an input that the model does not have.
    """
    graph = read_graph(param, weights)
    names = graph.input_names()
    strange = [name for name in shapes if name and name not in names]
    if strange:
        raise UsageError(f"{param.name} has no input {strange[0]!r}, its inputs are {', '.join(names)}")
    written = infer_shapes(graph, {}, partial=True)
    inputs: dict[str, Shape] = {}
    for name in names:
        shape = shapes.get(name) or written.get(name) or shapes.get("")
        if shape is None:
            raise UsageError(
                f"{param.name} does not say the shape of its input {name!r}: pass --shape {name}=3x320x320"
            )
        inputs[name] = shape
    validate(graph, inputs, ncnn_has_layer, inner=extracted)
    return Model(graph, inputs)


def check_free(*files: Path, overwrite: bool) -> None:
    """Raise `ExportError` if a file is in the way or has no folder, `UsageError` if it cannot be written."""
    for path in files:
        if path.exists() and not overwrite:
            raise ExportError(f"{path} exists already: choose another name, or pass --overwrite")
        if not path.parent.is_dir():
            raise ExportError(f"{path}: there is no folder {path.parent}")
        check_writable(path.parent)


def write_model(graph: Graph, param: Path, weights: Path) -> None:
    """Write both files, or none. Raises `ExportError` if they cannot be written.

    An old .param makes way first and the new one comes last: a process that is killed leaves no pair of files
    that do not belong together.
    """
    try:
        with scratch_folder(param.parent) as one, scratch_folder(weights.parent) as other:
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
    except OSError as error:
        raise ExportError(f"{param} cannot be written: {error.strerror or error}") from error
