"""How long a video file is by its own structure, to tell one that was cut off."""

from pathlib import Path
from typing import BinaryIO

_MOST_BOXES = 100_000


def missing_bytes(path: Path) -> int:
    """Bytes that an AVI, MP4, QuickTime, Matroska or WebM file announces beyond its end, 0 if it is whole.

    0 for every other file, too: its structure does not say. Raises `OSError`.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(64)
        if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
            end = 8 + int.from_bytes(head[4:8], "little")
        elif head.startswith(b"\x1a\x45\xdf\xa3"):
            end = _matroska_end(head)
        elif head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
            end = _boxes_end(stream, size)
        else:
            end = 0
    return max(0, end - size)


def _boxes_end(stream: BinaryIO, size: int) -> int:
    """The end of the last box at the top level, ISO/IEC 14496-12, 4.2; QuickTime's atoms are the same."""
    at = 0
    for _ in range(_MOST_BOXES):
        if at >= size:
            break
        stream.seek(at)
        head = stream.read(16)
        length, least = int.from_bytes(head[:4], "big"), 8
        if length == 1 and len(head) == 16:
            length, least = int.from_bytes(head[8:16], "big"), 16
        if not head[4:8].isalnum() or length < least:  # 0: up to the end of the file
            break
        at += length
    return at


def _matroska_end(head: bytes) -> int:
    """The end of the segment, which follows the EBML header; 0 if its size is not stated (RFC 8794)."""
    length, used = _vint(head, 4)
    at = 4 + used + length
    if head[at : at + 4] != b"\x18\x53\x80\x67":
        return 0
    length, used = _vint(head, at + 4)
    unknown = length == (1 << 7 * used) - 1
    return 0 if unknown or not used else at + 4 + used + length


def _vint(head: bytes, at: int) -> tuple[int, int]:
    """A number of variable length and the bytes that it takes; (0, 0) if it is not there."""
    used = 9 - head[at].bit_length() if at < len(head) else 0
    data = head[at : at + used]
    if not 1 <= used <= 8 or len(data) < used:
        return 0, 0
    return int.from_bytes(data, "big") & (1 << 7 * used) - 1, used
