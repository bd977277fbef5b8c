"""The .bin format: the weight blobs of all layers one after the other, little-endian, without an index.

Only the .param says where a blob begins, so a file is valid when the blobs that the layers need consume it
exactly.
"""

import struct
from collections.abc import Collection, Iterable

import numpy as np
from numpy.typing import NDArray

from pocketdet.runtime import _core
from pocketdet.runtime.ncnn_graph.model import Layer
from pocketdet.runtime.ncnn_graph.weight import DTYPES, TAG_OF, Storage, Weight
from pocketdet.runtime.ncnn_graph.weight_slots import Slot, weight_slots

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
