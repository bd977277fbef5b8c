"""Weights on disk: safetensors that say what they are, or a plain state dict that must be told.

A checkpoint of ours carries the whole `DetectorConfig` as JSON in the safetensors metadata, so it needs no
further argument. A `.pt` or `.pth` state dict is loaded with `weights_only=True`: it cannot run code.
"""

import dataclasses
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pydantic
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from pocketdet.errors import CheckpointError, UsageError
from pocketdet.models.build import build_detector
from pocketdet.models.config import DetectorConfig
from pocketdet.models.fit import CLASSIFIER, check_fit, check_values
from pocketdet.models.thundernet import ThunderNet

FORMAT_VERSION = "1"
_CONFIG = pydantic.TypeAdapter(DetectorConfig)
_CARD = pydantic.TypeAdapter(dict[str, str])


def save_checkpoint(path: Path, model: ThunderNet, card: Mapping[str, str] | None = None) -> None:
    """Write weights, configuration and a free-form card, whole or not at all.

    Raises `OSError` if the file cannot be written.
    """
    metadata = {
        "pocketdet_format": FORMAT_VERSION,
        "config": _CONFIG.dump_json(model.config).decode(),
        "card": json.dumps(dict(card or {})),
    }
    content = save({k: v.contiguous() for k, v in model.state_dict().items()}, metadata)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, scratch = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(scratch).chmod(0o644)  # mkstemp makes it private
        Path(scratch).replace(path)
    finally:
        Path(scratch).unlink(missing_ok=True)


def read_card(path: Path) -> dict[str, str]:
    """The card stored with a safetensors checkpoint, empty for other files. Raises `CheckpointError`."""
    if path.suffix != ".safetensors":
        return {}
    try:
        return _CARD.validate_json(_read_safetensors(path)[1].get("card", "{}"), strict=True)
    except pydantic.ValidationError as error:
        raise CheckpointError(f"{path}: its card cannot be read: {_first(error)}") from error


def load_checkpoint(
    path: Path,
    *,
    arch: str | None = None,
    class_names: tuple[str, ...] | None = None,
    input_size: tuple[int, int] | None = None,
) -> ThunderNet:
    """The detector stored at `path`, in eval mode. Arguments replace what the file says.

    Raises `CheckpointError` if the file is damaged, its weights are not finite or do not fit the
    architecture; `UsageError` if the architecture is unknown or cannot be told, or a size does not fit.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; expected .safetensors, .pt or .pth weights")
    if path.suffix == ".safetensors":
        weights, metadata = _read_safetensors(path)
    else:
        weights, metadata = _read_state_dict(path), {}
    check_values(path, weights)
    changes: dict[str, Any] = {"arch": arch, "class_names": class_names, "input_size": input_size}
    changes = {k: v for k, v in changes.items() if v is not None}
    if "config" in metadata:
        config = dataclasses.replace(_stored_config(path, metadata), **changes)
    else:
        config = _told_config(path, weights, changes)
    model = build_detector(config)
    check_fit(path, model, weights)
    model.load_state_dict(weights)
    return model


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {k: file.get_tensor(k) for k in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path}: not a readable safetensors file: {error}") from error


def _read_state_dict(path: Path) -> dict[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises RuntimeError, UnpicklingError, EOFError, ... for a bad file
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
    return {str(k).removeprefix("module."): v for k, v in content.items()}


def _stored_config(path: Path, metadata: Mapping[str, str]) -> DetectorConfig:
    found = metadata.get("pocketdet_format")
    if found != FORMAT_VERSION:
        raise CheckpointError(f"{path}: format {found!r}: expected {FORMAT_VERSION!r}; upgrade pocketdet")
    try:
        return _CONFIG.validate_json(metadata["config"])
    except (pydantic.ValidationError, UsageError) as error:
        raise CheckpointError(f"{path}: its configuration cannot be read: {_first(error)}") from error


def _told_config(path: Path, weights: Mapping[str, Tensor], changes: dict[str, Any]) -> DetectorConfig:
    """Of a file that holds weights only: what the caller says, and as many classes as the classifier has."""
    if "arch" not in changes:
        raise UsageError(f"{path} does not say what it is: name its architecture with --arch")
    classifier = weights.get(CLASSIFIER)
    outputs = classifier.shape[0] if classifier is not None and classifier.ndim == 2 else 2
    unnamed = tuple(f"class {i}" for i in range(1, max(outputs, 2)))
    return DetectorConfig(**{"class_names": unnamed, **changes})


def _first(error: Exception) -> str:
    if isinstance(error, pydantic.ValidationError):
        detail = error.errors()[0]
        where = ".".join(map(str, detail["loc"]))
        return f"{where}: {detail['msg']}" if where else detail["msg"]
    return str(error)
