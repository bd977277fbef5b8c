"""Changes to manifest.json: any value, values that are allowed, sizes that fit each other, its text."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from corruptions import Corruption, edit_manifest

SECTIONS = (
    "decode",
    "anchors",
    "proposals",
    "roi_head",
    "postprocessing",
    "preprocessing",
    "input",
    "class_names",
)
NUMBERS: tuple[float, ...] = (
    0, 1, 2, 3, 4, 5, 7, 8, 16, 31, 32, 64, 100, 255, 256, 1000, 4096, 10_000, 100_000, 100_000_000, -1, -7,
    0.0, 1e-6, 0.25, 0.5, 0.999, 1.0, 1.5, 8.0, 80.0, 1e6, -1e6, 1e-40, 5e-324, 16777217.0, 2**31 - 1, 2**63,
)  # fmt: skip
WORDS = (
    "none", "hard", "linear", "gaussian", "sigmoid", "softmax", "tanh", "exp", "relu", "anchor", "prior",
    "stride", "input", "pixel", "cxcywh", "distance", "xyxy", "centre", "corner", "square", "map", "rows",
    "columns", "first", "last", "maps", "sam", "image", "stretch", "letterbox_top_left", "BGR", "in0", "out0",
    "out1", "c1", "x" * 200, "x" * 201, "é" * 200, "\ud800", "a\nb", "a\0b", "",
)  # fmt: skip


def change_setting(folder: Path, rng: np.random.Generator) -> None:
    """One number, word or list of what drives the stages, often to a value that is allowed."""
    document = _read(folder)
    places = [place for name in SECTIONS if name in document for place in _leaves(document[name], (name,))]
    *path, last = places[rng.integers(len(places))]
    parent: Any = document
    for key in path:
        parent = parent[key]
    old = parent[last]
    if isinstance(parent, list) and rng.random() < 0.2:
        parent[:] = [parent[:-1], [*parent, old], parent[::-1], parent * 40][rng.integers(4)]
    elif isinstance(old, str):
        parent[last] = WORDS[rng.integers(len(WORDS))]
    elif isinstance(old, bool) or old is None:
        parent[last] = [True, False, None, 1, 3, 100_000_000][rng.integers(6)]
    else:
        number = NUMBERS[rng.integers(len(NUMBERS))]
        parent[last] = type(old)(number) if rng.random() < 0.8 else number
    _write(folder, document)


def change_output_fields(folder: Path, rng: np.random.Generator) -> None:
    """Steps, halves and strides of the fields of a one-stage detector, mostly in range."""
    document = _read(folder)
    if "decode" not in document:
        change_setting(folder, rng)
        return
    levels = document["decode"]["levels"]
    level = levels[rng.integers(len(levels))]
    field = level[str(rng.choice(["classes", "objectness"]))] if rng.random() < 0.5 else level["boxes"][0]
    kind = rng.integers(4)
    if kind == 0:
        steps = [("cell_step", "anchor_step"), ("first_row", "cell_step"), ("anchor_channels",)]
        for name in steps[rng.integers(3)]:
            field[name] = [0, 1, 2, 4, 16, 100_000_000, None, -1][rng.integers(8)]
    elif kind == 1:
        field["layout"] = str(rng.choice(["map", "rows", "columns"]))
    elif kind == 2:
        half = {**field, "first": int(rng.choice([0, 2, 5, 6, 100_000_000]))}
        level["sizes"] = [[half], [None], [half, half], half, None][rng.integers(5)]
    else:
        level["stride"] = [8, [8, 16.5], [8, 0.5], [8], 1e-3, 4096, "8"][rng.integers(7)]
    _write(folder, document)


def change_blobs(folder: Path, rng: np.random.Generator) -> None:
    """The inputs and outputs of a graph: their names, roles, order and lengths."""
    document = _read(folder)
    graphs = list(document["graphs"].values())
    graph = graphs[rng.integers(len(graphs))]
    tensors = graph["outputs" if rng.random() < 0.7 else "inputs"]
    if not tensors:
        return
    tensor = tensors[rng.integers(len(tensors))]
    kind = rng.integers(6)
    if kind < 2 and tensor["shape"]:
        shape = tensor["shape"]
        place = int(rng.integers(len(shape)))
        shape[place] = [None, 1, 0, 7, 1 << 24, (shape[place] or 1) + 1, (shape[place] or 1) * 2][
            rng.integers(7)
        ]
    elif kind == 2:
        tensor["shape"] = [tensor["shape"][1:], [1, *tensor["shape"]], tensor["shape"][::-1]][rng.integers(3)]
    elif kind == 3:
        tensor["blob"] = str(rng.choice(["in0", "out0", "out1", "c1", "b3", "nothing", "x" * 200]))
    elif kind == 4:
        tensor["role"] = str(rng.choice(["image", "maps", "rows", "sam", "rpn_scores", "roi_features", "x"]))
    else:
        tensors[:] = [tensors[::-1], [*tensors, tensor], tensors[1:], tensors * 30][rng.integers(4)]
    _write(folder, document)


def change_input_size(folder: Path, rng: np.random.Generator) -> None:
    """Another size of the network's input wherever it is written: only its consequences can be wrong."""
    document = _read(folder)
    height, width = (int(rng.choice([1, 8, 16, 31, 33, 48, 64, 320, 1024, 4096, 5000])) for _ in range(2))
    document["input"] = {"height": height, "width": width}
    old = 32
    if "decode" in document:
        document["decode"]["input_size"] = [height, width]
        for level in document["decode"]["levels"]:
            level["grid"] = [level["grid"][0] * height // old, level["grid"][1] * width // old]
    for name, graph in document["graphs"].items():
        for tensor in [] if name == "head" else [*graph["inputs"], *graph["outputs"]]:
            if len(tensor["shape"]) == 3:
                channels, rows, columns = tensor["shape"]
                scaled = ((rows or 1) * height // old, (columns or 1) * width // old)
                tensor["shape"] = [channels, *(max(side, 1) for side in scaled)]
        param = folder / graph["param"]
        if param.exists():
            param.write_text(param.read_text().replace("in0 0=32 1=32 2=3", f"in0 0={width} 1={height} 2=3"))
    _write(folder, document)


def change_text(folder: Path, rng: np.random.Generator) -> None:
    """What a parser of JSON may read in more than one way."""
    path = folder / "manifest.json"
    text = path.read_text()
    name, number = '"name": "tiny"', '"height": 32'
    first = text.find("{") + 1
    changes: tuple[bytes, ...] = (
        text.replace(number, '"height": 32.0').encode(),
        text.replace(number, '"height": 3.2e1').encode(),
        text.replace(number, '"height": 32, "height": 32').encode(),
        text.replace(number, '"height": 032').encode(),
        text.replace(number, '"height": 32, "h\\u0065ight": 32').encode(),
        (text[:first] + '"card": {"a": NaN}, ' + text[first:]).encode(),
        (text[:first] + '"card": {"a": "\\ud800"}, ' + text[first:]).encode(),
        (text[:first] + '"card": {"a": "\\u0000", "": ""}, ' + text[first:]).encode(),
        (text[:first] + '"card": ' + "[" * 5000 + "]" * 5000 + ", " + text[first:]).encode(),
        (text[:first] + '"card": ' + '{"a":' * 40 + "1" + "}" * 40 + ", " + text[first:]).encode(),
        (text[:first] + '"schema_version": 1e400, ' + text[first:]).encode(),
        text.replace(name, f'"name": {"9" * 400}').encode(),
        text.replace("0.5", "5e-1").encode(),
        text.replace("0.5", "1e-400").encode(),
        text.replace("0.5", f"0.5{'0' * 400}1").encode(),
        b"\xef\xbb\xbf" + text.encode(),
        text.encode("utf-16"),
        text.encode("utf-32"),
        text.encode() + b"\0",
        text.encode() + b"{}",
        text.encode().replace(b"tiny", b"t\xffny"),
        text.encode().replace(b"tiny", b"t\xed\xa0\x80ny"),
        text.replace("tiny", "t\tny").encode(),
        text.replace(",", ",\r\n\t ").encode(),
        text.replace(",", ",/* */", 1).encode(),
        text.rstrip()[:-1].encode() + b",}",
        b"", b"null", b"[]", b'"manifest"', b"{}", b"\n" * 100_000 + text.encode(),
    )  # fmt: skip
    path.write_bytes(changes[rng.integers(len(changes))])


def change_version(folder: Path, rng: np.random.Generator) -> None:
    """Another schema version, with and without the fields of that version."""
    document = _read(folder)
    document["schema_version"] = [0, 1, 2, 3, 4, 5, 6, 7, -1, 1.0, "3", True, None, 2**64][rng.integers(14)]
    if rng.random() < 0.5:
        document["layout"].pop("fp32_modules", None)
        for graph in document["graphs"].values():
            graph.pop("arithmetic", None)
    if rng.random() < 0.2:
        document["detector"] = str(rng.choice(["two-stage", "one-stage", "x"]))
    _write(folder, document)


def change_listing(folder: Path, rng: np.random.Generator) -> None:
    """The list of files: paths that leave the bundle or collide, sizes and hashes that are none."""
    document = _read(folder)
    files = document["files"]
    name = sorted(files)[rng.integers(len(files))]
    entry = files[name]
    kind = rng.integers(7)
    if kind == 0:
        path = rng.choice(
            ["../x", "/etc/passwd", "a/../b", "A.bin", "a//b", "a/", ".x", "x" * 101, "a\\b", "é"]
        )
        files[str(path)] = entry
    elif kind == 1:
        files[name.upper()] = entry
    elif kind == 2:
        files[str(rng.choice(["manifest.json", "Manifest.json", f"{name}/x", name.split("/")[0], "con"]))] = (
            entry
        )
    elif kind == 3:
        entry["size"] = [0, -1, entry["size"] + 1, 2**31, 2**31 + 1, 2**63, 1.0, True][rng.integers(8)]
    elif kind == 4:
        old = entry["sha256"]
        entry["sha256"] = [old.upper(), old[1:], old + "\n", old + "0", "", None, "0" * 64][rng.integers(7)]
    elif kind == 5:
        del files[name]
    else:
        files |= {f"f{i}": {"size": 0, "sha256": "0" * 64} for i in range(int(rng.choice([1, 125, 1000])))}
    _write(folder, document)


def _has_sizes(document: dict[str, Any]) -> bool:
    sizes = document.get("sizes")
    return isinstance(sizes, list) and bool(sizes) and all(isinstance(size, dict) and size for size in sizes)


def change_sizes(folder: Path, rng: np.random.Generator) -> None:
    """The list of further input sizes: repeated, mixed with the first, of other types, too many."""
    document = _read(folder)
    if not _has_sizes(document):
        document["schema_version"] = 5
        names = [name for name in ("input", "graphs", "layout", "golden", "decode") if name in document]
        document["sizes"] = [{name: document[name] for name in names}]
        document["sizes"][0]["input"] = {"height": int(rng.choice([16, 32, 64])), "width": 32}
    sizes = document["sizes"]
    size = sizes[rng.integers(len(sizes))]
    name = sorted(size)[rng.integers(len(size))]
    kind = rng.integers(6)
    if kind == 0:
        size[name], document[name] = document.get(name), size[name]
    elif kind == 1:
        del size[name]
    elif kind == 2:
        sizes += [size] * int(rng.choice([1, 6, 7, 8]))
    elif kind == 3:
        size[str(rng.choice(["sizes", "files", "anchors", "detector", "x"]))] = document.get(name)
    elif kind == 4:
        document["sizes"] = [[], None, {}, [None], [[]], [size, size], "x", 8][rng.integers(8)]
    else:
        size["input"] = {"height": int(rng.choice([0, 1, 32, 64, 4097])), "width": int(rng.choice([32, 64]))}
    _write(folder, document)


def _read(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "manifest.json").read_text()))


def _write(folder: Path, document: dict[str, Any]) -> None:
    (folder / "manifest.json").write_text(json.dumps(document))


def _leaves(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    items: Any = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    if not isinstance(value, dict | list):
        yield path
    for key, inner in items:
        yield from _leaves(inner, (*path, key))


EDITS: dict[str, tuple[Corruption, ...]] = {
    "manifest values": (edit_manifest,),
    "settings": (change_setting, change_output_fields),
    "blobs and sizes": (change_blobs, change_input_size),
    "input sizes": (change_sizes,),
}
# These are made last, and the hashes are not made right after them: a list of files is what they change.
LAST: dict[str, tuple[Corruption, ...]] = {
    "manifest text": (change_text, change_version),
    "file list": (change_listing,),
}
