"""Changes to the .param and .bin files of a bundle that leave them looking like a graph."""

import importlib.util
import struct
import sys
from pathlib import Path

import numpy as np
from corruptions import Corruption, edit_param, pick_file, repair_counts

NCNN_BUILD = Path(__file__).parents[2] / "runtime" / "native" / "build_ncnn.py"
# Layer type, parameter and value: each crashed pocketdet-run once.
CRASHED_ONCE = (
    ("Convolution", 3, "7"),
    ("Convolution", 2, "65536"),
    ("Slice", 1, "3"),
    ("Concat", 0, "2147483647"),
    ("Reshape", 1, "65536"),
)
VALUES = (
    "0", "1", "-1", "2", "3", "4", "5", "7", "8", "9", "13", "16", "32", "-2", "-3", "-233", "-234",
    "100", "101", "102", "255", "4096", "65535", "65536", "16777216", "1073741824", "2147483647",
    "-2147483648", "4294967296", "0.0", "0.5", "-1.5", "1e-30", "1e30", "3.5e38", "nan", "inf", "1,2,3",
    "0,1,2,3,4", "",
)  # fmt: skip
ARRAYS = (
    "1,0",
    "1,-1",
    "1,2147483647",
    "2,-233,-233",
    "2,1,2",
    "3,0,1,2",
    "3,1,1,1",
    "2,0.5,0.5",
    "0",
    "9,1",
    "",
)
# Of 4 bytes before a layer's weights: fp32, and the other storages that ncnn knows.
TAGS = (0, 0x0002C056, 0x01306B47, 0x01348B83, 0x000D4B38, 1, 0xFFFFFFFF)
FLOATS = (float("nan"), float("inf"), float("-inf"), 1e30, -1e30, 3.4e38, 1e-40, 0.0, -1.0, 1e6)


def change_parameters(folder: Path, rng: np.random.Generator) -> None:
    """Replace, scale, add, remove or renumber one parameter of one layer."""
    path, lines, row, words, first = _pick_layer(folder, rng)
    if rng.random() < 0.2 and _repeat_a_crash(path, lines, rng):
        return
    places = list(range(first, len(words)))
    kind = rng.integers(6)
    value = VALUES[rng.integers(len(VALUES))]
    if not places or kind == 0:
        words.append(_new_parameter(rng))
    else:
        place = places[rng.integers(len(places))]
        key, _, old = words[place].partition("=")
        if kind == 1:
            del words[place]
        elif kind == 2 and old.lstrip("-").isdigit():
            words[place] = f"{key}={int(old) + int(rng.choice([-2, -1, 1, 2, int(old), 7 * int(old)]))}"
        elif kind == 3 and "," in old:
            words[place] = f"{key}={ARRAYS[rng.integers(len(ARRAYS))]}"
        elif kind == 4:
            words[place] = f"{rng.integers(-1, 33)}={old}"
        else:
            words[place] = f"{key}={value}"
    lines[row] = " ".join(words)
    _write(path, lines)


def _repeat_a_crash(path: Path, lines: list[str], rng: np.random.Generator) -> bool:
    found = [crash for crash in CRASHED_ONCE if any(line.split(" ")[0] == crash[0] for line in lines)]
    if found:
        set_parameter(path, *found[rng.integers(len(found))])
    return bool(found)


def set_parameter(path: Path, layer_type: str, key: int, value: str) -> None:
    """Of the first layer of a type that a .param file has."""
    lines = path.read_text().splitlines()
    row = next(row for row, line in enumerate(lines) if line.split(" ")[0] == layer_type)
    words = [word for word in lines[row].split() if not word.startswith(f"{key}=")]
    lines[row] = " ".join([*words, f"{key}={value}"])
    _write(path, lines)


def change_type(folder: Path, rng: np.random.Generator) -> None:
    """Another layer type in place of one, with the parameters as they were or new ones."""
    path, lines, row, words, first = _pick_layer(folder, rng)
    words[0] = layer_types()[rng.integers(len(layer_types()))]
    if rng.random() < 0.4:
        words[first:] = [_new_parameter(rng) for _ in range(rng.integers(4))]
    lines[row] = " ".join(words)
    _write(path, lines)


def insert_layer(folder: Path, rng: np.random.Generator) -> None:
    """A layer of any type between another and its first reader."""
    path, lines, row, words, first = _pick_layer(folder, rng)
    outputs = words[first - int(words[3]) : first]
    if not outputs:
        return
    blob, kind = outputs[rng.integers(len(outputs))], layer_types()[rng.integers(len(layer_types()))]
    name = f"x{rng.integers(1 << 30)}"
    for later in range(row + 1, len(lines)):
        changed = lines[later].split()
        end = 4 + int(changed[2])
        if blob in changed[4:end]:
            changed[4:end] = [name if word == blob else word for word in changed[4:end]]
            lines[later] = " ".join(changed)
    parameters = [_new_parameter(rng) for _ in range(rng.integers(4))]
    lines.insert(row + 1, " ".join([kind, name, "1", "1", blob, name, *parameters]))
    repair_counts(lines)
    _write(path, lines)


