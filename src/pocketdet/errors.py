"""Exceptions of pocketdet.

A message names the file or value, what was expected, what was found and what to do. `exit_code` is the exit
code of the command line: 2 for invalid input or usage, 1 for a failed check.
"""

import difflib
import functools
import sys
from collections.abc import Callable, Iterable
from typing import ClassVar, ParamSpec

_P = ParamSpec("_P")


class PocketdetError(Exception):
    """Base class of all errors."""

    exit_code: ClassVar[int] = 2


class UsageError(PocketdetError):
    """An invalid argument or option."""


class ImageError(PocketdetError):
    """An image, folder, video or camera that cannot be read or has no pixels."""


class BundleError(PocketdetError):
    """An invalid bundle: missing or damaged files, a wrong hash, an invalid manifest."""


class GraphError(PocketdetError):
    """An ncnn graph that is malformed, disconnected, inconsistent or not supported."""


class CheckpointError(PocketdetError):
    """Weights that cannot be loaded or do not match their architecture."""


class ExportError(PocketdetError):
    """A model that cannot be exported, or an output folder that cannot be written."""


class EngineError(PocketdetError):
    """An inference engine that is not installed, cannot load a graph, or failed."""


class CheckFailed(PocketdetError):
    """A check completed and failed."""

    exit_code: ClassVar[int] = 1


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: "; did you mean X?", or nothing if none is near."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def error_exit_code(main: Callable[_P, int]) -> Callable[_P, int]:
    """Let a program's `main` write a `PocketdetError` as one sentence, and return its exit code."""

    @functools.wraps(main)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> int:
        try:
            return main(*args, **kwargs)
        except PocketdetError as error:
            sys.stderr.write(f"error: {error}\n")
            return error.exit_code

    return wrapped
