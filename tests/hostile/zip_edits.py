"""A bundle as one zip file, and changes to that file."""

import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

ZipEdit = Callable[[bytearray, np.random.Generator], bytearray]
_LOCAL, _CENTRAL, _END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
# Offset and format of the fields of a local header, an entry of the directory and the end record.
_LOCAL_FIELDS = ((4, "<H"), (6, "<H"), (8, "<H"), (14, "<I"), (18, "<I"), (22, "<I"), (26, "<H"), (28, "<H"))
_CENTRAL_FIELDS = (
    (4, "<H"), (6, "<H"), (8, "<H"), (10, "<H"), (16, "<I"), (20, "<I"), (24, "<I"), (28, "<H"), (30, "<H"),
    (32, "<H"), (34, "<H"), (38, "<I"), (42, "<I"),
)  # fmt: skip
_END_FIELDS = ((4, "<H"), (6, "<H"), (8, "<H"), (10, "<H"), (12, "<I"), (16, "<I"), (20, "<H"))
_NAMES = (
    "../x",
    "/x",
    "a/../b",
    "manifest.json",
    "MANIFEST.JSON",
    "x" * 300,
    "a\\b",
    "a\0b",
    "é",
    "golden/",
    "",
)


def zip_folder(folder: Path, target: Path, rng: np.random.Generator) -> None:
    """The files of a folder, stored or deflated; in one of three an entry that no honest writer makes."""
    warnings.simplefilter("ignore", UserWarning)  # of a name that is there twice
    method = zipfile.ZIP_DEFLATED if rng.random() < 0.5 else zipfile.ZIP_STORED
    with zipfile.ZipFile(target, "w", method) as archive:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            archive.write(path, path.relative_to(folder).as_posix())
        if rng.random() < 0.3:
            info = zipfile.ZipInfo(_NAMES[rng.integers(len(_NAMES))])
            info.external_attr = int(
                rng.choice([0, 0o120777 << 16, 0o020666 << 16, 0o040755 << 16, 0xFFFFFFFF])
            )
            info.compress_type = int(rng.choice([0, 8, 12, 14]))
            archive.writestr(
                info, b"\0" * int(rng.choice([0, 10, 100_000, 70 << 20], p=[0.4, 0.3, 0.28, 0.02]))
            )


def change_field(data: bytearray, rng: np.random.Generator) -> bytearray:
    """One number of a header."""
    magic, fields = (
        (_LOCAL, _LOCAL_FIELDS), (_CENTRAL, _CENTRAL_FIELDS), (_END, _END_FIELDS)
    )[rng.integers(3)]  # fmt: skip
    places = _places(data, magic)
    if not places:
        return data
    offset, form = fields[rng.integers(len(fields))]
    at = places[rng.integers(len(places))] + offset
    if at + struct.calcsize(form) > len(data):
        return data
    (old,) = struct.unpack_from(form, data, at)
    most = 0xFFFF if form == "<H" else 0xFFFFFFFF
    values = (0, 1, old + 1, max(old - 1, 0), 2 * old, 8, 12, 99, 0x7FFFFFFF, most, len(data))
    struct.pack_into(form, data, at, int(values[rng.integers(len(values))]) & most)
    return data


def repeat_entry(data: bytearray, rng: np.random.Generator) -> bytearray:
    """An entry of the directory in place of another, or before it: overlaps and second names."""
    places = _places(data, _CENTRAL)
    if len(places) < 2:
        return data
    one, two = (int(i) for i in rng.choice(len(places) - 1, 2))
    entry = data[places[one] : places[one + 1]]
    end = places[two + 1] if rng.random() < 0.5 else places[two]
    return data[: places[two]] + entry + data[end:]


def splice(data: bytearray, rng: np.random.Generator) -> bytearray:
    """A stretch of bytes flipped, dropped, repeated; something before or after the whole."""
    first, last = sorted(int(i) for i in rng.integers(0, len(data) + 1, 2))
    last = min(last, first + 60)
    kind = rng.integers(5)
    if kind == 0 and data:
        data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        del data[first:last]
    elif kind == 2:
        data[last:last] = data[first:last]
    elif kind == 3:
        return bytearray(rng.bytes(30)) + data
    else:
        data += [b"\0", b"PK\x05\x06" + bytes(18), rng.bytes(22)][rng.integers(3)]
    return data


def _places(data: bytearray, magic: bytes) -> list[int]:
    places, at = [], data.find(magic)
    while at >= 0:
        places.append(at)
        at = data.find(magic, at + 4)
    return places


EDITS: tuple[ZipEdit, ...] = (change_field, change_field, repeat_entry, splice)
