"""Width and height that an image file declares, read before a decoder allocates anything for them."""

import struct
from collections.abc import Iterator

FORMATS = "JPEG, PNG, WebP, BMP or TIFF"
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})

# Start-of-frame markers; C4, C8 and CC in between are other segments.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD9)})


def declared_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) in the file's own orientation, or `None` if `data` is no picture of `FORMATS`."""
    try:
        if data.startswith(b"\xff\xd8"):
            return _jpeg(data)
        if data.startswith(b"\x89PNG\r\n\x1a\n") and data[12:16] == b"IHDR":
            return _pair(">II", data, 16)
        if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            return _webp(data)
        if data.startswith(b"BM"):
            return _bmp(data)
        if data[:4] in (b"II*\x00", b"MM\x00*"):
            return _tiff(data)
    except (struct.error, IndexError):
        return None
    return None


def _pair(layout: str, data: bytes, offset: int) -> tuple[int, int]:
    width, height = struct.unpack_from(layout, data, offset)
    return width, height


def _jpeg(data: bytes) -> tuple[int, int] | None:
    at = 2
    while data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker in _JPEG_BARE:
            at += 2
        elif marker in _JPEG_FRAMES:
            height, width = _pair(">HH", data, at + 5)
            return width, height
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def _webp(data: bytes) -> tuple[int, int] | None:
    kind = data[12:16]
    if kind == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        width, height = _pair("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L" and data[20] == 0x2F:
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X" and len(data) >= 30:
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    return None


def _bmp(data: bytes) -> tuple[int, int]:
    if int.from_bytes(data[14:18], "little") == 12:  # the OS/2 header
        return _pair("<HH", data, 18)
    width, height = _pair("<ii", data, 18)
    return abs(width), abs(height)  # a negative height means rows from the top


def _tiff(data: bytes) -> tuple[int, int] | None:
    order = "<" if data.startswith(b"II") else ">"
    tags = dict(_tiff_numbers(data, order))
    return (tags[256], tags[257]) if 256 in tags and 257 in tags else None


def _tiff_numbers(data: bytes, order: str) -> Iterator[tuple[int, int]]:
    """Tags of the first directory that hold one 16- or 32-bit number."""
    (start,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, start)
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, _ = struct.unpack_from(order + "HHI", data, entry)
        if kind in (3, 4):
            yield tag, struct.unpack_from(order + ("H" if kind == 3 else "I"), data, entry + 8)[0]
