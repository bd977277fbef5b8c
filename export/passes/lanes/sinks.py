"""Where the channels of a graph must arrive, and in which order."""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from pocketdet.export.passes.lanes.roles import Role
from pocketdet.runtime.ncnn_graph import Graph

SinkKind = Literal["absorb", "fixed", "output", "kept"]


@dataclass(frozen=True)
class Sink:
    """A place where values must arrive. `absorb`: in any order; the others: value k at position k.

    Padding behind the values of a `fixed` or `output` sink can be cut off, a `kept` blob stays as it is.
    `layer` and `input` number the reader; both are -1 for an output of the graph and for a blob that the
    caller wants kept.
    """

    kind: SinkKind
    blob: str
    layer: int = -1
    input: int = -1

    def reader(self, graph: Graph) -> str:
        """Who wants the values, for messages."""
        if self.layer < 0:
            return f"the {'output' if self.kind == 'output' else 'kept blob'} {self.blob!r}"
        layer = graph.layers[self.layer]
        return f"{layer.type} {layer.name!r}"


def sinks_of(
    graph: Graph, roles: Sequence[Role], followed: Container[str], kept: Iterable[str]
) -> list[Sink]:
    """All sinks at blobs in `followed`; `kept` are inner blobs that a caller will extract.

    Noop only keeps what it gets from being optimised away, as at the end of NanoDet: a program reads it.
    """
    int8 = _int8_blobs(graph)
    sinks = []
    for number, (layer, role) in enumerate(zip(graph.layers, roles, strict=True)):
        if role.kind == "make":
            sinks.append(Sink("absorb", layer.inputs[0], number, 0))
        for i in role.fixed:
            kind: SinkKind = "kept" if layer.inputs[i] in int8 else "fixed"
            sinks.append(Sink(kind, layer.inputs[i], number, i))
    outputs = graph.output_names()
    held = [blob for layer in graph.layers if layer.type == "Noop" for blob in layer.inputs]
    sinks += [Sink("output", blob) for blob in outputs]
    sinks += [Sink("kept", blob) for blob in [*kept, *held] if blob not in outputs]
    return [sink for sink in sinks if sink.blob in followed]


def _int8_blobs(graph: Graph) -> set[str]:
    """Blobs of int8 values, made by convolutions with an output scale: nothing can be cut off them, because
    ncnn's Crop reads packed channels as floats.
    """
    found: set[str] = set()
    for layer in graph.layers:
        requantised = layer.type.startswith("Convolution") and layer.int_param(8, 0) > 100
        if requantised or (layer.type == "Split" and not found.isdisjoint(layer.inputs)):
            found.update(layer.outputs)
    return found
