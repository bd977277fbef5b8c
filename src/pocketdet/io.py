"""Files and folders that appear whole or not at all. Every package may import this module.

Content is written under a temporary name beside its target, `.pocketdet-<random>.tmp`, and renamed once it is
complete. A process holds a lock on what it is writing. What a killed process leaves behind is not locked; the
next process that writes into that folder removes it. `parse_strict` parses untrusted JSON.
"""

import contextlib
import ctypes
import errno
import fcntl
import functools
import json
import os
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from pocketdet.errors import PocketdetError, UsageError

_PREFIX, _SUFFIX = ".pocketdet-", ".tmp"
_AT_FDCWD, _NOREPLACE, _EXCHANGE = -100, 1, 2  # linux/fcntl.h, linux/fs.h
_NOT_SUPPORTED = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)


@contextlib.contextmanager
def os_errors(kind: type[PocketdetError], what: str) -> Iterator[None]:
    """Raise an error of `kind` for an `OSError` inside: `what`, such as "a.txt: cannot be read", and why."""
    try:
        yield
    except OSError as error:
        raise kind(f"{what}: {error.strerror or error}") from error


def atomic_write(path: Path, content: str | bytes) -> None:
    """Write a file, text as UTF-8, in the place of one that exists. Raises `UsageError`."""
    with os_errors(UsageError, f"{path}: cannot be written"):
        atomic_replace(path, content.encode() if isinstance(content, str) else content)


def atomic_replace(path: Path, content: bytes | Iterable[bytes], *, exist_ok: bool = True) -> None:
    """As `atomic_write`, for callers with an error of their own; `content` may come in chunks.

    A link is followed. A pipe or a device is written to, it keeps its place. Raises `OSError`,
    `FileExistsError` if something is at `path` and `exist_ok` is false.
    """
    chunks = [content] if isinstance(content, bytes) else content
    if path.exists() and not path.is_file() and not path.is_dir():
        with path.open("wb") as stream:
            stream.writelines(chunks)
        return
    target = path.resolve() if path.is_symlink() else path
    part, file = _temporary_file(target.parent)
    try:
        with file:  # closed after the rename, because that ends the lock
            file.writelines(chunks)
            file.flush()
            os.fsync(file.fileno())
            if exist_ok:
                part.replace(target)
            else:
                rename_new(part, target)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


def check_writable(folder: Path) -> None:
    """Raise `UsageError` if no file can be written in a folder: for a command whose result comes late."""
    with os_errors(UsageError, f"{folder}: cannot be written"):
        part, file = _temporary_file(folder)
        try:
            with file:
                file.write(b"\0")
        finally:
            part.unlink()


@contextlib.contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """An empty folder in `parent` for what is to be renamed to a name in `parent`; removed on the way out.

    Raises `OSError` if it cannot be made.
    """
    remove_leftovers(parent)
    folder, handle = _temporary_folder(parent)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def rename_new(source: Path, target: Path) -> None:
    """Rename a file or folder. Raises `FileExistsError` if something is at `target`, or another `OSError`."""
    if _renameat2(source, target, _NOREPLACE):
        return
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    if source.is_dir():
        source.rename(target)  # fails if another process was quicker
    else:
        target.hardlink_to(source)  # so does this
        source.unlink()


def exchange(one: Path, other: Path) -> bool:
    """Let two files or folders change names, at no moment without one. False if the file system cannot.

    Raises `OSError`, `FileNotFoundError` if one of them is missing.
    """
    return _renameat2(one, other, _EXCHANGE)


MAX_IMAGE_BYTES = (1 << 31) - 1
"""OpenCV's limit for decoding an image from memory."""


def read_regular(path: str | os.PathLike[str], limit: int) -> bytes:
    """Read a file, and at most one byte more than `limit`.

    A FIFO or a device could block for ever or never end, so it is not read.

    Raises:
        OSError: The file cannot be read, or is not a regular file.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", os.fspath(path))
        return stream.read(limit + 1)


def read_lines(path: Path, what: str) -> list[str]:
    """Read the lines of a UTF-8 text file. Raises `UsageError` that says `what` it was to be read as."""
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{path}: cannot be read as {what}: {reason}") from error


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left in `folder`, as far as it can be removed."""
    with contextlib.suppress(OSError):
        for path in list(folder.glob(f"{_PREFIX}*{_SUFFIX}")):
            _remove_unlocked(path)


def _remove_unlocked(path: Path) -> None:
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
        finally:
            os.close(handle)


_remove_leftovers_once = functools.cache(remove_leftovers)  # not for every image of a folder


def _temporary_file(folder: Path) -> tuple[Path, BinaryIO]:
    _remove_leftovers_once(folder.absolute())
    while True:
        path = _temporary_name(folder)
        file = path.open("xb")
        if _locked(path, file.fileno()):
            return path, file
        file.close()


def _temporary_folder(parent: Path) -> tuple[Path, int]:
    while True:
        path = _temporary_name(parent)
        path.mkdir()
        try:
            handle = os.open(path, os.O_RDONLY)
        except FileNotFoundError:  # another process took it for a leftover
            continue
        if _locked(path, handle):
            return path, handle
        os.close(handle)


def _temporary_name(folder: Path) -> Path:
    return folder / f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}"


def _locked(path: Path, handle: int) -> bool:
    """Lock what was just made. False if another process took it for a leftover before that."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks, where leftovers stay
        return True
    return path.exists()


def _renameat2(source: Path, target: Path, flags: int) -> bool:
    """Call renameat2(2). False if this system or the file system does not have it. Raises `OSError`."""
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is None:
        return False
    if function(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), flags) == 0:
        return True
    code = ctypes.get_errno()
    if code in _NOT_SUPPORTED:
        return False
    raise OSError(code, os.strerror(code), str(source), None, str(target))


def parse_strict(data: bytes) -> object:
    """Parse a JSON document.

    Raises:
        ValueError: for invalid JSON or UTF-8, NaN, infinities and duplicate names in an object.
        RecursionError: for nesting that is too deep.
    """
    text = data.decode("utf-8")  # json takes bytes in UTF-16 and UTF-32, too, which RFC 8259 does not
    return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_refuse_duplicates)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"field {next(n for n in names if names.count(n) > 1)!r} appears twice")
    return record
