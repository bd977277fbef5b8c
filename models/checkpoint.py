"""Weights on disk: safetensors that say what they are, or a plain state dict that must be told.

A checkpoint of ours carries the whole `DetectorConfig` as JSON in the safetensors metadata, so it needs no
further argument. A `.pt` or `.pth` state dict is loaded with `weights_only=True`: it cannot run code.
"""

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pydantic
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from pocketdet.errors import CheckpointError, UsageError
from pocketdet.models.build import ARCHITECTURES, build_detector
from pocketdet.models.config import DetectorConfig
from pocketdet.models.thundernet import ThunderNet

FORMAT_VERSION = "1"
_CONFIG = pydantic.TypeAdapter(DetectorConfig, config=pydantic.ConfigDict(extra="forbid"))


def save_checkpoint(path: Path, model: ThunderNet, card: Mapping[str, str] | None = None) -> None:
    """Write weights, configuration and a free-form card, whole or not at all. Raises `OSError` if it cannot."""
    metadata = {
        "pocketdet_format": FORMAT_VERSION,
        "config": _CONFIG.dump_json(model.config).decode(),
        "card": json.dumps(dict(card or {})),
    }
    weights = {k: v.contiguous() for k, v in model.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, scratch = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    try:
        save_file(weights, scratch, metadata)
        Path(scratch).chmod(0o644)
        Path(scratch).replace(path)
    finally:
        Path(scratch).unlink(missing_ok=True)


def read_card(path: Path) -> dict[str, str]:
    """The card stored with a safetensors checkpoint, empty for other files. Raises `CheckpointError`."""
    if path.suffix != ".safetensors":
        return {}
    card = json.loads(_read_safetensors(path)[1].get("card", "{}"))
    return {str(k): str(v) for k, v in card.items()}


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
    weights, metadata = (
        _read_safetensors(path) if path.suffix == ".safetensors" else (_read_state_dict(path), {})
    )
    config = _config(path, metadata, weights, arch, class_names, input_size)
    _check_finite(path, weights)
    model = build_detector(config)
    _check_fit(path, model, weights)
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
    if not isinstance(content, dict) or not all(isinstance(v, Tensor) for v in content.values()):
        raise CheckpointError(f"{path}: expected a dictionary of tensors, found {type(content).__name__}")
    return {str(k).removeprefix("module."): v for k, v in content.items()}


def _config(
    path: Path,
    metadata: Mapping[str, str],
    weights: Mapping[str, Tensor],
    arch: str | None,
    class_names: tuple[str, ...] | None,
    input_size: tuple[int, int] | None,
) -> DetectorConfig:
    changes: dict[str, Any] = {"arch": arch, "class_names": class_names, "input_size": input_size}
    changes = {k: v for k, v in changes.items() if v is not None}
    if "config" in metadata:
        if metadata.get("pocketdet_format") != FORMAT_VERSION:
            found = metadata.get("pocketdet_format")
            raise CheckpointError(f"{path}: format {found!r}: expected {FORMAT_VERSION!r}; upgrade pocketdet")
        try:
            stored = json.loads(metadata["config"])
            return _CONFIG.validate_python({**stored, **changes})
        except (ValueError, TypeError) as error:
            raise CheckpointError(f"{path}: its configuration cannot be read: {_first(error)}") from error
    if arch is None:
        raise UsageError(f"{path} does not say what it is: name its architecture with --arch")
    if class_names is None:
        classes = weights["head.scores.weight"].shape[0] if "head.scores.weight" in weights else 2
        changes["class_names"] = tuple(f"class {i}" for i in range(1, classes))
    return DetectorConfig(**changes)


def _first(error: Exception) -> str:
    if isinstance(error, pydantic.ValidationError):
        detail = error.errors()[0]
        return f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}"
    return str(error)


def _check_finite(path: Path, weights: Mapping[str, Tensor]) -> None:
    for name, tensor in weights.items():
        if not torch.isfinite(tensor).all():
            count = int((~torch.isfinite(tensor)).sum())
            raise CheckpointError(
                f"{path}: weight {name!r} has {count} NaN or infinite values: it is damaged"
            )


def _check_fit(path: Path, model: ThunderNet, weights: Mapping[str, Tensor]) -> None:
    expected = {k: tuple(v.shape) for k, v in model.state_dict().items()}
    found = {k: tuple(v.shape) for k, v in weights.items()}
    if expected == found:
        return
    classifier = "head.scores.weight"
    if {k for k in expected if expected[k] != found.get(k)} <= {classifier, "head.scores.bias"} and (
        expected.keys() == found.keys()
    ):
        raise CheckpointError(
            f"{path}: the classifier has {found[classifier][0] - 1} classes besides background, "
            f"but {model.config.num_classes - 1} class names were given"
        )
    fitting = [a for a in ARCHITECTURES if a != model.config.arch and _shapes_fit(a, model.config, found)]
    hint = f"; they fit {fitting[0]}" if fitting else ""
    raise CheckpointError(
        f"{path}: weights do not fit {model.config.arch}: {_differences(expected, found)}{hint}"
    )


def _shapes_fit(arch: str, config: DetectorConfig, found: Mapping[str, tuple[int, ...]]) -> bool:
    with torch.device("meta"):
        other = ThunderNet(config, ARCHITECTURES[arch])
    shapes = {k: tuple(v.shape) for k, v in other.state_dict().items() if not k.startswith("head.scores.")}
    return shapes == {k: v for k, v in found.items() if not k.startswith("head.scores.")}


def _differences(expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]) -> str:
    missing = [k for k in expected if k not in found]
    extra = [k for k in found if k not in expected]
    wrong = [k for k in expected if k in found and expected[k] != found[k]]
    parts = []
    if missing:
        parts.append(f"{len(missing)} missing (first {missing[0]!r})")
    if extra:
        parts.append(f"{len(extra)} unexpected (first {extra[0]!r})")
    if wrong:
        name = wrong[0]
        parts.append(
            f"{len(wrong)} of another shape ({name!r}: expected {expected[name]}, found {found[name]})"
        )
    return ", ".join(parts)
