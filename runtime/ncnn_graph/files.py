"""Read a .param/.bin pair from disk and write one, each file whole or not at all.

The .param text is `7767517`, the counts, then one layer a line: `type name input_count output_count inputs...
outputs... id=value...`, separated by blanks. ncnn's scanner would also take tokens over several lines;
writers never do that, and here a layer is exactly one line. The .bin file has the weight blobs of all layers
one after the other, little-endian, without an index: only the .param says where a blob begins, so a file is
valid when the blobs that the layers need consume it exactly.
"""

import os
import re
import struct
from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pocketdet.errors import GraphError
from pocketdet.io import atomic_replace, read_regular
from pocketdet.runtime import _core
from pocketdet.runtime.ncnn_graph.model import (
    Graph,
    Header,
    Layer,
    ParamValue,
    Slot,
    format_param,
    same_value,
    weight_slots,
)
from pocketdet.runtime.ncnn_graph.weight import DTYPES, TAG_OF, Storage, Weight

_TABLE_BYTES = 256 * 4


def read_weights(layers: Collection[Layer], data: bytes | memoryview, source: str = ".bin") -> None:
    """Fill `weights` of every layer from the bytes of a .bin file (arrays are read-only views of `data`).

    Raises GraphError naming the layer at which the file ends early, or the surplus. Nothing is allocated in
    proportion to what the parameters claim.
    """
    view = memoryview(data)
    for layer, weights in zip(layers, _core.read_weights(layers, view, source), strict=True):
        layer.weights = {fields[0]: _weight(view, *fields[1:]) for fields in weights}


def weight_chunks(layers: Iterable[Layer]) -> Iterable[bytes]:
    """The bytes of a .bin file, blob after blob. Raises GraphError for a blob that does not fit its layer.

    A layer of an unknown type without weights was read as such, and has no bytes.
    """
    for layer in layers:
        if not layer.weights and not _core.has_known_weights(layer.type):
            continue
        slots = weight_slots(layer)
        if set(layer.weights) != {slot.role for slot in slots}:
            expected = [slot.role for slot in slots]
            raise layer.error(f"needs the weights {expected} and has {list(layer.weights)}")
        for slot in slots:
            yield _blob_bytes(layer, slot)


def _weight(
    view: memoryview,
    shape: tuple[int, ...],
    storage: Storage,
    tag: int,
    table_at: int,
    start: int,
    size: int,
    padded_size: int,
) -> Weight:
    data: NDArray[np.generic] = np.frombuffer(view[start : start + size], dtype=DTYPES[storage])
    data = data.reshape(shape)
    data.flags.writeable = False
    table = np.frombuffer(view[table_at : table_at + _TABLE_BYTES], "<f4") if table_at >= 0 else None
    padding = bytes(view[start + size : start + padded_size])
    return Weight(data, storage, table, tag, padding)  # type: ignore[arg-type]


def _blob_bytes(layer: Layer, slot: Slot) -> bytes:
    weight = layer.weights[slot.role]
    if weight.data.shape != slot.shape:
        raise layer.error(
            f"its parameters want {slot.role} of shape {slot.shape} and it is {weight.data.shape}"
        )
    if (weight.storage == "raw") == slot.tagged:
        wanted = "a tagged storage such as fp32" if slot.tagged else "raw storage"
        raise layer.error(f"its {slot.role} is stored as {weight.storage} and needs {wanted}")
    payload = np.ascontiguousarray(weight.data).tobytes()
    missing = -len(payload) % 4
    padding = weight.padding if len(weight.padding) == missing else bytes(missing)
    if not slot.tagged:
        return payload
    tag = struct.pack("<I", TAG_OF.get(weight.storage, weight.tag))
    table = b"" if weight.table is None else weight.table.tobytes()
    return tag + table + payload + padding


MAGIC = 7767517
MAX_NAME_BYTES = 255


def read_param(text: str, source: str = ".param") -> Graph:
    """Parse the text of a .param file into a graph without weights.

    `source` names the file in messages. Layers beyond the declared count are kept (ncnn ignores them;
    `validate` and `read_graph` refuse them). Raises GraphError naming the line.
    """
    header, layers, trailer = _core.read_param(text, source)
    graph = Graph([_layer(*fields) for fields in layers], trailer=trailer, structure_only=True, source=source)
    graph.header = Header(*header)
    return graph


def to_param_text(graph: Graph) -> str:
    """The .param text of a graph; layers that were read and not changed are written verbatim.

    Raises GraphError for a name or value that the format cannot hold.
    """
    blobs = sum(1 for _ in graph.blob_names())
    header = graph.header
    if header is not None and (header.found_layers, header.found_blobs) == (len(graph.layers), blobs):
        parts = [header.text]
    else:
        parts = [f"{MAGIC}\n{len(graph.layers)} {blobs}\n"]
    for layer in graph.layers:
        if not parts[-1].endswith("\n"):
            parts.append("\n")
        parts.append(_layer_text(layer))
    return "".join(parts) + graph.trailer


def _layer(
    kind: str,
    name: str,
    inputs: list[str],
    outputs: list[str],
    params: dict[int, ParamValue],
    text: str,
    origin: str,
) -> Layer:
    return Layer(kind, name, inputs, outputs, params, text=text, origin=origin)


def _layer_text(layer: Layer) -> str:
    """The line as read if it still says what the layer says, else a new one with unchanged fields kept."""
    written: dict[int, str] = {}
    original: Layer | None = None
    if layer.text:
        fields, written = _core.read_param_line(layer.text, layer.origin)
        original = _layer(*fields)
        if _same_layer(original, layer):
            return layer.text
    for name in (layer.type, layer.name, *layer.inputs, *layer.outputs):
        if not name or re.search(r"[\s\x00-\x20\x7f]", name) or len(name.encode()) > MAX_NAME_BYTES:
            raise layer.error(f"the name {name[:40]!r} cannot be written in a .param file")
    head = f"{layer.type:<24} {layer.name:<24} {len(layer.inputs)} {len(layer.outputs)}"
    params = [
        written[key]
        if original is not None and key in written and same_value(original.params[key], value)
        else format_param(key, value)
        for key, value in layer.params.items()
    ]
    return " ".join([head, *layer.inputs, *layer.outputs, *params]) + "\n"


def _same_layer(a: Layer, b: Layer) -> bool:
    return (
        (a.type, a.name, a.inputs, a.outputs) == (b.type, b.name, list(b.inputs), list(b.outputs))
        and list(a.params) == list(b.params)
        and all(same_value(value, b.params[key]) for key, value in a.params.items())
    )


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
    _write(param_path, text)


def _read(path: str | os.PathLike[str], limit: int) -> bytes:
    try:
        data = read_regular(path, limit)
    except OSError as problem:
        raise GraphError(f"{path}: cannot be read: {problem.strerror or problem}") from None
    if len(data) > limit:
        raise GraphError(f"{path}: larger than {limit} bytes, the most that is read")
    return data


def _write(path: str | os.PathLike[str], content: bytes | Iterable[bytes]) -> None:
    try:
        atomic_replace(Path(path), content)
    except OSError as problem:
        raise GraphError(f"{path}: cannot be written: {problem.strerror or problem}") from None
