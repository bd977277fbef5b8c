"""The .bin format: the weight blobs of all layers one after the other, little-endian, without an index.

Only the .param says where a blob begins, so a file is valid when the blobs that the layers need consume it
exactly.
"""

import struct
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from pocketdet.errors import GraphError
from pocketdet.runtime.ncnn_graph.model import Layer
from pocketdet.runtime.ncnn_graph.weight import DTYPES, TAG_OF, TAGS, Storage, Weight
from pocketdet.runtime.ncnn_graph.weight_slots import Slot, weight_slots

_TABLE_BYTES = 256 * 4


def read_weights(layers: Iterable[Layer], data: bytes | memoryview, source: str = ".bin") -> None:
    """Fill `weights` of every layer from the bytes of a .bin file (arrays are read-only views of `data`).

    Raises GraphError naming the layer at which the file ends early, or the surplus. Nothing is allocated in
    proportion to what the parameters claim.
    """
    view = memoryview(data)
    offset = 0
    for layer in layers:
        weights: dict[str, Weight] = {}
        for slot in weight_slots(layer):
            weights[slot.role], offset = _read_blob(layer, slot, view, offset, source)
        layer.weights = weights
    if offset != len(view):
        raise GraphError(
            f"{source}: the layers need {offset} bytes of weights and the file has {len(view)};"
            " do the .param and .bin belong together?"
        )


def weight_chunks(layers: Iterable[Layer]) -> Iterable[bytes]:
    """The bytes of a .bin file, blob after blob. Raises GraphError for a blob that does not fit its layer."""
    for layer in layers:
        slots = weight_slots(layer)
        if set(layer.weights) != {slot.role for slot in slots}:
            expected = [slot.role for slot in slots]
            raise layer.error(f"needs the weights {expected} and has {list(layer.weights)}")
        for slot in slots:
            yield _blob_bytes(layer, slot)


def _read_blob(layer: Layer, slot: Slot, view: memoryview, offset: int, source: str) -> tuple[Weight, int]:
    """Return the blob at `offset` and the offset after it."""
    storage: Storage = "raw"
    tag, table = 1, None
    if slot.tagged:
        raw_tag, offset = _take(layer, slot, view, offset, 4, source)
        tag = struct.unpack("<I", raw_tag)[0]
        storage = TAGS.get(tag, "table256")
        if storage == "table256":
            raw_table, offset = _take(layer, slot, view, offset, _TABLE_BYTES, source)
            table = np.frombuffer(raw_table, dtype="<f4")
    dtype = DTYPES[storage]
    size = slot.count * dtype.itemsize
    payload, offset = _take(layer, slot, view, offset, size + (-size) % 4, source)
    data: NDArray[np.generic] = np.frombuffer(payload[:size], dtype=dtype).reshape(slot.shape)
    data.flags.writeable = False
    return Weight(data, storage, table, tag, bytes(payload[size:])), offset  # type: ignore[arg-type]


def _take(
    layer: Layer, slot: Slot, view: memoryview, offset: int, size: int, source: str
) -> tuple[memoryview, int]:
    if size > len(view) - offset:
        raise layer.error(
            f"{source} ends early: {size} bytes of its {slot.role} {slot.shape} are needed at byte {offset}"
            f" and {len(view) - offset} are left"
        )
    return view[offset : offset + size], offset + size


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
