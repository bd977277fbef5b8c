"""Read and validate an untrusted ncnn model (.param and .bin), and write both files or none."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pocketdet.errors import ExportError, UsageError
from pocketdet.io import check_writable, scratch_folder
from pocketdet.runtime.bundle.graphs import ncnn_has_layer
from pocketdet.runtime.ncnn_graph import Graph, Shape, infer_shapes, read_graph, validate, write_graph


@dataclass(frozen=True)
class Model:
    """A validated model.

    Attributes:
        graph: The graph; it passed every check that is needed before ncnn runs it.
        inputs: Shape of every input, (c, h, w) without batch.
    """

    graph: Graph
    inputs: Mapping[str, Shape]


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
        GraphError: The model is damaged, or cannot be checked because a layer type is unknown.
        UsageError: `shapes` names an input that the model does not have, or lacks the shape of one.
    """
    graph = read_graph(param, weights)
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
    # outputs must not have readers, inner blobs have
    read = {blob for layer in graph.layers for blob in layer.inputs}
    validate(graph, inputs, ncnn_has_layer, outputs=[blob for blob in extracted if blob not in read])
    return Model(graph, inputs)


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
