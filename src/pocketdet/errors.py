"""Exceptions of pocketdet.

A message names the file or value, what was expected, what was found and what to do. `exit_code` is the exit
code of
the command line: 2 for invalid input or usage, 1 for a failed check.
"""

from typing import ClassVar


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
