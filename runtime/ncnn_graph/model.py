"""An ncnn network as data: layers in execution order, their parameters and their weights.

ncnn decides the type of a parameter from its text alone: a `.`, `e` or `E` makes a float, a leading letter or
quote a string, anything else an int; `-233XX=n,a,b` and `XX=a,b` are both arrays of parameter XX. A layer
that asks for an int and finds a float silently gets the default, so the type is part of the value here and
never converted. Parsing is in C++, `runtime/native/graph/params.h`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from typing import Self

from pocketdet.errors import GraphError
from pocketdet.runtime import _core
from pocketdet.runtime.ncnn_graph.weight import Weight

Scalar = int | float
ParamValue = int | float | str | tuple[int, ...] | tuple[float, ...]

_OLD_ARRAY_BASE = -23300
_MAX_STRING_CHARS = 255
_INT32 = (-(2**31), 2**31 - 1)
_FLOAT_MAX = 3.4028235e38
_BARE_STRING = re.compile(r"[A-Za-z][^ \t\",]*\Z")


def format_param(key: int, value: ParamValue) -> str:
    """One field as text; arrays in the `-233XX=` form that every ncnn release reads."""
    if isinstance(value, tuple):
        return ",".join([f"{_OLD_ARRAY_BASE - key}={len(value)}", *map(_format_number, value)])
    if isinstance(value, str):
        if '"' in value or "\n" in value or "\r" in value or len(value) > _MAX_STRING_CHARS:
            raise GraphError(f"parameter {key}: the string {value[:40]!r} cannot be written in a .param file")
        return f"{key}={value}" if _BARE_STRING.match(value) else f'{key}="{value}"'
    return f"{key}={_format_number(value)}"


def same_value(a: ParamValue, b: ParamValue) -> bool:
    """Equal in type and value: 1 and 1.0 differ for ncnn, and so do 0.0 and -0.0."""
    return type(a) is type(b) and repr(a) == repr(b)


def _format_number(value: Scalar) -> str:
    if isinstance(value, float):
        if not abs(value) <= _FLOAT_MAX:
            raise GraphError(f"the float {value} cannot be written in a .param file")
        return f"{value:.8e}"
    if not _INT32[0] <= value <= _INT32[1]:
        raise GraphError(f"the integer {value} does not fit 32 bits")
    return str(int(value))


@dataclass
class Layer:
    """One line of the .param file and its share of the .bin file. Edit any field in place.

    `params` maps ncnn's parameter ids (0..31, array ids already translated from -233XX) to typed values.
    `weights` maps a role ("weight", "bias", "slope", ...; see `weight_slots`) to a blob, in the order of the
    file. `text` is the line as it was read: it is written back verbatim as long as the fields still say the
    same. `origin` is where the layer was read, for messages.
    """

    type: str
    name: str
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    params: dict[int, ParamValue] = field(default_factory=dict)
    weights: dict[str, Weight] = field(default_factory=dict)
    text: str = field(default="", repr=False, compare=False)
    origin: str = field(default="", repr=False, compare=False)

    def __str__(self) -> str:
        place = f"{self.origin}: " if self.origin else ""
        return f"{place}{self.type} {self.name!r}"

    def error(self, problem: str) -> GraphError:
        """A GraphError that names this layer and where it was read."""
        return GraphError(f"{self}: {problem}")

    def int_param(self, key: int, default: int) -> int:
        """Integer parameter. Raises GraphError on another type, where ncnn silently takes its default."""
        value = self.params.get(key, default)
        if not isinstance(value, int):
            raise self.error(f"parameter {key} must be an integer, found {value!r}")
        return value

    def float_param(self, key: int, default: float) -> float:
        """Float parameter; an integer is converted, as ncnn does."""
        value = self.params.get(key, default)
        if not isinstance(value, int | float):
            raise self.error(f"parameter {key} must be a number, found {value!r}")
        return float(value)

    def int_array(self, key: int) -> tuple[int, ...]:
        """Array of integers, empty when absent."""
        values = self.params.get(key, ())
        if not isinstance(values, tuple) or not all(isinstance(value, int) for value in values):
            raise self.error(f"parameter {key} must be an array of integers, found {values!r:.60}")
        return tuple(int(value) for value in values)

    def float_array(self, key: int) -> tuple[float, ...]:
        """Array of numbers as floats, empty when absent."""
        values = self.params.get(key, ())
        if not isinstance(values, tuple):
            raise self.error(f"parameter {key} must be an array, found {values!r}")
        return tuple(float(value) for value in values)


@dataclass(frozen=True)
class Header:
    """The first two lines of a .param file as they were read, and the counts of what really followed."""

    text: str
    declared_layers: int
    declared_blobs: int
    found_layers: int
    found_blobs: int

    @property
    def honest(self) -> bool:
        """Whether the declared counts are the real ones; ncnn ignores lines after the declared count."""
        return (self.declared_layers, self.declared_blobs) == (self.found_layers, self.found_blobs)


@dataclass
class Graph:
    """A network: `layers` in the order in which ncnn loads them. Edit the list and the layers in place.

    `header` and `trailer` are the text around the layers as read, so that an untouched graph is written
    verbatim. `structure_only` is true for a graph read from a .param alone: its layers have no weights.
    `source` names the file in messages.
    """

    layers: list[Layer] = field(default_factory=list)
    header: Header | None = field(default=None, compare=False)
    trailer: str = field(default="", repr=False, compare=False)
    structure_only: bool = False
    source: str = field(default="", compare=False)

    def layer(self, name: str) -> Layer:
        """The layer of that name. Raises GraphError when there is none."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise GraphError(f"the graph has no layer {name!r}")

    def blob_names(self) -> Iterator[str]:
        """Every blob once, in order of first mention."""
        return iter(dict.fromkeys(blob for layer in self.layers for blob in (*layer.inputs, *layer.outputs)))

    def producers(self) -> dict[str, Layer]:
        """Blob name -> the layer that makes it (the last one, should two claim it)."""
        return {blob: layer for layer in self.layers for blob in layer.outputs}

    def consumers(self) -> dict[str, list[Layer]]:
        """Blob name -> the layers that read it, in order; every blob has an entry."""
        readers: dict[str, list[Layer]] = {blob: [] for blob in self.blob_names()}
        for layer in self.layers:
            for blob in layer.inputs:
                readers[blob].append(layer)
        return readers

    def input_names(self) -> list[str]:
        """Blobs that a caller must feed: outputs of Input layers, then blobs that nothing produces."""
        made = self.producers()
        declared = [blob for layer in self.layers if layer.type == "Input" for blob in layer.outputs]
        loose = [blob for layer in self.layers for blob in layer.inputs if blob not in made]
        return list(dict.fromkeys([*declared, *loose]))

    def output_names(self) -> list[str]:
        """Blobs that no layer reads, in order of production."""
        readers = self.consumers()
        return [blob for layer in self.layers for blob in layer.outputs if not readers[blob]]

    def replace_layers(self, layers: list[Layer]) -> Self:
        """Put `layers` in place of the present ones and return the graph, for chaining passes."""
        self.layers = layers
        return self


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

    Convolution weights are (out, in / group, kernel_h, kernel_w), deconvolution weights too (output channel
    first, unlike PyTorch); InnerProduct is (out, in); a constant Gemm operand is the matrix as stored, before
    its own transpose flag.

    Raises GraphError for a type whose layout is not known here, and for parameters that give no sane shape.
    """
    return tuple(Slot(*slot) for slot in _core.weight_slots(layer))


def has_known_weights(layer_type: str) -> bool:
    """Whether `weight_slots` knows this layer type."""
    return _core.has_known_weights(layer_type)
