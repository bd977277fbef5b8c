"""Reading of bundles that are zip files, as untrusted input.

`zipfile` decodes the archive. The checks before it limit its allocations and reject comments, zip64,
encryption, overlapping entries, links and excessive compression ratios.
"""

import os
import stat
import struct
import zipfile
import zlib
from io import RawIOBase
from pathlib import Path
from typing import Any, BinaryIO, cast

from pocketdet.errors import BundleError
from pocketdet.io import os_errors
from pocketdet.runtime.bundle.files import MAX_BUNDLE_BYTES
from pocketdet.runtime.bundle.schema import MANIFEST_NAME, is_safe_path

MAX_ENTRIES = 256
MAX_DIRECTORY_BYTES = 256 * 1024
MAX_RATIO = 50
_SMALL = 64 << 20  # below this many bytes a high compression ratio is harmless
_END_RECORD = struct.Struct("<4s4H2LH")
_ZIP64_LOCATOR_BYTES = 20
_LOCAL_HEADER_BYTES = 30
_ENCRYPTED_FLAGS = 0x1 | 0x40 | 0x2000
# Exceptions of zipfile for damaged or unsupported archives.
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    IndexError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
)


class ArchiveSource:
    """The files of a bundle that is a zip file.

    Raises:
        BundleError: if the archive is damaged or has features that bundles do not use.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with os_errors(BundleError, f"{path}: cannot be read"):
            self._stream = path.open("rb")
        try:
            size = _check_end_record(self._stream, path)
            self._zip = zipfile.ZipFile(self._stream)
            self._entries = _check_entries(self._zip, size, path)
        except BundleError:
            self._stream.close()
            raise
        except _ZIP_ERRORS as error:
            self._stream.close()
            raise BundleError(f"{path}: not a readable zip file: {_reason(error)}") from error

    def open(self, name: str) -> BinaryIO:
        """See `FileSource.open`."""
        info = self._entries.get(name)
        if info is None:
            raise BundleError(self._missing(name))
        try:
            stream = self._zip.open(info)
        except _ZIP_ERRORS as error:
            raise BundleError(f"{self._path}/{name}: damaged zip entry: {_reason(error)}") from error
        return cast(BinaryIO, _Inflating(stream, info.file_size, f"{self._path}/{name}"))

    def close(self) -> None:
        """See `FileSource.close`."""
        self._zip.close()
        self._stream.close()

    def _missing(self, name: str) -> str:
        nested = next((n for n in self._entries if n.endswith("/" + name)), None)
        if name == MANIFEST_NAME and nested:
            return (
                f"{self._path}: expected {MANIFEST_NAME} at the top of the zip file, found {nested}; "
                "zip the contents of the folder instead of the folder"
            )
        return f"{self._path}/{name}: the file is missing; the bundle is incomplete, copy or export it again"


class _Inflating(RawIOBase):
    """Reads a zip entry. Raises `BundleError` if it is damaged or shorter than its header declares."""

    def __init__(self, stream: Any, declared: int, label: str) -> None:
        self._inner, self._left, self._label = stream, declared, label

    def read(self, size: int = -1) -> bytes:
        try:
            data = cast(bytes, self._inner.read(size))
        except _ZIP_ERRORS as error:
            raise BundleError(f"{self._label}: damaged zip entry: {_reason(error)}") from error
        self._left -= len(data)
        if not data and size and self._left:
            raise BundleError(f"{self._label}: damaged zip entry: {self._left} bytes are missing")
        return data

    def close(self) -> None:
        self._inner.close()
        super().close()


def _reason(error: Exception) -> str:
    """The message of zipfile, truncated because it may quote long names."""
    return " ".join(str(error).split())[:300]


def _check_end_record(stream: BinaryIO, path: Path) -> int:
    """Check the size of the central directory before `zipfile` loads it; return the size of the archive."""
    size = stream.seek(0, os.SEEK_END)
    start = size - _END_RECORD.size
    if start < 0:
        raise BundleError(f"{path}: expected a bundle folder or zip file, found a file of {size} bytes")
    stream.seek(max(0, start - _ZIP64_LOCATOR_BYTES))
    tail = stream.read(_ZIP64_LOCATOR_BYTES + _END_RECORD.size)
    magic, _, _, _, count, length, _, comment = _END_RECORD.unpack(tail[-_END_RECORD.size :])
    if magic != b"PK\x05\x06" or comment:
        raise BundleError(
            f"{path}: expected a bundle folder or a zip file, found neither; "
            "a truncated zip file or one with a comment is not read either"
        )
    if b"PK\x06\x07" in tail[: -_END_RECORD.size]:
        raise BundleError(f"{path}: expected a plain zip file, found zip64")
    if count > MAX_ENTRIES or length > MAX_DIRECTORY_BYTES:
        raise BundleError(
            f"{path}: expected at most {MAX_ENTRIES} zip entries in a directory of {MAX_DIRECTORY_BYTES} "
            f"bytes, found {count} in {length}"
        )
    return size


def _check_entries(archive: zipfile.ZipFile, size: int, path: Path) -> dict[str, zipfile.ZipInfo]:
    infos = archive.infolist()
    if len(infos) > MAX_ENTRIES:
        raise BundleError(f"{path}: expected at most {MAX_ENTRIES} zip entries, found {len(infos)}")
    entries: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        problem = _entry_problem(info, entries)
        if problem:
            raise BundleError(f"{path}: zip entry {info.orig_filename[:100]!r} {problem}")
        if not info.is_dir():
            entries[info.filename] = info
    total = sum(info.file_size for info in infos)
    if total > MAX_BUNDLE_BYTES or (total > _SMALL and total > MAX_RATIO * size):
        raise BundleError(
            f"{path}: the zip file unpacks from {size} to {total} bytes; expected at most {MAX_BUNDLE_BYTES} "
            f"and {MAX_RATIO} times its size"
        )
    end = 0
    for info in sorted(infos, key=lambda i: i.header_offset):
        if info.header_offset < end:
            raise BundleError(f"{path}: zip entry {info.filename!r} overlaps the one before it")
        end = info.header_offset + _LOCAL_HEADER_BYTES + len(info.orig_filename) + info.compress_size
    if end > archive.start_dir:
        raise BundleError(f"{path}: the last zip entry overlaps the directory of the archive")
    return entries


def _entry_problem(info: zipfile.ZipInfo, seen: dict[str, zipfile.ZipInfo]) -> str | None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if info.orig_filename != info.filename or not is_safe_path(info.filename.rstrip("/")):
        return "is not a plain path inside the bundle"
    if info.filename in seen:
        return "appears twice"
    if info.flag_bits & _ENCRYPTED_FLAGS:
        return "is encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"has compression method {info.compress_type}, expected stored or deflated"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR) or (kind == stat.S_IFDIR and not info.is_dir()):
        return "is a link or a special file"
    if info.is_dir() and info.file_size:
        return "is a folder with content"
    return None
