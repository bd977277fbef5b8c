"""Format and size of an image file from its header, before a decoder allocates memory."""

import re
import struct
from collections.abc import Iterator

FORMATS = "JPEG, PNG, WebP, BMP, TIFF, GIF, AVIF, JPEG 2000, PNM or Sun raster"
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})  # writable formats
_ONLY_READ = (
    ".gif .avif .jp2 .j2k .ppm .pgm .pbm .pnm .pam .ras .sr .dib .jpe .jfif .heic .heif .hdr .pfm .exr"
)
READ_SUFFIXES = SUFFIXES | frozenset(_ONLY_READ.split())
HEAD_BYTES = 64  # enough for `format_of`

_SIGNATURES = (
    (b"\xff\xd8", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"BM", "BMP"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\x59\xa6\x6a\x95", "Sun raster"),
    (b"PF\n", "PFM"),
    (b"Pf\n", "PFM"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"#?RGBE", "Radiance HDR"),
    (b"\x76\x2f\x31\x01", "OpenEXR"),
)
# Brands of ISO/IEC 23008-12; the major brand of an AVIF file may be the general one of still images.
_AVIF = frozenset({b"avif", b"avis"})
_HEIC = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
# Cannot be decoded to 8 or 16 bits by OpenCV.
UNSUPPORTED = frozenset({"HEIC", "PFM", "Radiance HDR", "OpenEXR"})

# Start-of-frame markers; C4, C8 and CC in between are other segments.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD9)})


def format_of(data: bytes) -> str | None:
    """Return the image format whose signature `data` starts with, or `None`."""
    for signature, name in _SIGNATURES:
        if data.startswith(signature):
            return name
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WebP"
    if re.match(rb"P[1-7]\s", data):
        return "PNM"
    if data[4:8] == b"ftyp":
        end = min(int.from_bytes(data[:4], "big"), HEAD_BYTES)
        brands = {data[8:12], *(data[at : at + 4] for at in range(16, end, 4))}
        if brands & _AVIF:
            return "AVIF"
        if data[8:12] in _HEIC:
            return "HEIC"
    return None


def declared_size(data: bytes) -> tuple[int, int] | None:
    """Return (width, height) before EXIF orientation, or `None` if `data` is not an image of `FORMATS`."""
    name = format_of(data)
    try:
        return _SIZES[name](data) if name in _SIZES else None
    except (struct.error, IndexError):
        return None


def png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, offset of the content and declared length of the chunks of a PNG file, up to IEND."""
    at, name = 8, b""
    while name != b"IEND" and at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        yield name, at + 8, length
        at += 12 + length


def png_chunk_does_not_fit(data: bytes) -> bool:
    """Whether a chunk of a PNG file declares more bytes than follow it."""
    return any(start + length > len(data) for _, start, length in png_chunks(data))


def is_animated(data: bytes) -> bool:
    """Whether a GIF or PNG file has more than one frame."""
    if format_of(data) == "PNG":
        start = data.find(b"acTL", 0, 1 << 16)
        first_frame = data.find(b"IDAT", 0, 1 << 16)
        return 0 < start < first_frame and int.from_bytes(data[start + 4 : start + 8], "big") > 1
    try:
        return (
            format_of(data) == "GIF" and sum(1 for _, _ in zip(_gif_frames(data), range(2), strict=False)) > 1
        )
    except IndexError:
        return False


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


def _png(data: bytes) -> tuple[int, int] | None:
    return _pair(">II", data, 16) if data[12:16] == b"IHDR" else None


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
    tags = dict(_tiff_numbers(data, order, large=b"+" in data[:4]))
    return (tags[256], tags[257]) if 256 in tags and 257 in tags else None


def _tiff_numbers(data: bytes, order: str, *, large: bool) -> Iterator[tuple[int, int]]:
    """Yield tags of the first directory with one 16- or 32-bit number. `large`: BigTIFF, 64-bit offsets."""
    (start,) = struct.unpack_from(order + ("Q" if large else "I"), data, 8 if large else 4)
    (count,) = struct.unpack_from(order + ("Q" if large else "H"), data, start)
    first, step, value = (start + 8, 20, 12) if large else (start + 2, 12, 8)
    for entry in range(first, min(first + step * count, len(data)), step):
        tag, kind = struct.unpack_from(order + "HH", data, entry)
        if kind in (3, 4):
            yield tag, struct.unpack_from(order + ("H" if kind == 3 else "I"), data, entry + value)[0]


def _gif(data: bytes) -> tuple[int, int]:
    return _pair("<HH", data, 6)


def _gif_frames(data: bytes) -> Iterator[int]:
    """Yield offsets of the image descriptors. Raises `IndexError` if the file ends early."""

    def table_bytes(flags: int) -> int:
        return 3 << (flags & 7) + 1 if flags & 0x80 else 0

    at = 13 + table_bytes(data[10])
    while data[at] != 0x3B:  # the trailer
        if data[at] == 0x2C:
            yield at
            at += 11 + table_bytes(data[at + 9])
        elif data[at] == 0x21:
            at += 2
        else:
            return
        while data[at]:  # sub-blocks, ended by an empty one
            at += 1 + data[at]
        at += 1


def _jpeg2000(data: bytes) -> tuple[int, int] | None:
    """Size in the codestream, which decoders use (ISO/IEC 15444-1, A.5.1)."""
    at = 0
    while not data.startswith(b"\xff\x4f\xff\x51", at):
        size, kind = struct.unpack_from(">I4s", data, at)
        header = 8
        if size == 1:
            header, size = 16, struct.unpack_from(">Q", data, at + 8)[0]
        at += header if kind == b"jp2c" else size
        if size < header and kind != b"jp2c":
            return None
    right, bottom, left, top = struct.unpack_from(">4I", data, at + 8)
    return max(0, right - left), max(0, bottom - top)


def _avif(data: bytes) -> tuple[int, int] | None:
    """The largest image size property (ISO/IEC 23008-12, 6.5.3)."""
    sizes = [_pair(">II", data, found.end() + 4) for found in re.finditer(b"ispe", data[: 1 << 16])]
    return max(sizes, key=lambda size: size[0] * size[1], default=None)


def _pnm(data: bytes) -> tuple[int, int] | None:
    head = re.sub(rb"#[^\n]*", b"", data[: 1 << 12])
    if data.startswith(b"P7"):
        sides = [re.search(rb"\s%s\s+(\d{1,10})\s" % name, head) for name in (b"WIDTH", b"HEIGHT")]
        return (int(sides[0][1]), int(sides[1][1])) if sides[0] and sides[1] else None
    found = re.match(rb"P[1-6]\s+(\d{1,10})\s+(\d{1,10})\s", head)
    return (int(found[1]), int(found[2])) if found else None


def _sun_raster(data: bytes) -> tuple[int, int]:
    return _pair(">II", data, 4)


_SIZES = {
    "JPEG": _jpeg,
    "PNG": _png,
    "WebP": _webp,
    "BMP": _bmp,
    "TIFF": _tiff,
    "GIF": _gif,
    "AVIF": _avif,
    "JPEG 2000": _jpeg2000,
    "PNM": _pnm,
    "Sun raster": _sun_raster,
}
