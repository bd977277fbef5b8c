"""Read a .param/.bin pair from disk and write one, each file whole or not at all."""

import os
import tempfile
from collections.abc import Collection, Iterable
from pathlib import Path

from pocketdet.errors import GraphError
from pocketdet.io import read_regular
from pocketdet.runtime.ncnn_graph.bin_file import read_weights, weight_chunks
from pocketdet.runtime.ncnn_graph.model import Graph
from pocketdet.runtime.ncnn_graph.param_text import read_param, to_param_text

MAX_PARAM_BYTES = 8 * 1024 * 1024
MAX_BIN_BYTES = 2 * 1024 * 1024 * 1024


def read_graph(
    param_path: str | os.PathLike[str],
    bin_path: str | os.PathLike[str] | None = None,
    *,
    foreign: Collection[str] = (),
) -> Graph:
    """Read a network. Without `bin_path` only its structure, which works for layer types of unknown weights
    too. `foreign` are layer types that ncnn does not have and a converter has left, without weights.

    Raises GraphError for files that cannot be read, a malformed .param, counts that are not the real ones, a
    layer type whose weights are not understood, and a .bin that is longer or shorter than its layers need.
    """
    name = Path(param_path).name
    try:
        text = _read(param_path, MAX_PARAM_BYTES).decode("utf-8")
    except UnicodeDecodeError as problem:
        raise GraphError(f"{name}: not a text file (byte {problem.start}); a .param is expected") from None
    graph = read_param(text, name)
    if bin_path is None:
        return graph
    header = graph.header
    if header is not None and not header.honest:
        raise GraphError(
            f"{name}: the header declares {header.declared_layers} layers and {header.declared_blobs} blobs,"
            f" the file has {header.found_layers} and {header.found_blobs}"
        )
    known = [layer for layer in graph.layers if layer.type not in foreign]
    read_weights(known, _read(bin_path, MAX_BIN_BYTES), Path(bin_path).name)
    graph.structure_only = False
    return graph


def write_graph(
    graph: Graph, param_path: str | os.PathLike[str], bin_path: str | os.PathLike[str] | None
) -> None:
    """Write a network; each file is complete under a temporary name before it takes its own.

    An unchanged graph is written byte for byte as it was read. `bin_path` None writes the structure alone.
    Raises GraphError when a name, value or weight does not fit the format or the files cannot be written.
    """
    text = to_param_text(graph).encode("utf-8")
    if bin_path is not None:
        if graph.structure_only:
            raise GraphError(
                f"{Path(bin_path).name}: the graph was read without weights, so no .bin can be written"
            )
        _write(bin_path, weight_chunks(graph.layers))
    _write(param_path, [text])


def _read(path: str | os.PathLike[str], limit: int) -> bytes:
    try:
        data = read_regular(path, limit)
    except OSError as problem:
        raise GraphError(f"{path}: cannot be read: {problem.strerror or problem}") from None
    if len(data) > limit:
        raise GraphError(f"{path}: larger than {limit} bytes, the most that is read")
    return data


def _write(path: str | os.PathLike[str], chunks: Iterable[bytes]) -> None:
    target = Path(path)
    temporary: Path | None = None
    try:
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
            temporary = Path(file.name)
            file.writelines(chunks)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(target)
        temporary = None
    except OSError as problem:
        raise GraphError(f"{path}: cannot be written: {problem.strerror or problem}") from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
