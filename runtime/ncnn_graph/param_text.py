"""The .param text format: `7767517`, the counts, then one layer a line.

`type name input_count output_count inputs... outputs... id=value...`, separated by blanks. ncnn's scanner
would also take tokens over several lines; writers never do that, and here a layer is exactly one line.
"""

import re
from itertools import islice

from pocketdet.errors import GraphError
from pocketdet.runtime.ncnn_graph.model import Graph, Header, Layer
from pocketdet.runtime.ncnn_graph.params import format_param, parse_params, same_value

MAGIC = 7767517
MAX_NAME_BYTES = 255
MAX_COUNT = 1_000_000
MAX_TEXT_CHARS = 8 * 1024 * 1024
_TOKEN = re.compile(r"[^ \t]+")
_COUNT = re.compile(r"[0-9]{1,7}\Z")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)")


def read_param(text: str, source: str = ".param") -> Graph:
    """Parse the text of a .param file into a graph without weights.

    `source` names the file in messages. Layers beyond the declared count are kept (ncnn ignores them;
    `validate` and `read_graph` refuse them). Raises GraphError naming the line.
    """
    lines = _split_lines(text, source)
    header_end, declared_layers, declared_blobs = _read_header(lines, source)
    layers: list[Layer] = []
    pending = ""
    for number, raw in enumerate(lines[header_end:], start=header_end + 1):
        pending += raw
        if raw.strip(" \t\r\n"):
            layers.append(_read_layer(pending, f"{source} line {number}"))
            pending = ""
    if len(layers) < declared_layers:
        raise GraphError(
            f"{source}: the header declares {declared_layers} layers and the file has {len(layers)}"
        )
    graph = Graph(layers, trailer=pending, structure_only=True, source=source)
    graph.header = Header(
        "".join(lines[:header_end]),
        declared_layers,
        declared_blobs,
        len(layers),
        sum(1 for _ in graph.blob_names()),
    )
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


def _split_lines(text: str, source: str) -> list[str]:
    if len(text) > MAX_TEXT_CHARS:
        raise GraphError(f"{source}: {len(text)} characters are more than a .param file may have")
    control = _CONTROL.search(text)
    if control is not None:
        line = text.count("\n", 0, control.start()) + 1
        raise GraphError(f"{source} line {line}: a control character {control[0]!r}; is this a binary file?")
    return re.findall(r"[^\n]*\n|[^\n]+\Z", text)


def _read_header(lines: list[str], source: str) -> tuple[int, int, int]:
    """Return (lines that the header takes, declared layers, declared blobs)."""
    filled = [(i, raw.split()) for i, raw in enumerate(lines[:64]) if raw.strip(" \t\r\n")][:2]
    if not filled or filled[0][1] != [str(MAGIC)]:
        found = " ".join(filled[0][1])[:40] if filled else "an empty file"
        raise GraphError(f"{source} line 1: expected the ncnn magic {MAGIC}, found {found!r}")
    if len(filled) < 2 or len(filled[1][1]) != 2 or not all(_COUNT.match(token) for token in filled[1][1]):
        raise GraphError(f"{source} line 2: expected the counts of layers and blobs")
    layers, blobs = (int(token) for token in filled[1][1])
    if not (1 <= layers <= MAX_COUNT and 1 <= blobs <= MAX_COUNT):
        raise GraphError(
            f"{source} line 2: counts must be 1..{MAX_COUNT}, found {layers} layers and {blobs} blobs"
        )
    return filled[1][0] + 1, layers, blobs


def _read_layer(text: str, origin: str) -> Layer:
    """Parse one line; `text` keeps its line end and the blank lines before it."""
    line = text.strip(" \t\r\n")
    tokens = _TOKEN.finditer(line)
    words = [match[0] for match in islice(tokens, 4)]
    if len(words) < 4 or not (_COUNT.match(words[2]) and _COUNT.match(words[3])):
        raise GraphError(f"{origin}: expected 'type name input_count output_count ...', found {line[:60]!r}")
    input_count, blob_count = int(words[2]), int(words[2]) + int(words[3])
    matches = list(islice(tokens, blob_count))
    if len(matches) < blob_count:
        raise GraphError(f"{origin}: {blob_count} blob names are declared and {len(matches)} are there")
    names = [*words[:2], *(match[0] for match in matches)]
    for name in names:
        if len(name.encode()) > MAX_NAME_BYTES:
            raise GraphError(f"{origin}: the name {name[:40]!r}... is longer than {MAX_NAME_BYTES} bytes")
    try:
        fields = parse_params(line[_end_of_names(line, blob_count) :])
    except GraphError as problem:
        raise GraphError(f"{origin}: {words[0]} {words[1]!r}: {problem}") from None
    params = {key: value for key, (value, _) in fields.items()}
    inputs, outputs = names[2 : 2 + input_count], names[2 + input_count :]
    return Layer(words[0], words[1], inputs, outputs, params, text=text, origin=origin)


def _end_of_names(line: str, blob_count: int) -> int:
    """Position after the last blob name of a line that is known to hold 4 + `blob_count` tokens."""
    return next(islice(_TOKEN.finditer(line), 3 + blob_count, None)).end()


def _layer_text(layer: Layer) -> str:
    """The line as read if it still says what the layer says, else a new one with unchanged fields kept."""
    written: dict[int, tuple[object, str]] = {}
    if layer.text:
        original = _read_layer(layer.text, layer.origin)
        if _same_layer(original, layer):
            return layer.text
        line = layer.text.strip(" \t\r\n")
        fields = parse_params(line[_end_of_names(line, len(original.inputs) + len(original.outputs)) :])
        written = {
            key: (value, text)
            for key, (value, text) in fields.items()
            if key in layer.params and same_value(value, layer.params[key])
        }
    for name in (layer.type, layer.name, *layer.inputs, *layer.outputs):
        if not name or re.search(r"[\s\x00-\x20\x7f]", name) or len(name.encode()) > MAX_NAME_BYTES:
            raise layer.error(f"the name {name[:40]!r} cannot be written in a .param file")
    head = f"{layer.type:<24} {layer.name:<24} {len(layer.inputs)} {len(layer.outputs)}"
    params = [written[k][1] if k in written else format_param(k, v) for k, v in layer.params.items()]
    return " ".join([head, *layer.inputs, *layer.outputs, *params]) + "\n"


def _same_layer(a: Layer, b: Layer) -> bool:
    return (
        (a.type, a.name, a.inputs, a.outputs) == (b.type, b.name, list(b.inputs), list(b.outputs))
        and list(a.params) == list(b.params)
        and all(same_value(value, b.params[key]) for key, value in a.params.items())
    )
