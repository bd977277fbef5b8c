"""Changes to the golden image and to the safetensors file of its stages; every chunk's CRC is right again."""

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from corruptions import Corruption

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SIDES = (0, 1, 24, 40, 41, 4096, 16384, 16385, 65536, 2**31 - 1, 2**31, 2**32 - 1)


def change_png_header(folder: Path, rng: np.random.Generator) -> None:
    """Another size, bit depth, colour type or interlacing in IHDR."""
    path = _image(folder)
    chunks = chunks_of(path.read_bytes())
    if not chunks:
        return
    kind, data = chunks[0]
    fields = list(struct.unpack(">IIBBBBB", data)) if len(data) == 13 else [1, 1, 8, 2, 0, 0, 0]
    place = int(rng.integers(7))
    fields[place] = int(rng.choice(_SIDES if place < 2 else (0, 1, 2, 3, 4, 6, 7, 8, 16, 255)))
    chunks[0] = (kind, struct.pack(">IIBBBBB", *fields))
    path.write_bytes(png_of(chunks))


def change_png_chunks(folder: Path, rng: np.random.Generator) -> None:
    """Chunks dropped, repeated, moved, cut, renamed, added; a length that is too large."""
    path = _image(folder)
    chunks = chunks_of(path.read_bytes())
    if not chunks:
        return
    place = int(rng.integers(len(chunks)))
    name, data = chunks[place]
    kind = rng.integers(7)
    if kind == 0:
        del chunks[place]
    elif kind == 1:
        chunks.insert(int(rng.integers(len(chunks) + 1)), chunks[place])
    elif kind == 2:
        chunks[place] = (name, data[: rng.integers(len(data) + 1)])
    elif kind == 3:
        other = [b"PLTE", b"tRNS", b"IEND", b"IDAT", b"IHDR", b"zTXt", b"iCCP", b"acTL", b"fdAT", b"ABCD"]
        chunks.insert(
            place, (other[rng.integers(len(other))], rng.bytes(int(rng.choice([0, 1, 3, 6, 30, 768, 999]))))
        )
    elif kind == 4:
        flipped = bytearray(data)
        for _ in range(int(rng.integers(1, 4)) if data else 0):
            flipped[rng.integers(len(flipped))] ^= 1 << int(rng.integers(8))
        chunks[place] = (name, bytes(flipped))
    elif kind == 5:
        chunks[place] = (name, data + rng.bytes(20))
    content = png_of(chunks)
    if kind == 6:
        at = content.find(name) - 4
        content = content[:at] + struct.pack(">I", int(rng.choice(_SIDES))) + content[at + 4 :]
    path.write_bytes(content)


def change_pixels(folder: Path, rng: np.random.Generator) -> None:
    """Scan lines that inflate to more, less or another filter than the header says."""
    path = _image(folder)
    chunks = chunks_of(path.read_bytes())
    places = [i for i, (name, _) in enumerate(chunks) if name == b"IDAT"]
    if not places:
        return
    rows = bytearray(rng.bytes(24 * (1 + 3 * 40)))
    rows[:: 1 + 3 * 40] = bytes([int(rng.integers(7))]) * 24
    count = int(rng.choice([0, 1, len(rows) - 1, len(rows), len(rows) + 1, 60_000_000]))
    rows = bytearray(count) if count > len(rows) + 1 else rows[:count]
    chunks[places[0]] = (b"IDAT", zlib.compress(bytes(rows), int(rng.choice([0, 9]))))
    path.write_bytes(png_of(chunks))


def replace_image(folder: Path, rng: np.random.Generator) -> None:
    """Another sound image, or one of another format."""
    path = _image(folder)
    suffix = str(rng.choice([".png", ".png", ".jpg", ".bmp", ".ppm", ".webp"]))
    shape = [(24, 40, 3), (1, 1, 3), (40, 24, 3), (2000, 3000, 3), (24, 40), (24, 40, 4)][
        rng.integers(6 if suffix == ".png" else 4)
    ]
    image = rng.integers(0, 256, shape, dtype=np.uint8)
    deep = suffix == ".png" and rng.random() < 0.3
    data = cv2.imencode(suffix, image.astype(np.uint16) * 257 if deep else image)[1]
    path.write_bytes(data.tobytes())


