"""Which weight blobs a layer has in the .bin file: order, shape and whether each is tagged.

Convolution weights are (out, in / group, kernel_h, kernel_w), deconvolution weights too (output channel
first, unlike PyTorch); InnerProduct is (out, in); a constant Gemm operand is the matrix as stored, before its
own transpose flag.
"""

from dataclasses import dataclass
from math import prod

from pocketdet.runtime import _core
from pocketdet.runtime.ncnn_graph.model import Layer


@dataclass(frozen=True)
class Slot:
    """Place of one blob: `tagged` blobs choose their own storage, the others are raw float32."""

    role: str
    shape: tuple[int, ...]
    tagged: bool = False

    @property
    def count(self) -> int:
        """Number of elements."""
        return prod(self.shape)


def weight_slots(layer: Layer) -> tuple[Slot, ...]:
    """The blobs of a layer, in file order; empty for a type without weights.

    Raises GraphError for a type whose layout is not known here, and for parameters that give no sane shape.
    """
    return tuple(Slot(*slot) for slot in _core.weight_slots(layer))


def has_known_weights(layer_type: str) -> bool:
    """Whether `weight_slots` knows this layer type."""
    return _core.has_known_weights(layer_type)
