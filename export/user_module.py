"""A detector in somebody's own Python code: `package.module:factory`, and the weights for it.

The code is imported and called, so it runs with all rights of the user. Weights are data: a pickle that holds
more than tensors is refused.
"""

import importlib
import sys
from pathlib import Path
from typing import Any

from torch import nn

from pocketdet.errors import CheckpointError, UsageError
from pocketdet.export.to_onnx import root_cause
from pocketdet.models.weight_files import check_values, read_weights, weight_differences


def import_module(target: str) -> nn.Module:
    """Import `package.module:factory` and call the factory without arguments.

    Args:
        target: the factory is a function or class that returns a module, or a module itself. The current
            folder is searched first, now and for what the code imports later, as with `python -m`.

    Raises:
        UsageError: if it cannot be imported or called, or gives no `torch.nn.Module`.
    """
    package, _, attribute = target.partition(":")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        found: Any = importlib.import_module(package)
        for name in attribute.split("."):
            found = getattr(found, name)
    except ModuleNotFoundError as error:
        raise UsageError(f"{target}: {_missing(package, error)}") from error
    except AttributeError as error:
        raise UsageError(f"{target}: {package} has no {attribute}: {root_cause(error)}") from error
    except (Exception, SystemExit) as error:  # whatever the user's code raises
        raise UsageError(f"{target}: importing {package} failed: {_kind(error)}") from error
    if not isinstance(found, nn.Module):
        try:
            found = found()
        except (Exception, SystemExit) as error:  # whatever the user's code raises
            raise UsageError(f"{target}: calling {attribute}() failed: {_kind(error)}") from error
    if not isinstance(found, nn.Module):
        raise UsageError(f"{target} gives {type(found).__name__}: expected a torch.nn.Module")
    return found


def load_module_weights(module: nn.Module, path: Path) -> None:
    """Load a state dict into a module, in place.

    Args:
        module: the module.
        path: a .safetensors file, or a .pt or .pth state dict, which is loaded with `weights_only=True`.

    Raises:
        CheckpointError: if the file is damaged, holds more than tensors, or does not fit the module.
    """
    weights, _ = read_weights(path)
    check_values(path, weights, integers=True)
    differences = weight_differences(module, weights)
    if differences:
        raise CheckpointError(f"{path}: weights do not fit {type(module).__name__}: {differences}")
    module.load_state_dict(weights)


def _missing(package: str, error: ModuleNotFoundError) -> str:
    """What to do about a module that does not exist: the named one, or one that it imports."""
    if error.name is not None and (package == error.name or package.startswith(f"{error.name}.")):
        return (
            f"there is no Python module {error.name!r} in {Path.cwd()} or among the installed packages: run "
            "the command in the folder that contains it, or install it"
        )
    return f"it imports {error.name!r}, which is not installed in this environment"


def _kind(error: BaseException) -> str:
    return f"{type(error).__name__}: {root_cause(error)}"
