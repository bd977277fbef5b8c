"""One weight blob of a .bin file: the array as stored and the encoding it is stored in.

ncnn stores a "tagged" blob as a 32-bit tag, the data and zero bytes up to a multiple of 4; a "raw" blob is
float32 data alone. Whether a blob is tagged is fixed by the layer type, see `weight_slots`.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pocketdet.errors import GraphError

Storage = Literal["raw", "fp32", "fp32_scaled", "fp16", "bf16", "int8", "table256"]
AnyArray = (
    NDArray[np.float32] | NDArray[np.float16] | NDArray[np.uint16] | NDArray[np.int8] | NDArray[np.uint8]
)

TAG_OF: dict[Storage, int] = {
    "fp32": 0x00000000,
    "fp32_scaled": 0x0002C056,
    "fp16": 0x01306B47,
    "bf16": 0x01348B83,
    "int8": 0x000D4B38,
}
DTYPES: dict[Storage, np.dtype[np.generic]] = {
    "raw": np.dtype("<f4"),
    "fp32": np.dtype("<f4"),
    "fp32_scaled": np.dtype("<f4"),
    "fp16": np.dtype("<f2"),
    "bf16": np.dtype("<u2"),
    "int8": np.dtype("i1"),
    "table256": np.dtype("u1"),
}


@dataclass(frozen=True, eq=False)
class Weight:
    """A blob in its natural shape, for example (out, in / group, kernel_h, kernel_w) for a convolution.

    `data` holds the stored elements: float32, float16, int8, the 16 bits of a bfloat16 as uint16, or the
    uint8 indices into `table` (256 float32). Arrays that were read from a file are read-only: replace them.
    `tag` and `padding` are kept from the file for a table256 blob's own tag and for non-zero padding bytes.
    """

    data: AnyArray
    storage: Storage
    table: NDArray[np.float32] | None = None
    tag: int = field(default=1, repr=False)
    padding: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        if self.data.dtype != DTYPES[self.storage]:
            raise GraphError(
                f"{self.storage} weights need {DTYPES[self.storage]} data, found {self.data.dtype}"
            )
        if (self.storage == "table256") != (self.table is not None):
            raise GraphError("a table256 weight needs its table, and no other storage has one")
        if self.table is not None and (self.table.shape != (256,) or self.table.dtype != np.float32):
            raise GraphError(
                f"a table256 weight needs 256 float32 values, found {self.table.dtype}{self.table.shape}"
            )

    def values(self) -> NDArray[np.float32] | NDArray[np.int8]:
        """The numbers ncnn computes with: float32, or int8 as stored (its scales are blobs of their own)."""
        if self.data.dtype == np.int8:
            return self.data.view(np.int8)
        if self.table is not None:
            return self.table[np.asarray(self.data, np.uint8)]
        if self.storage == "bf16":
            return (self.data.astype(np.uint32) << np.uint32(16)).view(np.float32)
        return self.data.astype(np.float32)

    def with_values(self, values: NDArray[np.float32] | NDArray[np.int8]) -> "Weight":
        """New numbers in the same storage; a table256, whose table fits the old ones, becomes fp32."""
        return encode(values, "fp32" if self.storage == "table256" else self.storage)

    @property
    def nbytes(self) -> int:
        """Bytes in the .bin file, tag and padding included."""
        payload = self.data.nbytes + (-self.data.nbytes) % 4
        return (
            payload + (0 if self.storage == "raw" else 4) + (0 if self.table is None else self.table.nbytes)
        )


def encode(values: NDArray[np.float32] | NDArray[np.int8], storage: Storage) -> Weight:
    """Round `values` to `storage` (nearest, ties to even).

    Raises GraphError when float16 would turn a finite number into infinity, or int8 is asked of floats.
    """
    if storage == "table256":
        raise GraphError("table256 storage can be read and written back, not created")
    if storage == "int8":
        if values.dtype != np.int8:
            raise GraphError(f"int8 storage needs int8 values, found {values.dtype}")
        return Weight(values.view(np.int8), storage)
    source = np.asarray(values, dtype="<f4")
    if storage == "bf16":
        bits = source.view(np.uint32)
        rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
        return Weight(rounded.astype("<u2"), storage)
    if storage == "fp16":
        with np.errstate(over="ignore"):
            half = source.astype("<f2")
        if bool(np.any(np.isinf(half) & np.isfinite(source))):
            raise GraphError(f"a weight of {float(np.abs(source).max()):g} is beyond the range of float16")
        return Weight(half, storage)
    return Weight(source, storage)