def change_array_header(folder: Path, rng: np.random.Generator) -> None:
    """Types, shapes and offsets of one array; arrays dropped, added, renamed."""
    path = _stages(folder)
    header, body = _safetensors(path.read_bytes())
    names = [name for name, entry in header.items() if isinstance(entry, dict) and "data_offsets" in entry]
    if not names:
        return
    name = names[rng.integers(len(names))]
    entry = header[name]
    kind = rng.integers(10)
    if kind == 0:
        entry["dtype"] = str(
            rng.choice(["F32", "F64", "F16", "BF16", "I32", "I64", "U8", "BOOL", "F8_E4M3", "x"])
        )
    elif kind == 1:
        shapes: tuple[Any, ...] = (
            [],
            [0],
            [1],
            [0, 2**40],
            [2**31, 2**33],
            [-1],
            [1.5],
            [True],
            None,
            [1] * 9,
        )
        entry["shape"] = shapes[rng.integers(10)]
    elif kind == 2 and entry["shape"]:
        entry["shape"] = [entry["shape"][::-1], [*entry["shape"], 1], [1, *entry["shape"]]][rng.integers(3)]
    elif kind == 3:
        start, end = entry["data_offsets"]
        spans = (
            [end, start],
            [start + 4, end + 4],
            [0, end - start],
            [start, 2**62],
            [-4, 0],
            [start],
            [end, end],
            "x",
        )
        entry["data_offsets"] = spans[rng.integers(len(spans))]
    elif kind == 4:
        header[name], other = header[names[rng.integers(len(names))]], entry
        header[names[rng.integers(len(names))]] = other
    elif kind == 5:
        del header[name]
    elif kind == 6:
        header[str(rng.choice(["", "é", "x" * 5000, "__metadata__", "a\0b", "boxes "]))] = entry
    elif kind == 7:
        header["__metadata__"] = [{}, {"a": "b"}, {"a": 1}, [], None, "x", {"a": {"b": []}}][rng.integers(7)]
    elif kind == 8:
        entry |= {"extra": 1}
    else:
        header |= {f"s{i}": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for i in range(1100)}
    path.write_bytes(_joined(json.dumps(header).encode(), body))


def change_array_bytes(folder: Path, rng: np.random.Generator) -> None:
    """Values that are no numbers, a wrong header length, bytes of no array, a header that is no JSON."""
    path = _stages(folder)
    data = bytearray(path.read_bytes())
    (length,) = struct.unpack_from("<Q", data) if len(data) >= 8 else (0,)
    start = min(8 + length, len(data))
    kind = rng.integers(7)
    if kind == 0 and len(data) >= 8:
        lengths = (0, 1, length - 1, length + 1, len(data), len(data) - 8, 2**20, 2**31, 2**63, 2**64 - 1)
        struct.pack_into("<Q", data, 0, lengths[rng.integers(len(lengths))] % 2**64)
    elif kind == 1 and len(data) - start >= 4:
        at = start + 4 * int(rng.integers((len(data) - start) // 4))
        values = (float("nan"), float("inf"), -1e30, 3e38, 1e-40, -1.0)
        struct.pack_into("<f", data, at, values[rng.integers(len(values))])
    elif kind == 2:
        data += rng.bytes(int(rng.integers(1, 9)))
    elif kind == 3:
        del data[int(rng.integers(start, len(data) + 1)) :]
    elif kind == 4:
        header, body = bytes(data[8:start]), bytes(data[start:])
        doubled = header[:1] + header[1:].split(b"},", 1)[0] + b"}," + header[1:]
        texts = (
            b"[]",
            b"{}",
            b"null",
            b"",
            header + b" " * 9,
            header[:-1],
            doubled,
            b" " + header,
            header + b"x",
            b"\xff",
        )
        data = bytearray(_joined(texts[rng.integers(len(texts))], body))
    elif kind == 5 and start > 8:
        data[8 + int(rng.integers(start - 8))] ^= 1 << int(rng.integers(8))
    else:
        del data[int(rng.integers(len(data) + 1)) :]
    path.write_bytes(data)


def _image(folder: Path) -> Path:
    return folder / "golden" / "image.png"


def _stages(folder: Path) -> Path:
    return folder / "golden" / "stages.safetensors"


def chunks_of(data: bytes) -> list[tuple[bytes, bytes]]:
    """Names and contents as far as they can be read."""
    chunks, at = [], len(_SIGNATURE)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return chunks


def png_of(chunks: list[tuple[bytes, bytes]]) -> bytes:
    parts = [struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks]
    return b"".join([_SIGNATURE, *parts])


def _safetensors(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and arrays; no header where an earlier change has left none."""
    (length,) = struct.unpack_from("<Q", data) if len(data) >= 8 else (0,)
    try:
        header = json.loads(data[8 : 8 + length])
    except ValueError:
        return {}, b""
    return (header if isinstance(header, dict) else {}), data[8 + length :]


def _joined(header: bytes, body: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header + body


EDITS: dict[str, tuple[Corruption, ...]] = {
    "golden image": (change_png_header, change_png_chunks, change_pixels, replace_image),
    "golden arrays": (change_array_header, change_array_bytes),
}
