"""Files that are there whole or not at all; every room may import this leaf beside the errors."""

import contextlib
from pathlib import Path

from pocketdet.errors import UsageError


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file, text as UTF-8, in the place of one that is there. Raises `UsageError`."""
    try:
        replace_whole(path, content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror or error}") from error


def replace_whole(path: Path, content: bytes) -> None:
    """As `write_whole`, for callers with an error of their own. Raises `OSError`."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
