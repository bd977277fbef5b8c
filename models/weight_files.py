"""Weights: read from safetensors or a pickled state dict without trusting them, and compared with a model.

A `.pt` or `.pth` file is loaded with `weights_only=True`: it cannot run code.
"""

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from pocketdet.errors import CheckpointError
from pocketdet.models.build import ARCHITECTURES, AnyDetector, config_of
from pocketdet.models.config import DetectorConfig
from pocketdet.models.thundernet import ThunderNet

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


CLASSIFIER = "head.scores.weight"
_FLOATS = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
_COUNTS = {torch.int32, torch.int64}

Shapes = Mapping[str, tuple[int, ...]]


def check_values(path: Path, weights: Mapping[str, Tensor], *, integers: bool = False) -> None:
    """Raises `CheckpointError` for a tensor that is not plain numbers, all finite as float32.

    `integers` allows buffers of integers and booleans besides the counters of batch norm.
    """
    for name, tensor in weights.items():
        real = _is_number(name, tensor) or (integers and not tensor.is_complex() and not tensor.is_quantized)
        if tensor.layout != torch.strided or tensor.device.type != "cpu" or not real:
            kind = f"{tensor.dtype}, {tensor.layout}, {tensor.device.type}".replace("torch.", "")
            raise CheckpointError(f"{path}: weight {name!r} is {kind}: expected dense floats")
        stored, claimed = tensor.untyped_storage().nbytes(), tensor.numel() * tensor.element_size()
        if claimed > stored:  # a view that repeats its elements: a small file could ask for any memory
            raise CheckpointError(f"{path}: weight {name!r} claims {claimed} bytes, but stores {stored}")
        bad = int((~torch.isfinite(tensor.float())).sum())
        if bad:
            raise CheckpointError(f"{path}: weight {name!r} has {bad} NaN or infinite values: it is damaged")
        if name.endswith("running_var") and tensor.numel() and tensor.min() < 0:
            raise CheckpointError(f"{path}: variance {name!r} has negative values: it is damaged")


def _is_number(name: str, tensor: Tensor) -> bool:
    counter = name.endswith("num_batches_tracked")
    return tensor.dtype in _FLOATS or (counter and tensor.dtype in _COUNTS)


def check_fit(path: Path, model: AnyDetector, weights: Mapping[str, Tensor]) -> None:
    """Raises `CheckpointError` if names or shapes differ from what `model` has, naming the first few."""
    differences = weight_differences(model, weights)
    if not differences:
        return
    expected, found = _shapes(model.state_dict()), _shapes(weights)
    hint = _two_stage_hint(path, model.config, expected, found) if isinstance(model, ThunderNet) else ""
    raise CheckpointError(f"{path}: weights do not fit {config_of(model).arch}: {differences}{hint}")


def _two_stage_hint(path: Path, config: DetectorConfig, expected: Shapes, found: Shapes) -> str:
    """Another ThunderNet that they fit. Raises `CheckpointError` where it is only the classes."""
    if expected.keys() == found.keys() and _without_classifier(expected) == _without_classifier(found):
        outputs = found[CLASSIFIER][0] if len(found[CLASSIFIER]) == 2 else 0
        if outputs not in (0, config.num_classes):
            raise CheckpointError(
                f"{path}: the classifier has {outputs - 1} classes besides background, "
                f"but {config.num_classes - 1} class names were given"
            )
    fitting = [a for a in ARCHITECTURES if a != config.arch and _fits(a, config, found)]
    return f"; they fit {fitting[0]}" if fitting else ""


def _without_classifier(shapes: Shapes) -> Shapes:
    return {k: v for k, v in shapes.items() if k not in (CLASSIFIER, "head.scores.bias")}


def _fits(arch: str, config: DetectorConfig, found: Shapes) -> bool:
    with torch.device("meta"):
        other = ThunderNet(config, ARCHITECTURES[arch])
    shapes = {k: tuple(v.shape) for k, v in other.state_dict().items()}
    return _without_classifier(shapes) == _without_classifier(found)


def weight_differences(model: nn.Module, weights: Mapping[str, Tensor]) -> str:
    """How names and shapes differ from those of a model, the first few of each kind; empty if they fit."""
    expected, found = _shapes(model.state_dict()), _shapes(weights)
    wrong = [
        f"{k!r} (expected {expected[k]}, found {found[k]})"
        for k in expected
        if k in found and expected[k] != found[k]
    ]
    parts = [
        _listed("missing", [repr(k) for k in expected if k not in found]),
        _listed("unexpected", [repr(k) for k in found if k not in expected]),
        _listed("of another shape", wrong),
    ]
    return "; ".join(part for part in parts if part)


def _shapes(weights: Mapping[str, Tensor]) -> Shapes:
    return {name: tuple(tensor.shape) for name, tensor in weights.items()}


def _listed(kind: str, names: list[str]) -> str:
    if not names:
        return ""
    return f"{len(names)} {kind}: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"
