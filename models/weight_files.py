"""The two files that weights come in, read without trusting them: safetensors, and a pickled state dict.

A `.pt` or `.pth` file is loaded with `weights_only=True`: it cannot run code.
"""

import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from pocketdet.errors import CheckpointError

PICKLED = (".pt", ".pth")
SAFE = ".safetensors"


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors by name, and the metadata if the file has any. Raises `CheckpointError`, naming the file."""
    _must_exist(path)
    suffix = path.suffix.lower()
    if suffix == SAFE:
        return _read_safetensors(path)
    if suffix in PICKLED:
        return _read_state_dict(path), {}
    raise CheckpointError(f"{path}: cannot tell its format: expected weights named {SAFE}, .pt or .pth")


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file, empty for other files. Raises `CheckpointError`."""
    _must_exist(path)
    if path.suffix.lower() != SAFE:
        return {}
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path}: not a readable safetensors file: {error}") from error


def _must_exist(path: Path) -> None:
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; expected {SAFE}, .pt or .pth weights")


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    metadata = read_metadata(path)
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118
    except Exception as error:  # SafetensorError, or what torch raises for a type it does not have
        raise CheckpointError(f"{path}: not a readable safetensors file: {error}") from error


def _read_state_dict(path: Path) -> dict[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # its own text advises to load the file unsafely
        raise CheckpointError(
            f"{path}: not a plain PyTorch state dict: it is damaged or holds more than tensors; "
            "save model.state_dict() instead"
        ) from error
    except Exception as error:  # RuntimeError, EOFError, ... for a bad file
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(f"{path}: not a plain PyTorch state dict: {reason}") from error
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: expected a dictionary of tensors, found {type(content).__name__}")
    for name, value in content.items():
        if not isinstance(value, Tensor):
            kind = type(value).__name__
            raise CheckpointError(
                f"{path}: expected a dictionary of tensors, but {str(name)!r} is of type {kind}"
            )
    return _without_wrapper({str(name): value for name, value in content.items()})


def _without_wrapper(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Without the `module.` that (Distributed)DataParallel puts before every name."""
    prefix = "module."
    if not all(name.startswith(prefix) for name in weights):
        return weights
    return {name.removeprefix(prefix): value for name, value in weights.items()}