def rewire(folder: Path, rng: np.random.Generator) -> None:
    """Change who reads what: swap, repeat, rename, add or drop a blob, move or drop a layer."""
    path, lines, row, words, first = _pick_layer(folder, rng)
    _, _, other_row, other, other_first = _pick_layer(folder, rng, path)
    blobs, others = list(range(4, first)), list(range(4, other_first))
    kind = rng.integers(7)
    if kind == 0 and row != other_row and blobs and others:
        one, two = int(rng.choice(blobs)), int(rng.choice(others))
        words[one], other[two] = other[two], words[one]
        lines[other_row] = " ".join(other)
    elif kind == 1 and blobs and others:
        words[int(rng.choice(blobs))] = other[int(rng.choice(others))]
    elif kind == 2 and blobs:
        words[int(rng.choice(blobs))] = str(rng.choice(["new", "in0", "out0", "x" * 300, "é", "0", "=1"]))
    elif kind == 3 and others:
        words[2] = str(int(words[2]) + 1)
        words.insert(4, other[int(rng.choice(others))])
    elif kind == 4 and blobs:
        place = int(rng.choice(blobs))
        count = 2 if place < 4 + int(words[2]) else 3
        words[count] = str(int(words[count]) - 1)
        del words[place]
    elif kind == 5:
        words[int(rng.integers(2, 4))] = str(
            rng.choice(["0", "1", "2", "3", "9", "-1", "9999999", "2147483648"])
        )
    lines[row] = " ".join(words)
    if kind == 6:
        lines.insert(int(rng.integers(2, len(lines))), lines.pop(row))
    if rng.random() < 0.9:
        repair_counts(lines)
    _write(path, lines)


def change_weights(folder: Path, rng: np.random.Generator) -> None:
    """Another tag, values that are no weights, words added or taken out."""
    path = pick_file(folder, rng, "*.bin")
    data = bytearray(path.read_bytes())
    words = len(data) // 4
    place = 4 * int(rng.integers(words)) if words else 0
    tags = [i for i in range(0, 4 * words, 4) if struct.unpack_from("<I", data, i)[0] in TAGS]
    kind = rng.integers(5)
    if kind == 0 and tags:
        struct.pack_into("<I", data, tags[rng.integers(len(tags))], TAGS[rng.integers(len(TAGS))])
    elif kind == 1 and words:
        for at in range(place, min(place + 4 * int(rng.integers(1, 9)), 4 * words), 4):
            struct.pack_into("<f", data, at, FLOATS[rng.integers(len(FLOATS))])
    elif kind == 2:
        data[place:place] = rng.bytes(4 * int(rng.integers(1, 9)))
    elif kind == 3:
        del data[place : place + int(rng.choice([1, 2, 4, 32, 400]))]
    elif words:
        data[place : place + 8] = rng.bytes(len(data[place : place + 8]))
    path.write_bytes(data)


def layer_types() -> tuple[str, ...]:
    """Those that a bundle may hold, and some that it may not."""
    return (*_IN_BUNDLES, "LSTM", "Quantize", "Packing", "YoloDetectionOutput", "SDPA", "Nothing", "", "45")


def _in_bundles() -> tuple[str, ...]:
    spec = importlib.util.spec_from_file_location("build_ncnn", NCNN_BUILD)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return tuple(module.IN_BUNDLES)


_IN_BUNDLES = _in_bundles()


def _pick_layer(
    folder: Path, rng: np.random.Generator, path: Path | None = None
) -> tuple[Path, list[str], int, list[str], int]:
    """A .param file, its lines, the number and words of one layer's line, and where its parameters begin."""
    path = path or pick_file(folder, rng, "*.param")
    lines = path.read_text().splitlines()
    rows = [row for row in range(2, len(lines)) if _parameters_at(lines[row].split()) is not None]
    row = rows[rng.integers(len(rows))]
    words = lines[row].split()
    first = _parameters_at(words)
    assert first is not None
    return path, lines, row, words, first


def _parameters_at(words: list[str]) -> int | None:
    """None where an earlier change has left no layer's line."""
    if len(words) < 4 or not (words[2].isdecimal() and words[3].isdecimal()):
        return None
    first = 4 + int(words[2]) + int(words[3])
    return first if first <= len(words) else None


def _new_parameter(rng: np.random.Generator) -> str:
    if rng.random() < 0.2:
        return f"{-23300 - int(rng.integers(32))}={ARRAYS[rng.integers(len(ARRAYS))]}"
    return f"{rng.integers(32)}={VALUES[rng.integers(len(VALUES))]}"


def _write(path: Path, lines: list[str]) -> None:
    path.write_text("\n".join(lines) + "\n")


EDITS: dict[str, tuple[Corruption, ...]] = {
    "parameters": (change_parameters,),
    "connections": (rewire,),
    "layer types": (change_type, insert_layer),
    "lines": (edit_param,),
    "weights": (change_weights,),
}
