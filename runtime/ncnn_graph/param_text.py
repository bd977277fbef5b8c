"""The .param text format: `7767517`, the counts, then one layer a line.

`type name input_count output_count inputs... outputs... id=value...`, separated by blanks. ncnn's scanner
would also take tokens over several lines; writers never do that, and here a layer is exactly one line.
"""

import re

from pocketdet.runtime import _core
from pocketdet.runtime.ncnn_graph.model import Graph, Header, Layer
from pocketdet.runtime.ncnn_graph.params import ParamValue, format_param, same_value

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
