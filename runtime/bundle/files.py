"""Private, verified copies of the files of an untrusted bundle.

Parsers and native loaders read only the copies that were hashed, so changes of the original files after the
check have no effect.
"""

import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Protocol

from pocketdet.errors import BundleError
from pocketdet.io import os_errors
from pocketdet.runtime.bundle.schema import MANIFEST_NAME, FileEntry

MAX_BUNDLE_BYTES = 1 << 30
_CHUNK = 1 << 20


class FileSource(Protocol):
    """Access to the files of a bundle: a folder or an archive."""

    def open(self, name: str) -> BinaryIO:
        """Open a file by a path that `is_safe_path` accepts. Raises `BundleError`."""
        ...

    def close(self) -> None:
        """Release open files."""


class FolderSource:
    """The files of a bundle that is a folder. Rejects symlinks and special files."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def open(self, name: str) -> BinaryIO:
        """See `FileSource.open`."""
        path = self._root
        for part in name.split("/")[:-1]:
            path = path / part
            if path.is_symlink():
                raise BundleError(f"{path}: expected a folder of the bundle, found a symlink")
        path = self._root / name
        # O_NONBLOCK: do not wait for the writer of a FIFO
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        try:
            if path.is_symlink():
                raise BundleError(f"{path}: expected a regular file, found a symlink")
            descriptor = os.open(path, flags | getattr(os, "O_BINARY", 0))
        except FileNotFoundError:
            raise BundleError(
                f"{path}: the file is missing; the bundle is incomplete, copy or export it again"
            ) from None
        except OSError as error:
            raise BundleError(f"{path}: cannot be read: {error.strerror or error}") from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise BundleError(f"{path}: expected a regular file, found something else")
        return os.fdopen(descriptor, "rb")

    def close(self) -> None:
        """See `FileSource.close`."""


def hash_file(path: str | os.PathLike[str]) -> FileEntry:
    """Return the manifest entry of a file: size and SHA-256. Raises `OSError`."""
    digest, size = hashlib.sha256(), 0
    with Path(path).open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return FileEntry(size=size, sha256=digest.hexdigest())


def read_limited(source: FileSource, name: str, limit: int, label: str) -> bytes:
    """Read one file. Raises `BundleError` if it has more than `limit` bytes."""
    with os_errors(BundleError, f"{label}/{name}: cannot be read"), source.open(name) as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise BundleError(f"{label}/{name}: expected at most {limit} bytes, found more")
    return data


def stage_files(source: FileSource, files: Mapping[str, FileEntry], folder: Path, label: str) -> None:
    """Copy all listed files into `folder` and verify size and SHA-256 while copying.

    Raises:
        BundleError: for a file that is missing, special or different, names that collide on a file system, or
            more than `MAX_BUNDLE_BYTES` in total.
    """
    _check_listing(files, label)
    for name, entry in files.items():
        target = folder / name
        with os_errors(BundleError, f"{label}/{name}: cannot be copied to {folder}"):
            target.parent.mkdir(parents=True, exist_ok=True)
            _stage_one(source, name, entry, target, label)


def _check_listing(files: Mapping[str, FileEntry], label: str) -> None:
    total = sum(entry.size for entry in files.values())
    if total > MAX_BUNDLE_BYTES:
        raise BundleError(
            f"{label}/{MANIFEST_NAME}: expected at most {MAX_BUNDLE_BYTES} bytes of files, found {total}"
        )
    taken = {MANIFEST_NAME: MANIFEST_NAME}
    for name in files:
        clash = taken.setdefault(name.casefold(), name)
        if clash != name or name == MANIFEST_NAME:
            raise BundleError(f"{label}/{MANIFEST_NAME}: files {clash!r} and {name!r} have the same name")
    for name in taken:
        parent = next((p for p in map(str, Path(name).parents) if p in taken), None)
        if parent:
            raise BundleError(
                f"{label}/{MANIFEST_NAME}: {taken[parent]!r} is listed as a file and as a folder"
            )


def _stage_one(source: FileSource, name: str, entry: FileEntry, target: Path, label: str) -> None:
    digest, size = hashlib.sha256(), 0
    with source.open(name) as stream, target.open("xb") as copy:
        while chunk := stream.read(min(_CHUNK, entry.size + 1 - size)):
            size += len(chunk)
            if size > entry.size:
                break
            digest.update(chunk)
            copy.write(chunk)
    if size != entry.size:
        found = f"more than {entry.size}" if size > entry.size else str(size)
        raise BundleError(
            f"{label}/{name}: expected {entry.size} bytes, found {found}; copy or export the bundle again"
        )
    if digest.hexdigest() != entry.sha256:
        raise BundleError(
            f"{label}/{name}: expected SHA-256 {entry.sha256[:12]}..., found {digest.hexdigest()[:12]}...; "
            "the file is damaged or edited, copy or export the bundle again"
        )
