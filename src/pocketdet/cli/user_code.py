"""A detector in the user's own Python code, for `pocketdet export package.module:factory`."""

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pocketdet.cli.arguments import read_names, require_files
from pocketdet.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

    from pocketdet.export.reference.base import Reference


_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


def is_module_target(text: str) -> bool:
    """Whether a text has the form `package.module:factory`, and no file has that name."""
    return _TARGET.fullmatch(text) is not None and not Path(text).exists()


def reference_from_code(
    target: str,
    weights: Path | None,
    outputs: Path | None,
    names: Path | None,
    size: tuple[int, int] | None,
    unused: object,
) -> "Reference":
    """The reference of a module that a factory makes.

    Args:
        target: "package.module:factory".
        weights: a state dict; by default the weights that the factory gives.
        outputs: the description of what the module returns.
        names: a text file with one class name per line.
        size: (height, width) of the input in place of the description's.
        unused: the options for other kinds of models, if one was given.

    Raises:
        UsageError: if the description is missing or does not fit, the code cannot be imported, or an option
            is for other kinds of models.
        CheckpointError: if the weights do not fit.
        ExportError: if the module cannot be exported.
    """
    if unused:
        raise UsageError(f"{target}: --arch and --preset are not for a module of your own")
    if outputs is None:
        raise UsageError(
            f"{target}: a PyTorch module needs --outputs FILE, which says what its outputs mean "
            "(docs/reference/description.md); heads of known families are recognised in an .onnx file"
        )
    require_files(outputs, weights, names)
    from pocketdet.export.reference.description import read_description
    from pocketdet.export.reference.factory import reference_from_module

    description = read_description(outputs, read_names(names) if names else None)
    if size is not None:
        description = replace(description, input_size=size)
    return reference_from_module(module_from_code(target, weights), description)


def module_from_code(target: str, weights: Path | None) -> "nn.Module":
    """The module that a factory makes, with the weights of a file if one is given.

    Raises:
        UsageError: if `target` is no such text, or the code cannot be imported.
        CheckpointError: if the weights do not fit.
    """
    if not is_module_target(target):
        raise UsageError(f"{target!r}: expected package.module:factory")
    require_files(weights)
    from pocketdet.export.user_module import import_module, load_module_weights

    module = import_module(target)
    if weights is not None:
        load_module_weights(module, weights)
    return module
