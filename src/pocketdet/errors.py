"""Every error pocketdet raises on purpose: one tree, the leaf that all rooms may import.

A message names the file or value, says what was expected, what was found and what to do.
`exit_code` is what the command line returns: 2 for bad input or usage, 1 for a check that ran and failed.
"""

from typing import ClassVar


class PocketdetError(Exception):
    """Base of all errors a caller may want to catch. Bad input unless a subclass says otherwise."""

    exit_code: ClassVar[int] = 2


class UsageError(PocketdetError):
    """An argument or option value that cannot be used."""


class ImageError(PocketdetError):
    """An image, folder, video or camera that cannot be read or has no pixels."""


class BundleError(PocketdetError):
    """A bundle that cannot be trusted: missing or damaged files, a wrong hash, a manifest out of schema."""


class GraphError(PocketdetError):
    """An ncnn .param/.bin that is malformed, disconnected, inconsistent or not supported."""


class CheckpointError(PocketdetError):
    """Weights that cannot be loaded, or that do not fit their architecture."""


class ExportError(PocketdetError):
    """A model that cannot be exported, or an output folder that cannot be written."""


class EngineError(PocketdetError):
    """An inference engine that is missing, cannot load a graph, or failed while it ran."""


class CheckFailed(PocketdetError):
    """A check ran to its end and its answer is no."""

    exit_code: ClassVar[int] = 1
